"""The door through which the workspace makes and opens a ledger, knowing only URL, name and key seed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import NoteSigner

if TYPE_CHECKING:
    from assay.ledger.anchors.keeper import AnchorKeeper
    from assay.provenance.net import Net


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
    def read(url: str, *, origin: str, vkeys: Sequence[str]) -> SqlLog:
        """Open a log, such as a mirror of somebody else's, for reading; ``vkeys`` are the keys to believe."""
        return SqlLog.open(url, origin, vkeys=vkeys)

    @staticmethod
    def keeper(
        log: SqlLog,
        anchors: Mapping[str, Mapping[str, Any]],
        *,
        home: Path,
        now: Callable[[], dt.datetime],
        read_secret: Callable[[str], bytes],
        net: Callable[[], Net],
        random: Callable[[int], bytes],
    ) -> AnchorKeeper:
        """Make the keeper of a log's anchors; ``anchors`` are the tables of the settings, by name.

        The rest is what ``assay.ledger.anchors.context.Context`` says. Raises ConfigurationError, UsageError or
        CredentialError where an anchor cannot be made of its table.
        """
        from assay.ledger.anchors.context import Context
        from assay.ledger.anchors.keeper import AnchorKeeper, open_anchors

        context = Context(home=home, now=now, read_secret=read_secret, net=net, random=random)
        return AnchorKeeper(log, open_anchors(anchors, context), log.journal(now))

    @staticmethod
    def upgrade(url: str) -> tuple[int, Path | None]:
        """Bring a log's database to this program's schema; return the one it had, and the copy made of it."""
        from assay.ledger.migrations.upgrade import upgrade

        return upgrade(url)
