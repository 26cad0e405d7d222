"""Attacks on the ledger that went through once: each is done for real, and must not go through again."""

from __future__ import annotations

import base64
import datetime as dt
import os
import shutil
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
from assay.ledger.sweep import sweep
from assay.ledger.tlog.note import Checkpoint
from assay.provenance.anchor import AnchorRecord
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


SILENT = (
    ("UPDATE log SET schema = 'text'", "schema version"),
    ("UPDATE checkpoints SET size = 250", "the columns beside it say something else"),
    ("UPDATE anchors SET size = 200", "the columns beside it say something else"),
    ("UPDATE anchors SET root = zeroblob(32)", "the columns beside it say something else"),
    ("UPDATE anchors SET root = ''", "the columns beside it say something else"),
    ("INSERT INTO entries SELECT 9223372036854775807, data FROM entries WHERE idx = 3", "beyond the signed head"),
    ("DROP TABLE bands", "lacks one of its tables"),
    ("ALTER TABLE tiles RENAME COLUMN hashes TO h", "not as it was made"),
    ("CREATE TRIGGER later AFTER INSERT ON entries BEGIN DELETE FROM keys; END", "trigger that is not the ledger's"),
    ("CREATE VIEW later AS SELECT 1", "view that is not the ledger's"),
)  # fmt: skip


@pytest.mark.parametrize(("statement", "words"), SILENT)
def test_a_change_that_no_look_up_would_notice_is_named(url, signer, statement, words):
    with SqlLog.create(url, ORIGIN, signer) as log:
        log.append_many(items(0, 300))
        note = log.checkpoint()
        log.keep_checkpoint(note)
        tree = Checkpoint.peek(note)
        record = AnchorRecord("a", "rfc3161", "t", tree.size, tree.root, note, "stamped", "", "", {})
        log.journal(lambda: dt.datetime(2026, 11, 21, tzinfo=dt.UTC)).save(record)
        assert log.check() == []
    tamper(url, statement)
    try:
        with SqlLog.open(url, ORIGIN, signer) as log:
            said = log.check()
    except LedgerError as error:
        said = [error.message]
    assert any(words in line for line in said), said


def test_numbers_that_no_column_holds_are_answered_like_any_other(log):
    log.append(entry(0))
    for huge in (1 << 63, 10**30):
        with pytest.raises(UsageError, match="there is no entry"):
            log.receipt(huge)
        assert log.kept_checkpoint(huge) is None
        assert log.recovery(huge) is None
        assert not log.erase_recovery(huge)
        assert list(log.leaves(huge, huge + 1)) == list(log.fingerprints(huge)) == []


def run(home: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own, as people do."""
    command = [sys.executable, "-c", "from assay.cli.main import run; run()", "--home", str(home), *args]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environ}, timeout=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    (folder / "note.txt").write_text("a note")
    assert run(folder / "desk", "init").returncode == 0
    assert run(folder / "desk", "ledger", "append", str(folder / "note.txt")).returncode == 0
    return folder / "desk"


class TestTheCommandLine:
    """Whatever is typed gets an answer, and no traceback."""

    @pytest.fixture
    def home(self, made, tmp_path):
        return Path(shutil.copytree(made, tmp_path / "desk"))

    @pytest.mark.parametrize("what", ["²", "٣", "9" * 30, "9" * 5000, "9223372036854775807", "\udcff"])
    def test_an_index_that_is_none(self, home, what):
        for more in ((), ("--cose", "-o", f"{home}/out.cbor")):
            done = run(home, "ledger", "receipt", what, *more)
            assert done.returncode in (2, 4), done.stderr
            assert b"our fault" not in done.stderr

    def test_a_receipt_is_utf_8_on_any_terminal(self, home):
        plain = run(home, "ledger", "receipt", "0").stdout
        assert "\N{EM DASH} ".encode() in plain
        assert run(home, "ledger", "receipt", "0", PYTHONIOENCODING="latin-1").stdout == plain

    def test_a_file_name_steers_no_terminal_and_is_no_fault(self, home, tmp_path):
        for name in ("\x1b[2Jred.txt", "\udcff.txt"):
            (tmp_path / name).write_text(name, errors="surrogateescape")
            done = run(home, "ledger", "append", str(tmp_path / name))
            assert done.returncode == 0, done.stderr
            assert b"\x1b" not in done.stdout

    @pytest.mark.parametrize("what", ["urn:\udcff", "ISCC:\udcff", "a.\udcff:00", "sha256:\udcff"])
    def test_what_is_no_text_is_looked_up_as_a_file(self, home, what):
        done = run(home, "ledger", "find", what)
        assert done.returncode == 4
        assert b"does not exist" in done.stderr

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("witnesses = 5", "witnesses is a string"),
            ('watermark = ["a"]', "watermark is a string"),
            ("read_marks = 5", "read_marks is a list"),
            ("read_marks = [5]", "read_marks is a list"),
            ("tsa = true", "tsa is a string"),
        ],
    )
    def test_a_setting_of_another_type_is_named(self, home, line, words):
        file = home / "assay.toml"
        kept = [old for old in file.read_text().splitlines() if not old.startswith(line.split()[0])]
        file.write_text("\n".join([*kept, line]))
        done = run(home, "ledger", "check")
        assert done.returncode == 5
        assert words in done.stderr.decode()

    def test_shown_settings_hold_no_password(self, home):
        file = home / "assay.toml"
        kept = [line for line in file.read_text().splitlines() if not line.startswith("ledger =")]
        file.write_text("\n".join([*kept, 'ledger = "postgresql://desk:p:w@rd@db.example/ledger"']))
        for more in ((), ("--json",)):
            done = run(home, "config", "show", *more)
            assert done.returncode == 0
            assert b"rd@" not in done.stdout
            assert b"db.example/ledger" in done.stdout


@pytest.mark.parametrize("stop", [1, 200, 256, 300, 511, 512, 600])
def test_a_log_that_grows_under_an_audit_is_no_fault(log, stop):
    """A child of a shared audit sees the log as it is later: the last tile may be full by then."""
    log.append_many(items(0, 600))
    with log._store.reading() as tx:
        found = sweep(tx, 0, stop, seed=7)
    assert found.problems == found.unlike == []
    assert found.keys == found.kept
