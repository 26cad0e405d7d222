"""The door through which the workspace makes and opens a ledger, knowing only URL, name and key seed."""

from __future__ import annotations

from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import NoteSigner


class SqlLedger:
    """A transparency log in any SQLAlchemy database, signed with an Ed25519 key from a 32-byte seed."""

    @staticmethod
    def create(url: str, *, origin: str, seed: bytes) -> SqlLog:
        """Make an empty log; raises LedgerError if there is one."""
        return SqlLog.create(url, origin, NoteSigner.from_seed(origin, seed))

    @staticmethod
    def open(url: str, *, origin: str, seed: bytes) -> SqlLog:
        """Open a log; raises LedgerError if there is none, or if it is another's."""
        signer = NoteSigner.from_seed(origin, seed)
        return SqlLog.open(url, origin, signer)
