"""Anchors: a ledger's checkpoint published where its operator cannot take it back.

One protocol for every kind; the records are the ledger's own bookkeeping. Format: docs/formats/anchor.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from assay.provenance.errors import AssayError

EMPTY: Mapping[str, Any] = {}


class Standing(StrEnum):
    """What an anchor says today of the checkpoint that it was made for.

    OK: proven now, by something the ledger's operator does not control. PENDING: under way, proves nothing yet.
    UNCHECKED: a proof is kept that could not be checked here and now (no network, no headers, no pinned key).
    BROKEN: the proof is worthless, which says nothing against the ledger. CONTRADICTED: a sound proof speaks of
    another tree than the ledger's: the ledger was rewritten or forked.
    """

    OK = "ok"
    PENDING = "pending"
    UNCHECKED = "not checked"
    BROKEN = "broken"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class AnchorRecord:
    """One checkpoint on its way to one anchor; ``id`` is 0 until the record was saved.

    ``name`` is the anchor's name in the settings, ``kind`` its plug-in (``evm``, ``rfc3161``,
    ``opentimestamps``), ``target`` where it goes, in words. ``size`` and ``root`` (32 bytes) are the
    checkpoint's, ``checkpoint`` is its note, verbatim. ``state`` is a word of the kind's own state machine,
    ``detail`` JSON values of the kind's own. ``created`` and ``updated`` are RFC 3339 UTC.
    """

    name: str
    kind: str
    target: str
    size: int
    root: bytes
    checkpoint: str
    state: str
    created: str
    updated: str
    detail: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    id: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an anchor's proof is worth now: its standing, a plain sentence, and where it could be told, since when.

    ``time`` is RFC 3339 UTC, the latest moment by which the checkpoint existed; "" where nothing proves one.
    """

    standing: Standing
    says: str
    time: str = ""


@dataclass(frozen=True, slots=True)
class Anchored:
    """An anchor's record, and what it is worth now."""

    record: AnchorRecord
    judgement: Judgement

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports and by ``assay ledger anchors``."""
        record, judgement = self.record, self.judgement
        return {
            "name": record.name,
            "kind": record.kind,
            "target": record.target,
            "size": record.size,
            "root": record.root.hex(),
            "state": record.state,
            "standing": str(judgement.standing),
            "time": judgement.time or None,
            "says": judgement.says,
            "created": record.created,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking one anchor: where its record stands, if there is one, and what went wrong, if anything."""

    name: str
    anchored: Anchored | None
    problem: AssayError | None = None


class Journal(Protocol):
    """Where anchors keep their records; what ``save`` was given is durable when it returns."""

    def save(self, record: AnchorRecord) -> AnchorRecord:
        """Insert a record whose id is 0, else replace the one with that id; return it as stored.

        Raises LedgerError, also where another process has changed the record since it was read.
        """
        ...

    def records(self, name: str = "") -> Sequence[AnchorRecord]:
        """Return the records of one anchor, or of all, oldest first."""
        ...


class Anchor(Protocol):
    """One place to publish checkpoints; an entry point of ``assay.anchors``.

    The plug-in is called as ``Plugin(name, settings, context)`` with its table of the workspace's settings
    and a ``Context``; it raises ConfigurationError where a setting is missing or unknown.
    """

    name: str
    kind: str
    target: str

    def publish(self, checkpoint: str, journal: Journal) -> AnchorRecord:
        """Begin to anchor a signed checkpoint; returns the saved record.

        Raises NetworkError where nothing was published; whatever may have been published has its record.
        """
        ...

    def advance(self, record: AnchorRecord, journal: Journal) -> AnchorRecord:
        """Move a record on as far as it goes now; raises NetworkError, leaving it where it was."""
        ...

    def judge(self, record: AnchorRecord, *, online: bool) -> Judgement:
        """Check what a record proves; asks the network only if ``online``, never raises NetworkError."""
        ...


class Keeper(Protocol):
    """Publishes a ledger's checkpoints to the anchors of the settings, and says what that proves of its entries."""

    def publish(self, names: Sequence[str] = ()) -> list[Outcome]:
        """Anchor the newest checkpoint with these anchors, or all; one outcome each.

        Raises UsageError for a name that the settings do not have, and for an empty ledger.
        """
        ...

    def advance(self, names: Sequence[str] = ()) -> list[Outcome]:
        """Move all unfinished records of these anchors, or all, as far as they go; one outcome a record."""
        ...

    def standing(self, index: int, *, online: bool) -> list[Anchored]:
        """Return the records that cover an entry, the earliest of each anchor first, judged until one proves it."""
        ...

    def listing(self, size: int = 0, *, online: bool) -> list[Anchored]:
        """Return all records, or those of the checkpoint at ``size``, oldest first, judged."""
        ...


def earliest(found: Iterable[Anchored]) -> Anchored | None:
    """Return the record that proves the earliest time, None where none proves any."""
    proven = [a for a in found if a.judgement.standing is Standing.OK and a.judgement.time]
    return min(proven, key=lambda a: (a.judgement.time, a.record.size), default=None)


def checkpoint_text(note: str) -> bytes:
    """Return the signed text of a checkpoint note, without its signatures: the bytes that anchors commit to."""
    return note.rpartition("\n\n")[0].encode() + b"\n"


def checkpoint_digest(note: str) -> bytes:
    """Return SHA-256 of the signed text, 32 bytes: the same before and after witnesses have cosigned."""
    return hashlib.sha256(checkpoint_text(note)).digest()
