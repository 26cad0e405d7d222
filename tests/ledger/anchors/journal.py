"""A Journal in memory, for tests of anchors without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assay.provenance.anchor import AnchorRecord
from assay.provenance.errors import LedgerError


class MemoryJournal:
    """Records by id; ``saves`` counts every save, ``history`` keeps each record as it was saved, in order."""

    def __init__(self) -> None:
        self.kept: dict[int, AnchorRecord] = {}
        self.history: list[AnchorRecord] = []

    @property
    def saves(self) -> int:
        return len(self.history)

    def save(self, record: AnchorRecord) -> AnchorRecord:
        if record.id and record.id not in self.kept:
            raise LedgerError(f"there is no anchor record {record.id}")
        if not record.id:
            record = replace(record, id=len(self.kept) + 1)
        self.kept[record.id] = record
        self.history.append(record)
        return record

    def records(self, name: str = "") -> Sequence[AnchorRecord]:
        return [record for _, record in sorted(self.kept.items()) if name in ("", record.name)]
