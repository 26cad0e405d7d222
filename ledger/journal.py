"""Where anchors keep their records: a table beside the log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace

from assay.ledger.store.database import Store
from assay.provenance.anchor import AnchorRecord
from assay.provenance.errors import LedgerError


class SqlJournal:
    """Anchor records in a log's database; implements ``assay.provenance.anchor.Journal``.

    Remembers the version of each record that it handed out: what another process has changed since is not
    overwritten. ``now`` dates changes.
    """

    def __init__(self, store: Store, now: Callable[[], dt.datetime]) -> None:
        self._store, self._now = store, now
        self._versions: dict[int, int] = {}

    def save(self, record: AnchorRecord) -> AnchorRecord:
        """Insert a record whose id is 0, else replace the one with that id; return it as stored.

        Raises LedgerError, also where another process has changed the record since it was read.
        """
        record = replace(record, updated=self._now().isoformat(timespec="seconds"))
        with self._store.writing() as tx:
            if record.id == 0:
                record = replace(record, id=tx.anchors.add(record))
                version = 1
            else:
                version = self._versions.get(record.id, 0) + 1
                if not tx.anchors.replace(record, version - 1):
                    raise LedgerError(
                        f"another process works on anchor {record.id}", hint="see: assay ledger anchors"
                    )
        self._versions[record.id] = version
        return record

    def records(self, name: str = "") -> Sequence[AnchorRecord]:
        """Return the records of one anchor, or of all, oldest first."""
        with self._store.reading() as tx:
            found = tx.anchors.all(name)
        self._versions.update((record.id, version) for version, record in found)
        return [record for _, record in found]
