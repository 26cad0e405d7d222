"""Ledgers of earlier schemas: their leaves, roots, receipts and look-ups survive an upgrade."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

import assay.ledger.migrations.upgrade as upgrading
from assay.ledger.log import SqlLog
from assay.ledger.migrations.upgrade import upgrade
from assay.ledger.store.schema import metadata
from assay.ledger.tlog.merkle import Frontier, leaf_hash
from assay.ledger.tlog.note import Checkpoint, sign_note
from assay.ledger.tlog.tiles import subtree_roots
from assay.provenance.errors import LedgerError
from assay.provenance.mark import Mark

from .worlds import ORIGIN, SCHEME, entry, recovery


def migrate(url: str, revision: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        configuration = Config()
        configuration.set_main_option("script_location", str(Path(upgrading.__file__).parent))
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)
    engine.dispose()


@pytest.fixture
def old(url, signer):
    """A ledger as Assay 0.1 wrote it, of 600 entries, written here row by row."""
    migrate(url, "0001")
    kept = recovery(3)
    leaves = [entry(n, kept if n == 3 else None) for n in range(600)]
    frontier, hashes = Frontier(), []
    with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
        db.execute("DROP TABLE alembic_version")  # 0.1 knew no migrations
        for number, leaf in enumerate(leaves):
            hashes.append(leaf_hash(leaf.to_bytes()))
            frontier.append(hashes[-1])
            row = (number, leaf.to_bytes(), str(leaf.digest), leaf.manifest_label, SCHEME, f"{number:016x}")
            db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)
        for number in range(3):
            db.execute("INSERT INTO tiles VALUES (0, ?, ?)", (number, b"".join(hashes[256 * number :][:256])))
        upper = [subtree_roots(b"".join(hashes[256 * n :][:256]))[-1] for n in range(2)]
        db.execute("INSERT INTO tiles VALUES (1, 0, ?)", (b"".join(upper),))
        db.execute(
            "INSERT INTO recoveries VALUES (3, ?, ?, ?, ?, ?, ?)",
            (kept.fingerprint.alg, kept.fingerprint.value, 100, kept.salt, kept.sketch, kept.manifest),
        )
        note = sign_note(Checkpoint(ORIGIN, 600, frontier.root()).to_text(), signer)
        row = (ORIGIN, signer.vkey, 600, frontier.root(), note)
        db.execute("INSERT INTO log VALUES (1, 1, ?, ?, ?, ?, ?)", row)
    db.close()
    return url


def test_an_old_ledger_says_how_to_go_on(old, signer):
    with pytest.raises(LedgerError, match="schema version 1") as caught:
        SqlLog.open(old, ORIGIN, signer)
    assert "assay ledger upgrade" in caught.value.hint


def test_an_upgraded_ledger_has_its_head_its_proofs_and_its_look_ups(old, signer):
    before = dict(sqlite3.connect(old.removeprefix("sqlite:///")).execute("SELECT idx, data FROM entries"))
    schema, copy = upgrade(old)
    assert schema == 1
    assert copy is not None
    assert dict(sqlite3.connect(copy).execute("SELECT idx, data FROM entries")) == before
    with SqlLog.open(old, ORIGIN, signer) as log:
        assert log.size == 600
        assert list(log.leaves()) == [before[index] for index in range(600)]
        bands = [line for line in log.check() if "band" not in line]
        assert bands == []
        assert [item.receipt.index for item in log.find_mark(Mark(SCHEME, f"{599:016x}"))] == [599]
        assert [item.receipt.index for item in log.find_manifest("urn:c2pa:7")] == [7]
        assert log.find_digest(entry(3).digest)[0].recovery == recovery(3)
        assert log.verify_receipt(log.append(entry(600), None)) == ""
        with pytest.raises(LedgerError, match="never changed"), log._store.writing() as tx:
            tx.connection.exec_driver_sql("DELETE FROM entries")
    assert upgrade(old) == (2, None)


def test_a_failed_upgrade_changes_nothing(old):
    file = old.removeprefix("sqlite:///")
    with sqlite3.connect(file) as db:
        db.execute("DROP INDEX ix_entries_mark")  # the last step but three stumbles over it
    with pytest.raises(LedgerError):
        upgrade(old)
    assert sqlite3.connect(file).execute("SELECT schema FROM log").fetchall() == [(1,)]
    assert ("keys",) not in sqlite3.connect(file).execute("SELECT name FROM sqlite_master").fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET data = 'text' WHERE idx = 3",
        f"UPDATE entries SET data = CAST('{'[' * 100_000}' AS BLOB) WHERE idx = 3",
        "UPDATE tiles SET hashes = 'text' WHERE level = 0 AND number = 2",
        "UPDATE log SET size = 'text'",
        "UPDATE log SET schema = 'text'",
    ],
)
def test_an_old_ledger_that_was_changed_is_upgraded_and_named_or_refused_in_words(old, signer, statement):
    with sqlite3.connect(old.removeprefix("sqlite:///")) as db:
        db.execute("DROP TRIGGER entries_no_update")
        db.execute(statement)
    db.close()
    try:
        upgrade(old)
        with SqlLog.open(old, ORIGIN, signer) as log:
            said = log.check()
    except LedgerError as error:
        said = [error.message]
    assert said != []


def test_a_newer_ledger_is_left_alone(url, log, signer):
    with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
        db.execute("UPDATE log SET schema = 9")
    with pytest.raises(LedgerError, match="schema 9"):
        upgrade(url)


def test_migrations_and_a_new_ledger_lead_to_the_same_tables(url, log, tmp_path):
    migrated = f"sqlite:///{tmp_path / 'migrated.db'}"
    migrate(migrated, "0001")
    with sqlite3.connect(migrated.removeprefix("sqlite:///")) as db:
        db.execute("INSERT INTO log VALUES (1, 1, 'x', 'x', 0, x'', '')")
    migrate(migrated, "head")

    def shape(where: str) -> str:
        engine = sa.create_engine(where)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            inspector = sa.inspect(connection)
            tables = {
                table: [
                    sorted((c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)),
                    inspector.get_pk_constraint(table)["constrained_columns"],
                ]
                for table in inspector.get_table_names()
            }
            triggers = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
            tables["triggers"] = sorted(triggers.scalars())
        engine.dispose()
        return json.dumps(tables, sort_keys=True)

    assert shape(url) == shape(migrated)
