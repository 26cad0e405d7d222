"""Bundles: entries with all that proves them, in one file for a stranger. Format: docs/formats/bundle.md."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from assay.ledger.tlog.merkle import verify_consistency
from assay.ledger.tlog.note import MAX_NOTE_BYTES, Checkpoint
from assay.ledger.tlog.proof import Proof
from assay.provenance.anchor import Anchored, AnchorRecord, Standing
from assay.provenance.entry import Recovery
from assay.provenance.errors import LedgerError, MalformedError, UsageError
from assay.provenance.files.atomic import atomic_output
from assay.provenance.files.bag import BagWriter, read_from_bag
from assay.provenance.receipt import Receipt

BASE = "bundle"
MAX_ITEMS = 10_000
"""Most entries in one bundle."""

PENDING, UNCHECKED = "pending\n", "unchecked\n"
# Where an anchor's record keeps its proof, base64, and the file that it becomes; docs/formats/anchor.md has both.
_PROOFS = {"rfc3161": ("reply", "token.tsr"), "opentimestamps": ("proof", "proof.ots")}


class Source(Protocol):
    """A log that a bundle can be made of."""

    origin: str

    @property
    def vkey(self) -> str:
        """The log's verifier key."""
        ...

    def checkpoint(self) -> str:
        """Return the latest signed checkpoint."""
        ...

    def kept_checkpoint(self, size: int = 0) -> str | None:
        """Return the largest cosigned checkpoint of at least ``size``."""
        ...

    def receipt(self, index: int, checkpoint: str | None = None) -> Receipt:
        """Return an entry's receipt against a checkpoint."""
        ...

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """Return RFC 6962's PROOF(old, D[new])."""
        ...

    def recovery(self, index: int) -> Recovery | None:
        """Return what is kept beside an entry."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """An entry to export, and its media file where that is to go along."""

    index: int
    media: Path | None = None


@dataclass(frozen=True, slots=True)
class Witnessed:
    """An anchor's record to export; ``certificate`` is the pinned one of a time-stamp authority, PEM."""

    anchored: Anchored
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was written: the entries' indices, the checkpoint's tree size, how many anchors went along."""

    path: Path
    indices: tuple[int, ...]
    size: int
    anchors: int


def export(
    log: Source,
    out: Path,
    items: Sequence[Item],
    *,
    policy: str,
    software: str,
    recovery: bool = False,
    since: Path | None = None,
    anchored: Sequence[Witnessed] = (),
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle of some entries, all proven against one checkpoint; the same input makes the same bytes.

    The checkpoint is the newest cosigned one that has all entries, else the latest. ``policy`` is a
    tlog-policy, ``since`` an earlier bundle of this log, ``recovery`` whether the recovery records go along.
    Anchors whose proof is worthless are left out.
    Raises UsageError (no entries, too many, no such entry), InputError (a file that is not the one logged),
    LedgerError where the log contradicts itself, the earlier bundle or an anchor.
    """
    items = sorted({item.index: item for item in items}.values(), key=lambda item: item.index)
    if not 1 <= len(items) <= MAX_ITEMS:
        raise UsageError(f"a bundle holds 1 to {MAX_ITEMS} entries, not {len(items)}")
    earlier = read_from_bag(since, "data/checkpoint", MAX_NOTE_BYTES) if since else b""
    note = _checkpoint(log, items[-1].index + 1, _size(earlier))
    chosen = [
        a for a in anchored if a.anchored.record.size and a.anchored.judgement.standing != Standing.BROKEN
    ]
    with atomic_output(out, overwrite=overwrite) as stream, BagWriter(stream, BASE) as bag:
        bag.add("data/checkpoint", note.encode())
        bag.add("data/policy", policy.encode())
        for item in items:
            _add_entry(bag, log, item, note, recovery=recovery)
        if earlier:
            _add_related(bag, log, "data/previous", earlier.decode("utf-8"), note, "the earlier bundle")
        for anchor in chosen:
            _add_anchor(bag, log, anchor, note)
        for name in ("README.txt", "verify.py", "verify.sh"):
            program = files("assay.ledger.custody").joinpath("data", name).read_bytes()
            bag.add(name, program, 0o644 if name.endswith("txt") else 0o755)
        size = Checkpoint.peek(note).size
        bag.finish({"Bag-Software-Agent": software, "External-Identifier": f"{log.origin} {size}"})
    return Bundle(out, tuple(item.index for item in items), size, len(chosen))


def _size(note: bytes) -> int:
    try:
        return Checkpoint.peek(note.decode("utf-8")).size if note else 0
    except UnicodeDecodeError as error:
        raise MalformedError("the earlier bundle's checkpoint cannot be read") from error


def _checkpoint(log: Source, least: int, earlier: int) -> str:
    note = log.kept_checkpoint(max(least, earlier)) or log.checkpoint()
    size = Checkpoint.peek(note).size
    if size < least:
        raise UsageError(f"there is no entry {least - 1}; the ledger holds {size}")
    if size < earlier:
        raise LedgerError(
            f"the ledger holds {size} entries, the earlier bundle is of {earlier}",
            hint="an older copy of the ledger was put in its place, or the bundle is another ledger's",
        )
    return note


def _add_entry(bag: BagWriter, log: Source, item: Item, note: str, *, recovery: bool) -> None:
    receipt = log.receipt(item.index, note)
    bag.add(f"data/entries/{item.index}.json", Proof.from_text(receipt.text).leaf)
    bag.add(f"data/proofs/{item.index}.tlog-proof", receipt.text.encode())
    if item.media:
        suffix = item.media.suffix.lower().removeprefix(".")
        name = suffix if re.fullmatch("[a-z0-9]{1,8}", suffix) else "bin"
        bag.add_file(f"data/assets/{item.index}.{name}", item.media, receipt.entry.digest)
    kept = log.recovery(item.index) if recovery else None
    if kept:
        if kept.digest != receipt.leaf.recovery:
            raise LedgerError(f"the recovery record of entry {item.index} was changed")
        bag.add(f"data/recovery/{item.index}.json", kept.to_bytes())


def _add_related(bag: BagWriter, log: Source, folder: str, other: str, note: str, whose: str) -> None:
    """Add another checkpoint of the log, and the proof that it and the bundle's are of one history."""
    mine = Checkpoint.peek(note)
    try:
        theirs = Checkpoint.open(other, [log.vkey])
    except MalformedError as error:
        raise LedgerError(f"the checkpoint of {whose} is not this ledger's: {error.message}") from error
    (old, _), (new, larger) = sorted([(theirs, other), (mine, note)], key=lambda pair: pair[0].size)
    proof = log.consistency(old.size, new.size)
    if not verify_consistency(old.size, new.size, old.root, new.root, proof):
        raise LedgerError(
            f"{whose} and the ledger contradict each other: the tree of {new.size} entries does not extend"
            f" the one of {old.size}",
            hint="the ledger was rewritten in between; keep both",
        )
    lines = [f"old {old.size}", *(base64.b64encode(item).decode() for item in proof)]
    bag.add(f"{folder}/checkpoint", other.encode())
    bag.add(f"{folder}/consistency", ("\n".join(lines) + "\n\n" + larger).encode())


def _add_anchor(bag: BagWriter, log: Source, given: Witnessed, note: str) -> None:
    record, judgement = given.anchored.record, given.anchored.judgement
    if judgement.standing == Standing.CONTRADICTED:
        raise LedgerError(f"the anchor {record.name} contradicts the ledger: {judgement.says}")
    folder = f"data/anchors/{record.id}-{record.kind}"
    _add_related(bag, log, folder, record.checkpoint, note, f"the anchor {record.name}")
    bag.add(f"{folder}/record.json", _record(record))
    bag.add(f"{folder}/state", (PENDING if judgement.standing == Standing.PENDING else UNCHECKED).encode())
    field, name = _PROOFS.get(record.kind, ("", ""))
    if field in record.detail:
        try:
            bag.add(f"{folder}/{name}", base64.b64decode(str(record.detail[field]), validate=True))
        except binascii.Error as error:
            raise LedgerError(f"the record of the anchor {record.name} cannot be read") from error
    if given.certificate:
        bag.add(f"{folder}/certificate.pem", given.certificate)


def _record(record: AnchorRecord) -> bytes:
    document = {
        "type": "assay.anchor/v1",
        "name": record.name,
        "kind": record.kind,
        "target": record.target,
        "size": record.size,
        "root": record.root.hex(),
        "state": record.state,
        "created": record.created,
        "updated": record.updated,
        "detail": dict(record.detail),
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
