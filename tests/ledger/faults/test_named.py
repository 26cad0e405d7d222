"""Faults by name: each is done for real, and the words say what it was."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from assay.ledger.log import SqlLog
from assay.ledger.tlog.merkle import leaf_hash
from assay.ledger.tlog.note import NoteSigner, sign_note
from assay.provenance.errors import LedgerError

from ..worlds import ORIGIN, entry, recovery

APPENDER = """
import json, sys
from assay.ledger.log import SqlLog
from assay.ledger.tlog.merkle import leaf_hash
from assay.ledger.tlog.note import NoteSigner
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
signer = NoteSigner.from_seed("example.org/ledger", b"test seed of the ledger room 123")
with SqlLog.open(url, signer.name, signer) as log:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(0, count, 5):
        made = [
            Entry(Digest.of(f"{name} {number + n}".encode()), "image/png", number + n, "2026-11-21T08:00:00Z")
            for n in range(5)
        ]
        indices = [log.append(made[0]).index, *log.append_many([(made[1], None), (made[2], None)])]
        indices += [pending.index(60) for pending in [log.submit(entry) for entry in made[3:]]]
        head = log.head()
        leaves = [leaf_hash(entry.to_bytes()).hex() for entry in made]
        print(json.dumps([indices, leaves, head.size, head.root.hex()]), flush=True)
"""


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def tamper(url: str, *statements: str) -> None:
    """Do what someone with the file can do."""
    with sqlite3.connect(file_of(url)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS entries_no_update")
        connection.execute("DROP TRIGGER IF EXISTS entries_no_delete")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def items(start: int, stop: int):
    return [(entry(number), None) for number in range(start, stop)]


def faults_of(url: str, signer: NoteSigner) -> list[str]:
    """Return what opening or checking says, in lines."""
    try:
        with SqlLog.open(url, ORIGIN, signer) as log:
            return log.check()
    except LedgerError as error:
        return [f"{error.message} ({error.hint})"]


def test_two_writers_at_once_neither_lose_nor_fork(url, log):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, url, name, "500"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    said = [
        json.loads(line) for writer in writers for line in writer.communicate(timeout=120)[0].splitlines()
    ]
    assert [writer.returncode for writer in writers] == [0, 0]
    told = {
        index: leaf for indices, leaves, _, _ in said for index, leaf in zip(indices, leaves, strict=True)
    }
    assert sorted(told) == list(range(1000))
    assert {index: leaf_hash(leaf).hex() for index, leaf in enumerate(log.leaves())} == told
    # no fork: every head that either was given is a prefix of the one tree
    assert all(log.root(size).hex() == root for _, _, size, root in said)
    assert log.check() == []


def test_a_full_disk_is_called_full_and_nothing_is_lost(disk, signer):
    url = f"sqlite:///{disk.folder}/ledger.db"
    with SqlLog.create(url, ORIGIN, signer) as log:
        told = [log.append(*items(0, 1)[0]).index]
        ballast = disk.fill()
        number = 1
        full = None
        while full is None:
            try:
                told += log.append_many(items(number, number + 20))
                number += 20
            except LedgerError as error:
                full = error
        assert full.message == "no room is left on the ledger's disk; nothing was appended"
        assert "free some space" in full.hint
        with pytest.raises(LedgerError, match="no room is left"):
            log.submit(entry(number)).index(60)
        assert log.size == len(told)
        assert log.check() == []
        ballast.unlink()
        assert log.append(entry(number)).index == len(told)
        assert [item for _, item in log.entries()] == [entry(n) for n in range(number + 1)]
        assert log.check() == []


def test_a_disk_that_is_full_already_when_the_ledger_is_opened(disk, signer):
    url = f"sqlite:///{disk.folder}/ledger.db"
    with SqlLog.create(url, ORIGIN, signer) as log:
        log.append_many(items(0, 300))
    disk.fill()
    with pytest.raises(LedgerError, match="no room is left"):
        SqlLog.open(url, ORIGIN, signer)


def test_a_ledger_whose_file_may_not_be_written_can_be_read(disk, signer):
    url = f"sqlite:///{disk.folder}/ledger.db"
    with SqlLog.create(url, ORIGIN, signer) as log:
        log.append_many(items(0, 10))
    with disk.frozen("ledger.db"), SqlLog.open(url, ORIGIN, signer) as log:
        with pytest.raises(LedgerError, match="cannot be written") as caught:
            log.append(entry(10))
        assert "permissions" in caught.value.hint
        assert (log.size, log.check()) == (10, [])
        assert log.verify_receipt(log.receipt(5)) == ""
    with SqlLog.open(url, ORIGIN, signer) as log:
        assert log.append(entry(10)).index == 10


def test_a_folder_that_may_not_be_written_is_named(disk, signer):
    """SQLite keeps an index beside the file even for reading."""
    url = f"sqlite:///{disk.folder}/ledger.db"
    SqlLog.create(url, ORIGIN, signer).close()
    disk.remount("ro")
    with pytest.raises(LedgerError, match="cannot be opened") as caught:
        SqlLog.open(url, ORIGIN, signer)
    assert "folder" in caught.value.hint
    assert "writable" in caught.value.hint


NAMED = {
    "re-ordered rows": (
        (
            "UPDATE entries SET idx = 100000 WHERE idx = 300",
            "UPDATE entries SET idx = 300 WHERE idx = 301",
            "UPDATE entries SET idx = 301 WHERE idx = 100000",
        ),
        ("entry 300 was moved: what stands there was logged as entry 301", "entry 301 was moved"),
    ),
    "a removed tile of leaf hashes": (
        ("DELETE FROM tiles WHERE level = 0 AND number = 1",),
        ("tile 0/1 has 0 bytes instead of 8192",),
    ),
    "an edited tile": (
        ("UPDATE tiles SET hashes = (SELECT hashes FROM tiles WHERE level = 0 AND number = 1) "
         "WHERE level = 0 AND number = 0",),
        ("tile 0/0: the hash of entry 0 was changed; the entry is sound",),
    ),
    "rows taken from the middle, the rest moved up": (
        (
            "DELETE FROM entries WHERE idx = 300",
            *(f"UPDATE entries SET idx = {at - 1} WHERE idx = {at}" for at in range(301, 600)),
        ),
        ("entry 300 was moved: what stands there was logged as entry 301", "entry 599 is missing"),
    ),
    "a row put in twice": (
        ("INSERT INTO entries SELECT 600, data FROM entries WHERE idx = 5",),
        ("entry 600 stands beyond the signed head of 600 entries",),
    ),
    "an entry, its keys and its hash, all edited alike": (
        ("DELETE FROM keys WHERE idx = 599", "DELETE FROM entries WHERE idx = 599", "DELETE FROM tail WHERE idx = 599"),
        ("entry 599 is missing", "the hashes of the last 88 entries are incomplete"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_a_change_to_the_database_is_named(url, log, signer, name):
    statements, words = NAMED[name]
    log.append_many(items(0, 600))
    tamper(url, *statements)
    faults = faults_of(url, signer)
    for line in words:
        assert any(line in fault for fault in faults), faults


def test_nothing_is_appended_over_a_row_beyond_the_head(url, log, signer):
    log.append_many(items(0, 10))
    tamper(url, "INSERT INTO entries SELECT 10, data FROM entries WHERE idx = 5")
    with pytest.raises(LedgerError, match="entries beyond its head"):
        log.append(entry(10))
    assert log.size == 10


def test_a_checkpoint_forged_with_another_key_is_not_believed(url, log, signer):
    log.append_many(items(0, 10))
    forger = NoteSigner.from_seed(ORIGIN, bytes(32))
    forged = sign_note(replace(log.head(), size=9).to_text(), forger)
    with sqlite3.connect(file_of(url)) as connection:
        connection.execute("UPDATE log SET size = 9, note = ?", (forged,))
    connection.close()
    for attempt in (
        log.checkpoint,
        lambda: log.receipt(3),
        lambda: log.append(entry(10)),
        lambda: log.root(3),
    ):
        with pytest.raises(LedgerError, match="head cannot be trusted"):
            attempt()
    assert any("the head's signature does not verify" in line for line in log.check())
    assert "cannot be trusted" in faults_of(url, signer)[0]


@pytest.mark.parametrize("keep", [0, 1, 99, 100, 4096, 20_000, 100_000])
def test_a_truncated_file_is_called_damaged_or_no_ledger(url, signer, keep):
    with SqlLog.create(url, ORIGIN, signer) as log:
        log.append_many(items(0, 600))
    with file_of(url).open("r+b") as file:
        assert file.seek(0, 2) > keep
        file.truncate(keep)
    faults = faults_of(url, signer)
    assert any("damaged" in line or "no ledger" in line or "not a ledger" in line for line in faults), faults


@pytest.mark.parametrize("part", [-1, -5000, 40, 0])
def test_a_truncated_write_ahead_log_is_an_older_copy(url, signer, part):
    """What it held is gone as if it had never been; only who was told of it can tell."""
    with SqlLog.create(url, ORIGIN, signer) as log:
        log.append_many(items(0, 300))
        log.append_many(items(300, 400))
        told = log.checkpoint()
        for suffix in ("", "-wal"):
            shutil.copy(f"{file_of(url)}{suffix}", f"{file_of(url)}.copy{suffix}")
    wal = Path(f"{file_of(url)}.copy-wal")
    data = wal.read_bytes()
    wal.write_bytes(data[:part])
    try:
        with SqlLog.open(f"{url}.copy", ORIGIN, signer, pins=[told]) as log:
            assert log.size < 400
            assert ["an older copy was restored" in line for line in log.check()] == [True]
            with pytest.raises(LedgerError, match="an older copy was restored"):
                log.append(entry(400))
    except LedgerError as error:
        assert "holds no ledger" in error.message  # the tables themselves were still in the write-ahead log


def test_a_restored_backup_is_refused_once_it_was_seen_from_outside(url, log, signer, tmp_path):
    backup = f"sqlite:///{tmp_path}/backup.db"
    log.append_many(items(0, 300))
    with sqlite3.connect(file_of(url)) as here, sqlite3.connect(file_of(backup)) as there:
        here.backup(there)
    here.close()
    there.close()
    log.append_many(items(300, 400))
    seen = log.checkpoint()
    with SqlLog.open(backup, ORIGIN, signer) as restored:
        assert restored.check() == []  # sound in itself: that is the trap
    with SqlLog.open(backup, ORIGIN, signer, pins=[seen]) as restored:
        for attempt in (
            lambda: restored.append(entry(300)),
            lambda: restored.append_many(items(300, 302)),
            lambda: restored.submit(entry(300)).index(60),
        ):
            with pytest.raises(
                LedgerError, match=r"holds 300 entries, but the ledger had 400 .* an older copy"
            ):
                attempt()
        assert restored.verify_receipt(restored.receipt(5)) == ""
        assert restored.size == 300
    with SqlLog.open(url, ORIGIN, signer, pins=[seen]) as right:
        assert right.append(entry(400)).index == 400


def test_a_backup_that_was_appended_to_is_a_fork(url, log, signer, tmp_path):
    log.append_many(items(0, 300))
    shutil.copy(file_of(url), tmp_path / "fork.db")
    for suffix in ("-wal",):
        shutil.copy(f"{file_of(url)}{suffix}", f"{tmp_path}/fork.db{suffix}")
    log.append(entry(300))
    seen = log.checkpoint()
    fork = f"sqlite:///{tmp_path}/fork.db"
    with SqlLog.open(fork, ORIGIN, signer) as other:
        other.append_many(items(1000, 1010))
        assert other.check() == []
    with (
        SqlLog.open(fork, ORIGIN, signer, pins=[seen]) as other,
        pytest.raises(LedgerError, match="forked or rewritten"),
    ):
        other.append(entry(5))


def test_an_operator_who_rewrites_everything_is_contradicted_by_a_pin(url, signer, tmp_path):
    with SqlLog.create(url, ORIGIN, signer) as log:
        log.append_many(items(0, 300))
        seen = log.checkpoint()
    rewritten = f"sqlite:///{tmp_path}/rewritten.db"
    with SqlLog.create(rewritten, ORIGIN, signer) as log:
        log.append_many([*items(0, 100), (replace(entry(100), generator="another"), None), *items(101, 350)])
    with SqlLog.open(rewritten, ORIGIN, signer, pins=[seen]) as log:
        assert ["forked or rewritten" in line for line in log.check()] == [True]
        with pytest.raises(LedgerError, match="forked or rewritten"):
            log.append(entry(350))


def test_a_duplicate_is_called_a_duplicate_and_never_a_fault(url, log, signer):
    log.append_many([*items(0, 300), *items(100, 110)])
    assert log.append(entry(105)).index == 310
    assert log.check() == []
    assert sorted(count for _, count in log.duplicates()) == [2] * 9 + [3]
    assert [found.receipt.index for found in log.find_digest(entry(105).digest)] == [105, 305, 310]


def test_a_key_that_leads_beyond_the_log_hides_no_entry_and_is_named(url, log, signer):
    log.append_many(items(0, 10))
    for index in (10, 100_000):
        tamper(url, f"INSERT INTO keys SELECT run, key, {index} FROM keys WHERE idx = 5")
    assert [found.receipt.index for found in log.find_digest(entry(5).digest)] == [5]
    assert any("look-up keys lead to no entry of this ledger" in line for line in log.check())


TYPES = (
    "UPDATE entries SET data = 'text' WHERE idx = 3",
    "UPDATE entries SET data = 5 WHERE idx = 3",
    "UPDATE tiles SET hashes = 'text' WHERE level = 0 AND number = 0",
    "UPDATE tiles SET hashes = hashes || hashes WHERE level = 0 AND number = 0",
    "UPDATE tail SET hash = 'text' WHERE idx = 299",
    "UPDATE log SET root = 'text'",
    "UPDATE log SET note = X'00'",
    "UPDATE log SET size = 'text'",
    "UPDATE recoveries SET sketch = 'text'",
    "UPDATE recoveries SET fingerprint = 'text'",
    "UPDATE recoveries SET quality = 'text'",
    "UPDATE recoveries SET bindings = '{'",
    "INSERT INTO checkpoints VALUES (5, X'00')",
    "INSERT INTO keys VALUES (0, 'text', 5)",
)


@pytest.mark.parametrize("statement", TYPES)
def test_a_value_of_another_kind_is_a_fault_and_no_crash(url, signer, statement):
    """SQLite keeps anything in any column; `UPDATE entries SET data = '…'` is what a careless hand types."""
    kept = recovery(0)
    with SqlLog.create(url, ORIGIN, signer) as log:
        log.append_many([(entry(0, kept), kept), *items(1, 300)])
    tamper(url, statement)
    assert faults_of(url, signer) != []
