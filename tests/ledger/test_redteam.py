"""Attacks on the ledger that went through once: each is done for real, and must not go through again."""

from __future__ import annotations

import base64
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from assay.ledger import apart
from assay.ledger.log import SqlLog
from assay.provenance.errors import LedgerError

from .worlds import ORIGIN, entry

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
