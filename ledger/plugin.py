"""The door through which the workspace makes and opens a ledger, knowing only URL, name and key seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import NoteSigner


class SqlLedger:
    """A transparency log in any SQLAlchemy database, signed with an Ed25519 key from a 32-byte seed."""

    @staticmethod
    def create(url: str, *, origin: str, seed: bytes) -> SqlLog:
        """Make an empty log; raises LedgerError if there is one."""
        return SqlLog.create(url, origin, NoteSigner.from_seed(origin, seed))

    @staticmethod
    def open(url: str, *, origin: str, seed: bytes, pins: Sequence[str] = ()) -> SqlLog:
        """Open a log; raises LedgerError if there is none, or if it is another's.

        ``pins`` are checkpoints of it that are known from outside (see ``SqlLog.open``).
        """
        return SqlLog.open(url, origin, NoteSigner.from_seed(origin, seed), pins=pins)

    @staticmethod
    def upgrade(url: str) -> tuple[int, Path | None]:
        """Bring a log's database to this program's schema; return the one it had, and the copy made of it."""
        from assay.ledger.migrations.upgrade import upgrade

        return upgrade(url)
