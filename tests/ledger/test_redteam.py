"""Attacks on the ledger that went through once: each is done for real, and must not go through again."""

from __future__ import annotations

import base64
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from assay.ledger import apart
from assay.ledger.log import SqlLog
from assay.ledger.store.database import Store
from assay.provenance.entry import Fingerprint
from assay.provenance.errors import LedgerError, UsageError

from .worlds import ORIGIN, entry, recovery

TABLES = ("log", "entries", "tail", "tiles", "keys")


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def tamper(url: str, *statements: str, values: tuple[object, ...] = ()) -> None:
    """Do what someone with the database can do, while the ledger is open elsewhere."""
    connection = sqlite3.connect(file_of(url))
    with connection:
        for verb in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS entries_no_{verb}")
        for statement in statements:
            connection.execute(statement, values)
    connection.close()


def items(start: int, stop: int):
    return [(entry(number), None) for number in range(start, stop)]


def head_note(url: str) -> str:
    connection = sqlite3.connect(file_of(url))
    (note,) = connection.execute("SELECT note FROM log").fetchone()
    connection.close()
    return note


class TestAnOperatorWithoutTheKey:
    """Who can write the database, and has no key, gets nothing signed that the log did not do."""

    def test_cannot_have_another_tree_signed_by_naming_it_in_the_origin_column(self, url, log):
        log.append_many(items(0, 3))
        before = head_note(url)
        forged = f"{ORIGIN}\n1000000\n{base64.b64encode(b'E' * 32).decode()}\nx"
        tamper(url, "UPDATE log SET origin = ?", values=(forged,))
        with pytest.raises(LedgerError, match="names another ledger or key"):
            log.append_many(items(3, 4))
        with pytest.raises(LedgerError, match="names another ledger or key"):
            log.append(entry(4))
        assert head_note(url) == before

    def test_cannot_change_whose_key_the_log_says_it_has(self, url, log):
        log.append_many(items(0, 3))
        tamper(url, "UPDATE log SET vkey = 'evil+00000000+AAAA'")
        with pytest.raises(LedgerError, match="names another ledger or key"):
            log.append_many(items(3, 4))

    def test_cannot_lead_a_running_log_back_and_have_it_fork(self, url, log):
        log.append_many(items(0, 5))
        connection = sqlite3.connect(file_of(url))
        old = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
        connection.close()
        log.append_many(items(5, 9))
        tamper(url, *(f"DELETE FROM {table}" for table in TABLES))
        connection = sqlite3.connect(file_of(url))
        with connection:
            for table, rows in old.items():
                for row in rows:
                    connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
        connection.close()
        assert log.size == 5  # what is there now is sound in itself
        with pytest.raises(LedgerError, match=r"holds 5 entries, but the ledger had 9 .* older copy"):
            log.append_many(items(50, 54))
        with pytest.raises(LedgerError, match="older copy"):
            log.append(entry(60))
        assert log.size == 5

    def test_another_writer_of_the_same_log_is_no_rollback(self, url, log, signer):
        with SqlLog.open(url, ORIGIN, signer) as other:
            for number in range(0, 600, 2):
                log.append(entry(number))
                other.append(entry(number + 1))
        assert log.size == 600
        assert log.check() == []


def test_an_audit_runs_no_code_from_the_folder_it_is_called_in(tmp_path, monkeypatch):
    for name in ("json", "sqlalchemy", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('somebody else\\'s code ran')")
    monkeypatch.chdir(tmp_path)
    child = subprocess.run(apart._COMMAND, input="", capture_output=True, text=True, timeout=60)
    assert "somebody else" not in child.stderr
    assert sys.executable == apart._COMMAND[0]


class TestWhoeverAppendsBesideOthers:
    """Entries of several callers share a transaction; nobody can spoil it for the others."""

    def test_brings_down_nobody_with_an_entry_that_cannot_be_logged(self, log):
        too_large = replace(entry(3), generator="x" * 70_000)
        held = recovery(4)
        unstorable = replace(held, fingerprint=Fingerprint("pdq", b"v" * 32, 1 << 40))
        log._appender._lock.acquire()  # as if a commit took long: what comes in now shares the next one
        try:
            pending = [log.submit(entry(number)) for number in (1, 2)]
            with pytest.raises(LedgerError, match="more than 65535"):
                log.submit(too_large)
            with pytest.raises(UsageError, match="cannot be stored"):
                log.submit(entry(4, unstorable), unstorable)
            pending.append(log.submit(entry(5)))
        finally:
            log._appender._lock.release()
        assert [item.index(30) for item in pending] == [0, 1, 2]
        assert log.check() == []

    def test_in_a_forked_process_is_told_and_waits_for_nobody(self, log):
        log.append(entry(0))  # the writer's thread runs, and does not in the child
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            said = 0
            for attempt in (lambda: log.append(entry(1)), lambda: log.append_many(items(1, 2))):
                try:
                    attempt()
                except LedgerError as error:
                    said += "another process" in error.message
            os._exit(said)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
        assert log.append(entry(2)).index == 1
        assert log.check() == []


def test_a_damaged_tree_does_not_keep_its_ledger_from_being_checked(url, log, signer):
    log.append_many(items(0, 300))
    pin = log.checkpoint()
    tamper(url, "DELETE FROM tiles")
    with SqlLog.open(url, ORIGIN, signer, pins=[pin]) as again:
        assert any("tile 0/0" in line for line in again.check())
        with pytest.raises(LedgerError, match="tree cannot be read"):
            again.append(entry(300))


def test_the_key_that_anchors_and_witnesses_go_by_is_not_read_from_a_column(url, log):
    log.append(entry(0))
    tamper(url, "UPDATE log SET vkey = 'evil+00000000+AAAA'")
    with pytest.raises(LedgerError, match="names another key"):
        _ = log.vkey


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://me:s3cret@host:port/db",
        "postgresql://me:s3cret@[::1/db",
        "://me:s3cret@",
        "sqlite:///ledger.db?timeout=abc",
        "sqlite:///ledger.db?uri=true&nolock=1",
        "sqlite:////tmp/a?b/ledger.db",
    ],
)
def test_a_url_that_cannot_be_is_refused_in_words_without_its_password(wrong, signer):
    for attempt in (lambda: SqlLog.open(wrong, ORIGIN, signer), lambda: SqlLog.create(wrong, ORIGIN, signer)):
        with pytest.raises(LedgerError) as caught:
            attempt()
        assert "s3cret" not in f"{caught.value} {caught.value.__cause__}"


def test_the_copy_made_before_an_upgrade_is_its_owners_and_whole(url, log):
    log.append_many(items(0, 300))
    before = os.umask(0o022)
    try:
        copy = log._store.copy(".old")
    finally:
        os.umask(before)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in copy.parent.iterdir() if path.name.startswith(".")} == set()
    with pytest.raises(LedgerError, match="a file stands where the copy would go"):
        log._store.copy(".old")
    (copy.parent / "no-ledger.db").write_bytes(b"x" * 4096)
    with pytest.raises(LedgerError, match="not a ledger"):
        Store.open(f"sqlite:///{copy.parent}/no-ledger.db").copy(".old")
    names = {path.name.partition("-")[0] for path in copy.parent.iterdir()}
    assert names == {"ledger.db", "ledger.db.old", "no"}  # nothing half made is left
