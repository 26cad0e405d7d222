"""Bring a ledger's database to the schema of this program; the log itself, its hashes and proofs stay as they are."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from assay.ledger.store.database import Store
from assay.ledger.store.schema import SCHEMA
from assay.provenance.errors import LedgerError

_HERE = Path(__file__).parent


def upgrade(url: str) -> tuple[int, Path | None]:
    """Upgrade the database at an SQLAlchemy URL; return the schema it had, and the copy made of an SQLite file.

    All of it happens in one transaction. Raises LedgerError where there is no ledger, where its schema is of a
    newer program, or where the copy's place is taken.
    """
    store = Store.open(url)
    try:
        with store.reading() as tx:
            old = tx.schema()
        if old < 1:
            raise LedgerError("the ledger's schema is no version", hint="restore the database from a copy")
        if old > SCHEMA:
            raise LedgerError(f"the ledger has schema {old}; this program uses {SCHEMA}", hint="update Assay")
        if old == SCHEMA:
            return old, None
        copy = store.copy(f".schema{old}")
        with store.writing() as tx:
            configuration = Config()
            configuration.set_main_option("script_location", str(_HERE))
            configuration.attributes["connection"] = tx.connection
            if not tx.has_revision():  # schema 1 was first written before there were migrations
                command.stamp(configuration, f"{old:04}")
            command.upgrade(configuration, "head")
    except CommandError as error:
        raise LedgerError(
            f"the ledger cannot be upgraded: {error}", hint="the database was not changed"
        ) from error
    finally:
        store.close()
    return old, copy
