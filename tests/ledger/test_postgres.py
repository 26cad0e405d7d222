"""The same log in PostgreSQL, on a real server."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlalchemy as sa

from assay.ledger.log import SqlLog
from assay.ledger.migrations.upgrade import upgrade
from assay.ledger.tlog.merkle import Frontier, leaf_hash
from assay.provenance.asset import Digest
from assay.provenance.errors import LedgerError

from .servers import PostgreSql
from .test_log import WRITER
from .test_migrations import migrate
from .worlds import ORIGIN, entry, recovery

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = PostgreSql(str(tmp_path_factory.mktemp("pg")))
    yield server
    server.stop()


@pytest.fixture
def url(server):
    return server.new_database()


def meddle(url: str, *statements: str) -> None:
    """Do what someone with the database's password can do."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE entries DISABLE TRIGGER USER")
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_log_in_postgresql_grows_proves_finds_and_checks(log, url, signer):
    kept = recovery(0)
    frontier = Frontier()
    log.append(entry(0, kept), kept)
    log.append_many([(entry(number), None) for number in range(1, 700)])
    for number in range(700):
        frontier.append(leaf_hash(entry(number, kept if not number else None).to_bytes()))
    assert (log.head().size, log.head().root) == (700, frontier.root())
    assert all(log.verify_receipt(log.receipt(index)) == "" for index in (0, 255, 256, 699))
    assert log.find_digest(entry(5).digest)[0].receipt.index == 5
    assert log.find_fingerprint(kept.fingerprint)[0].recovery == kept
    assert log.erase_recovery(0)
    assert log.check() == []
    with SqlLog.open(url, ORIGIN, signer) as again:
        assert again.append(entry(700), None).index == 700
    with pytest.raises(LedgerError, match="never overwritten"):
        SqlLog.create(url, ORIGIN, signer)


def test_two_processes_append_without_loss(log, url):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, name, "60"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    said = [process.communicate("go\n")[0].split()[1:] for process in processes]
    indices = sorted(int(index) for words in said for index in words[::2])
    assert indices == list(range(120)) == list(range(log.size))
    for words in said:
        for index, digest in zip(words[::2], words[1::2], strict=True):
            assert [found.receipt.index for found in log.find_digest(Digest.parse(digest))] == [int(index)]
    assert log.check() == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE entries SET data = '\\x00' WHERE idx = 300", "entry 300"),
        ("DELETE FROM entries WHERE idx = 302", "entry 302 is missing"),
        ("UPDATE tiles SET hashes = '\\x00' WHERE level = 0 AND number = 1", "tile 0/1 has 1 bytes"),
        ("DELETE FROM keys WHERE idx = 301", "entry 301: 3 of its look-up keys"),
        ("UPDATE log SET size = 599", "the head's columns were changed"),
    ],
)
def test_the_audit_names_the_faulty_row(log, url, statement, words):
    log.append_many([(entry(number), None) for number in range(600)])
    meddle(url, statement)
    assert any(words in line for line in log.check()), log.check()


def test_entries_resist_a_careless_hand(log, url):
    log.append(entry(0), None)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    for statement in ("UPDATE entries SET idx = 5", "DELETE FROM entries"):
        with pytest.raises(sa.exc.DBAPIError, match="never changed"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_server_that_is_not_there_is_named(signer):
    with pytest.raises(LedgerError, match="does not answer"):
        SqlLog.open("postgresql://nobody@127.0.0.1:1/none", ORIGIN, signer)


def test_an_empty_database_is_named(url, signer):
    with pytest.raises(LedgerError, match="holds no ledger"):
        SqlLog.open(url, ORIGIN, signer)


def test_an_old_schema_is_brought_up_to_date(url, signer):
    other = url.replace("postgresql://", "postgresql+psycopg://")
    migrate(other, "0001")
    engine = sa.create_engine(other)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO log VALUES (1, 1, 'x', 'x', 0, '', '')")
    engine.dispose()
    assert upgrade(url)[0] == 1
    assert upgrade(url) == (2, None)
