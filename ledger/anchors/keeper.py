"""The keeper: publishes a ledger's checkpoints to its anchors, and compares what they hold with the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from assay.ledger.anchors.context import KIND, Context
from assay.ledger.tlog.note import Checkpoint
from assay.provenance.anchor import Anchor, Anchored, AnchorRecord, Journal, Judgement, Outcome, Standing
from assay.provenance.errors import AssayError, ConfigurationError, UsageError
from assay.provenance.plugins import load_plugin
from assay.provenance.text import safe_text

MAX_JUDGED = 16
"""Most records of one anchor judged for one entry, the earliest that cover it."""


class KeptLog(Protocol):
    """What the keeper asks of a ledger."""

    origin: str

    @property
    def vkey(self) -> str:
        """The ledger's verifier key."""
        ...

    @property
    def size(self) -> int:
        """The number of entries."""
        ...

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` entries, 32 bytes."""
        ...

    def offered(self) -> str:
        """Return the latest signed checkpoint, to be shown to others; raises LedgerError where it must not be."""
        ...

    def kept_checkpoint(self, size: int = 0) -> str | None:
        """Return the newest cosigned checkpoint of at least ``size`` entries."""
        ...


@dataclass(frozen=True, slots=True)
class _Ledger:
    """The ledger as it is while records are judged: read once, after the records."""

    log: KeptLog
    vkey: str
    size: int

    def problem(self, record: AnchorRecord) -> Judgement | None:
        """Return what is wrong with a record, or with the ledger in its light; None if the two agree.

        The record's checkpoint carries the ledger's own signature, so that a ledger with another tree at that size
        contradicts itself, whatever the anchor says.
        """
        try:
            signed = Checkpoint.open(record.checkpoint, [self.vkey])
        except AssayError as error:
            return Judgement(Standing.BROKEN, f"its checkpoint is not one of this ledger: {error.message}")
        if (signed.origin, signed.size, signed.root) != (self.log.origin, record.size, record.root):
            return Judgement(Standing.BROKEN, "the record was changed: its checkpoint says something else")
        if record.size > self.size:
            return Judgement(
                Standing.CONTRADICTED,
                f"the ledger lost entries after it was anchored: it holds {self.size} entries, but held "
                f"{record.size} then (an older copy may have been restored)",
            )
        if self.log.root(record.size) != record.root:
            return Judgement(
                Standing.CONTRADICTED,
                f"the ledger was rewritten after it was anchored: its first {record.size} entries are not those "
                "that it signed then",
            )
        return None


class AnchorKeeper:
    """Implements ``assay.provenance.anchor.Keeper`` for a log with a journal."""

    def __init__(self, log: KeptLog, anchors: Iterable[Anchor], journal: Journal) -> None:
        self._log, self._journal = log, journal
        self._anchors = {anchor.name: anchor for anchor in anchors}

    def publish(self, names: Sequence[str] = ()) -> list[Outcome]:
        """Anchor the newest checkpoint, cosigned where it is; what is under way already is moved on instead.

        Raises UsageError for an unknown name, where no anchor is configured, and for an empty ledger.
        """
        chosen = self._chosen(names)
        note = self._log.offered()
        tree = Checkpoint.peek(note)
        if not tree.size:
            raise UsageError(
                "the ledger is empty: there is nothing to anchor", hint="sign or append a file first"
            )
        note = self._log.kept_checkpoint(tree.size) or note
        return [self._publish(anchor, note) for anchor in chosen]

    def advance(self, names: Sequence[str] = ()) -> list[Outcome]:
        """Move every record that proves nothing yet as far as it goes; name those that contradict the ledger.

        After a fault of an anchor its other records wait for the next time: they would only fail as well.
        """
        outcomes: list[Outcome] = []
        for anchor in self._chosen(names):
            records = [r for r in self._journal.records(anchor.name) if r.kind == anchor.kind]
            ledger = self._ledger()
            for record in records:
                judged = self._judge(ledger, record, False)
                if judged.standing is Standing.CONTRADICTED:
                    outcomes.append(Outcome(anchor.name, Anchored(record, judged)))
                if judged.standing in (Standing.OK, Standing.CONTRADICTED):
                    continue
                outcomes.append(self._advance(anchor, record))
                if outcomes[-1].problem:
                    break
        return outcomes

    def standing(self, index: int, *, online: bool) -> list[Anchored]:
        """Return, for each anchor, the records that cover an entry, earliest first, until one proves it.

        Raises LedgerError where the ledger's tree cannot be read.
        """
        records = [record for record in self._journal.records() if record.size > index]
        ledger = self._ledger()
        found: list[Anchored] = []
        by_name = sorted(records, key=lambda r: (r.name, r.size, r.id))
        for _, group in groupby(by_name, key=lambda r: r.name):
            for record in list(group)[:MAX_JUDGED]:
                found.append(Anchored(record, self._judge(ledger, record, online)))
                if found[-1].judgement.standing is Standing.OK:
                    break
        return found

    def listing(self, size: int = 0, *, online: bool) -> list[Anchored]:
        """Return all records, or those of the checkpoint at ``size``, oldest first, judged."""
        records = [record for record in self._journal.records() if size in (0, record.size)]
        ledger = self._ledger()
        return [Anchored(record, self._judge(ledger, record, online)) for record in records]

    def _ledger(self) -> _Ledger:
        return _Ledger(self._log, self._log.vkey, self._log.size)

    def _chosen(self, names: Sequence[str]) -> list[Anchor]:
        known = ", ".join(self._anchors)
        if not known:
            raise ConfigurationError(
                "no anchor is configured",
                hint="add an [anchors.NAME] table to assay.toml (docs/formats/workspace.md)",
            )
        for name in names:
            if name not in self._anchors:
                raise UsageError(f"there is no anchor {safe_text(name, 80)!r}", hint=f"there is: {known}")
        return [self._anchors[name] for name in dict.fromkeys(names or self._anchors)]

    def _judge(self, ledger: _Ledger, record: AnchorRecord, online: bool) -> Judgement:
        problem = ledger.problem(record)
        if problem:
            return problem
        anchor = self._anchors.get(record.name)
        if anchor is None or anchor.kind != record.kind:
            return Judgement(Standing.UNCHECKED, "the settings have no such anchor any more")
        try:
            return anchor.judge(record, online=online)
        except AssayError as error:
            return Judgement(Standing.UNCHECKED, f"could not be checked: {error.message}")

    def _outcome(
        self, anchor: Anchor, record: AnchorRecord | None, problem: AssayError | None = None
    ) -> Outcome:
        anchored = Anchored(record, self._judge(self._ledger(), record, False)) if record else None
        return Outcome(anchor.name, anchored, problem)

    def _publish(self, anchor: Anchor, note: str) -> Outcome:
        under_way = self._under_way(anchor, note)
        if under_way:
            return self._advance(anchor, under_way)
        try:
            return self._outcome(anchor, anchor.publish(note, self._journal))
        except AssayError as error:
            return self._outcome(anchor, self._under_way(anchor, note), error)

    def _under_way(self, anchor: Anchor, note: str) -> AnchorRecord | None:
        """Return the newest record of this checkpoint at this anchor that is not worthless."""
        tree, ledger = Checkpoint.peek(note), self._ledger()
        same = [
            record
            for record in self._journal.records(anchor.name)
            if (record.kind, record.size, record.root) == (anchor.kind, tree.size, tree.root)
            and self._judge(ledger, record, False).standing is not Standing.BROKEN
        ]
        return same[-1] if same else None

    def _advance(self, anchor: Anchor, record: AnchorRecord) -> Outcome:
        try:
            return self._outcome(anchor, anchor.advance(record, self._journal))
        except AssayError as error:
            return self._outcome(anchor, record, error)


def open_anchors(tables: Mapping[str, Mapping[str, Any]], context: Context) -> list[Anchor]:
    """Make the anchors that settings name: each ``[anchors.NAME]`` table has a ``kind``, an ``assay.anchors`` plug-in.

    Raises ConfigurationError where a table lacks its kind or a plug-in refuses its settings, UsageError where no
    such plug-in is installed.
    """
    anchors: list[Anchor] = []
    for name, table in tables.items():
        kind = table.get(KIND)
        if not isinstance(kind, str) or not kind:
            hint = "evm, rfc3161 or opentimestamps"
            raise ConfigurationError(f"[anchors.{name}] lacks {KIND}", hint=hint)
        anchors.append(load_plugin("assay.anchors", kind)(name, table, context))
    return anchors
