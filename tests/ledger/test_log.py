from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.ledger.likeness.bands import MAX_DISTANCE, bands, distance, probes
from assay.ledger.log import SqlLog
from assay.ledger.lookup import key_of, leaf_keys, stored
from assay.ledger.store.database import Store
from assay.ledger.tlog.merkle import Frontier, leaf_hash
from assay.ledger.tlog.note import Checkpoint, NoteSigner, sign_note
from assay.ledger.view import MAX_FOUND
from assay.provenance.asset import Digest
from assay.provenance.entry import Fingerprint
from assay.provenance.errors import AssayError, LedgerError, UsageError
from assay.provenance.mark import Mark

from .worlds import ORIGIN, SCHEME, entry, recovery

WRITER = """
import sys
from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import NoteSigner
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
signer = NoteSigner.from_seed("example.org/ledger", b"test seed of the ledger room 123")
log = SqlLog.open(url, signer.name, signer)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    entry = Entry(Digest.of(f"{name} {number}".encode()), "image/png", number, "2026-11-21T08:00:00Z")
    print(log.append(entry, None).index, entry.digest, flush=True)
"""


def writer(url: str, name: str, count: int) -> subprocess.Popen[str]:
    """Start another process that appends as soon as it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def test_receipts_of_a_growing_log_verify_and_the_root_is_that_of_the_leaves(log):
    frontier = Frontier()
    for number in range(5):
        receipt = log.append(entry(number), None)
        frontier.append(leaf_hash(entry(number).to_bytes()))
        assert log.verify_receipt(receipt) == ""
        assert (receipt.index, receipt.tree_size) == (number, number + 1)
    assert log.append_many([(entry(number), None) for number in range(5, 600)]) == range(5, 600)
    for number in range(5, 600):
        frontier.append(leaf_hash(entry(number).to_bytes()))
    head = Checkpoint.peek(log.checkpoint())
    assert (head.size, head.root) == (600, frontier.root()) == (log.size, frontier.root())
    assert all(log.verify_receipt(log.receipt(index)) == "" for index in (0, 4, 255, 256, 511, 512, 599))
    assert [item for _, item in log.entries(250, 260)] == [entry(number) for number in range(250, 260)]
    assert log.check() == []


def test_a_reopened_log_goes_on_where_it_stopped(url, signer):
    with SqlLog.create(url, ORIGIN, signer) as log:
        log.append_many([(entry(number), None) for number in range(300)])
    with SqlLog.open(url, ORIGIN, signer) as log:
        assert log.append(entry(300), None).index == 300
        assert log.check() == []


def test_nothing_is_ever_overwritten(url, log, signer, tmp_path):
    with pytest.raises(LedgerError, match="never overwritten"):
        SqlLog.create(url, ORIGIN, signer)
    other = tmp_path / "notes.txt"
    other.write_text("something else")
    with pytest.raises(LedgerError, match="never overwritten"):
        SqlLog.create(f"sqlite:///{other}", ORIGIN, signer)
    assert other.read_text() == "something else"


def test_opening_never_creates(tmp_path, signer):
    for url in (f"sqlite:///{tmp_path}/none.db", f"sqlite:///{tmp_path}/no/folder.db"):
        with pytest.raises(LedgerError, match="there is no ledger") as caught:
            SqlLog.open(url, ORIGIN, signer)
        assert "assay ledger init" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_creating_in_a_missing_folder_leaves_nothing(tmp_path, signer):
    with pytest.raises(LedgerError, match="cannot be created"):
        SqlLog.create(f"sqlite:///{tmp_path}/no/ledger.db", ORIGIN, signer)
    with pytest.raises(LedgerError, match="memory"):
        SqlLog.create("sqlite://", ORIGIN, signer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["nonsense", "nosuchdatabase://host/ledger", ""])
def test_a_url_that_leads_nowhere_is_a_ledger_error(url, signer):
    for attempt in (lambda: SqlLog.open(url, ORIGIN, signer), lambda: SqlLog.create(url, ORIGIN, signer)):
        with pytest.raises(LedgerError):
            attempt()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "holds no ledger"), (b"neither SQLite nor anything " * 40, "not an SQLite database")],
)
def test_a_file_that_is_no_ledger_is_named_and_left_alone(tmp_path, signer, content, message):
    file = tmp_path / "ledger.db"
    file.write_bytes(content)
    with pytest.raises(LedgerError, match=message):
        SqlLog.open(f"sqlite:///{file}", ORIGIN, signer)
    assert file.read_bytes() == content


def test_the_wrong_name_key_or_version_is_refused(url, log, signer):
    stranger = NoteSigner.from_seed(ORIGIN, bytes(32))
    with pytest.raises(LedgerError, match="this is the ledger"):
        SqlLog.open(url, "example.org/other", None, [signer.vkey])
    with pytest.raises(LedgerError, match="not this ledger's"):
        SqlLog.open(url, ORIGIN, stranger)
    for vkeys in ([], [stranger.vkey]):
        with pytest.raises(LedgerError, match="cannot be trusted"):
            SqlLog.open(url, ORIGIN, None, vkeys)
    with pytest.raises(UsageError):
        SqlLog.create(url + "2", "example.org/other", signer)
    for version, way in ((1, "ledger upgrade"), (3, "update Assay")):
        tamper(url, f"UPDATE log SET schema = {version}")
        with pytest.raises(LedgerError, match=f"schema version {version}") as caught:
            SqlLog.open(url, ORIGIN, signer)
        assert way in caught.value.hint


def test_a_reader_cannot_append(url, log, signer):
    with SqlLog.open(url, ORIGIN, None, [signer.vkey]) as reader:
        with pytest.raises(UsageError, match="for reading"):
            reader.append(entry(0), None)
        log.append(entry(0), None)
        assert reader.size == 1


def test_a_failed_append_changes_nothing_and_the_next_one_is_right(url, signer, log):
    """Keeping the tree's edge of a transaction that was rolled back would sign a wrong root."""

    class Failing(NoteSigner):
        broken = False

        def sign(self, message: bytes) -> bytes:
            if self.broken:
                raise LedgerError("the key's token was pulled out")
            return super().sign(message)

    log.append(entry(0), recovery=None)
    failing = Failing.from_seed(ORIGIN, b"test seed of the ledger room 123")
    with SqlLog.open(url, ORIGIN, failing) as other:
        other.append_many([(entry(number), None) for number in range(1, 255)])
        before = log.checkpoint()
        failing.broken = True
        with pytest.raises(LedgerError, match="pulled out"):
            other.append_many([(entry(number), None) for number in range(1000, 1010)])
        assert log.checkpoint() == before
        failing.broken = False
        assert other.append(entry(255), None).index == 255
    assert (log.size, log.check()) == (256, [])


def test_a_recovery_record_must_be_the_one_its_entry_names(log):
    for item in (
        (entry(0), recovery(0)),
        (entry(0, recovery(0)), None),
        (entry(0, recovery(0)), recovery(1)),
    ):
        with pytest.raises(UsageError, match="recovery"):
            log.append(*item)
    assert log.size == 0


def test_two_processes_append_without_loss(url, log):
    processes = [writer(url, name, 40) for name in ("one", "two")]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    mine = [log.append(entry(number), None).index for number in range(20)]
    said = [process.communicate()[0].split() for process in processes]
    indices = sorted(mine + [int(index) for words in said for index in words[::2]])
    assert indices == list(range(100)) == list(range(log.size))
    for words in said:
        for index, digest in zip(words[::2], words[1::2], strict=True):
            assert [found.receipt.index for found in log.find_digest(Digest.parse(digest))] == [int(index)]
    assert log.check() == []


def test_threads_append_without_loss(log):
    def work(start: int) -> None:
        for number in range(start, start + 10):
            log.append(entry(number), None)

    threads = [threading.Thread(target=work, args=(100 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (log.size, log.check()) == (40, [])


def test_killed_writers_lose_nothing_they_acknowledged(url, log):
    rng = random.Random(7)
    acknowledged = {}
    for attempt in range(6):
        process = writer(url, f"attempt {attempt}", 10_000)
        process.stdin.write("go\n")
        process.stdin.flush()
        timer = threading.Timer(rng.uniform(0.02, 0.4), process.send_signal, (signal.SIGKILL,))
        timer.start()
        lines = process.communicate()[0].split("\n")[:-1]
        timer.join()
        acknowledged.update((int(line.split()[0]), line.split()[1]) for line in lines if line.count(" ") == 1)
    assert acknowledged
    stored = dict(log.entries())
    assert all(str(stored[index].digest) == digest for index, digest in acknowledged.items())
    assert log.check() == []
    assert log.append(entry(0), None).index == len(stored)


def test_a_full_disk_leaves_the_log_as_it_was(url, log, signer):
    log.append(entry(0), None)
    script = WRITER.replace("import sys", "import resource, signal, sys", 1).replace(
        'print("ready", flush=True)',
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000,) * 2)",
    )
    run = subprocess.run(
        [sys.executable, "-c", script, url, "full", "10000"],
        input="go\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "LedgerError" in run.stderr.strip().split("\n")[-1]
    assert log.size == 1 + len(run.stdout.splitlines())
    assert log.check() == []
    assert log.verify_receipt(log.append(entry(1), None)) == ""


def test_a_held_ledger_is_reported_as_such(url, log):
    holder = sqlite3.connect(file_of(url), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    store = Store.open(url, busy_seconds=0.05)
    with pytest.raises(LedgerError, match="another process"), store.writing():
        pass
    with store.reading() as tx:
        assert tx.head().size == 0
    store.close()
    holder.close()


def test_look_ups_find_all_their_entries_oldest_first(log):
    same = replace(entry(1), time="2026-11-22T08:00:00Z")
    log.append_many([(entry(0), None), (entry(1), None), (same, None), (entry(2), None)])
    for found in (
        log.find_digest(entry(1).digest),
        log.find_manifest("urn:c2pa:1"),
        log.find_mark(Mark(SCHEME, f"{1:016x}")),
    ):
        assert [item.entry for item in found] == [entry(1), same]
        assert [item.receipt.index for item in found] == [1, 2]
        assert all(log.verify_receipt(item.receipt) == "" for item in found)
    assert log.find_digest(Digest.of(b"unknown")) == log.find_manifest("") == log.find_manifest("urn:x") == []
    assert log.find_mark(Mark("org.example.other", f"{1:016x}")) == []


def test_the_same_file_twice_is_a_duplicate_and_no_fault(log):
    log.append_many([(entry(number % 2), None) for number in range(3)])
    assert log.duplicates() == [(entry(0).digest, 2)]
    assert log.check() == []
    log.append_many([(entry(7), None)] * (MAX_FOUND + 4))
    assert [item.receipt.index for item in log.find_digest(entry(7).digest)] == list(range(3, 3 + MAX_FOUND))


def flipped(value: bytes, count: int, seed: int) -> bytes:
    number = int.from_bytes(value, "big")
    for bit in random.Random(seed).sample(range(256), count):
        number ^= 1 << bit
    return number.to_bytes(32, "big")


def test_fingerprints_are_found_up_to_31_bits_nearest_first(log):
    kept = recovery(0)
    value = kept.fingerprint.value
    near = recovery(1, flipped(value, 9, 1))
    log.append_many([(entry(n, r), r) for n, r in enumerate((near, kept, recovery(2)))])
    found = log.find_fingerprint(kept.fingerprint)
    assert [(item.receipt.index, item.distance) for item in found] == [(1, 0), (0, 9)]
    assert found[0].recovery == kept
    for count in (1, 16, 31):
        for seed in range(5):
            query = Fingerprint("pdq", flipped(value, count, seed), 100)
            assert (1, count) in [(item.receipt.index, item.distance) for item in log.find_fingerprint(query)]
    assert log.find_fingerprint(Fingerprint("pdq", flipped(value, 60, 1), 100)) == []
    assert log.find_fingerprint(Fingerprint("other", value, 100)) == []
    assert log.find_fingerprint(Fingerprint("pdq", b"short", 100)) == []


@given(st.binary(min_size=32, max_size=32), st.integers(0, MAX_DISTANCE), st.integers(0, 1000))
def test_probing_bands_misses_no_near_value(value, count, seed):
    other = flipped(value, count, seed)
    assert distance(value, other) == count
    assert set(probes(value)) & set(bands(other))


def test_erasing_a_recovery_record_leaves_log_and_proofs_intact(log):
    kept = recovery(0)
    log.append_many([(entry(0, kept), kept), (entry(1, recovery(1)), recovery(1))])
    receipt = log.receipt(0)
    assert log.recovery(0) == kept
    assert log.erase_recovery(0)
    assert not log.erase_recovery(0)
    assert log.recovery(0) is None
    assert log.find_fingerprint(kept.fingerprint) == []
    assert [item.recovery for item in log.find_digest(entry(0).digest)] == [None]
    assert log.receipt(0) == receipt
    assert log.check() == []


def tamper(url: str, *statements: str) -> None:
    """Do what someone with the file can do."""
    with sqlite3.connect(file_of(url)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS entries_no_update")
        connection.execute("DROP TRIGGER IF EXISTS entries_no_delete")
        for statement in statements:
            connection.execute(statement)
    connection.close()


FAULTS = {
    "UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), 'png', 'gif') AS BLOB) WHERE idx = 300": (
        "entry 300 was changed"
    ),
    "UPDATE entries SET data = X'00' WHERE idx = 300": "entry 300 cannot be read",
    "DELETE FROM keys WHERE idx = 301": "entry 301: 3 of its look-up keys are missing",
    "UPDATE keys SET key = 7 WHERE idx = 301 AND key = (SELECT min(key) FROM keys WHERE idx = 301)": (
        "entry 301: 1 of its look-up keys are missing"
    ),
    "UPDATE keys SET key = 7 WHERE idx = 301 AND key = (SELECT max(key) FROM keys WHERE idx = 301)": (
        "1 look-up keys lead to entries that do not have them"
    ),
    "INSERT INTO keys VALUES (0, 7, 301)": "1 look-up keys lead to entries that do not have them",
    "DELETE FROM entries WHERE idx = 302": "entry 302 is missing",
    "DELETE FROM entries WHERE idx = 599": "entry 599 is missing",
    "INSERT INTO entries (idx, data) VALUES (600, X'00')": "entry 600 stands beyond",
    "UPDATE tail SET hash = zeroblob(32) WHERE idx = 599": "tile 0/2: the hash of entry 599 was changed",
    "DELETE FROM tail WHERE idx = 550": "the hashes of the last 88 entries are incomplete",
    "INSERT INTO tail VALUES (3, zeroblob(32))": "the hashes of the last 88 entries are incomplete",
    "UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 1": "tile 0/1: the hash of entry",
    "UPDATE tiles SET middle = zeroblob(512) WHERE number = 1": "tile 0/1: the hashes kept of its middle",
    "UPDATE tiles SET hashes = zeroblob(64) WHERE level = 1": "tile 1/0: hash 0 does not follow",
    "DELETE FROM tiles WHERE level = 1": "tile 1/0 has 0 bytes",
    "INSERT INTO tiles VALUES (3, 0, zeroblob(32), NULL)": "1 tiles are stored",
    "UPDATE log SET size = 599": "the head's columns were changed",
    "UPDATE log SET root = zeroblob(32)": "the head's columns were changed",
    "UPDATE log SET note = replace(note, '600', '599')": "the head's signature does not verify",
    "UPDATE recoveries SET sketch = X'00' WHERE idx = 2": "the recovery record of entry 2 was changed",
    "UPDATE recoveries SET fingerprint = zeroblob(32) WHERE idx = 2": "recovery record of entry 2 was",
    "INSERT INTO recoveries (idx, salt, sketch, manifest) VALUES (9, X'', X'', X'')": "record of entry 9",
    "INSERT INTO recoveries (idx, salt, sketch, manifest) VALUES (900, X'', X'', X'')": "entry 900, which",
    "DELETE FROM bands WHERE idx = 1 AND band < 65536": "entry 1: only 15 of 16",
    "INSERT INTO bands VALUES (7, 1)": "1 fingerprint bands follow from no recovery record",
}


@pytest.mark.parametrize("statement", FAULTS)
def test_the_audit_names_the_faulty_row(url, log, statement):
    records = [recovery(number) for number in range(3)]
    log.append_many([(entry(number, record), record) for number, record in enumerate(records)])
    log.append_many([(entry(number), None) for number in range(3, 600)])
    assert log.check() == []
    tamper(url, statement)
    problems = log.check()
    assert any(FAULTS[statement] in line for line in problems), problems
    assert len(problems) < 110


def test_an_audit_without_look_ups_sees_all_that_is_signed_and_nothing_else(url, log):
    log.append_many([(entry(number), None) for number in range(300)])
    tamper(url, "DELETE FROM keys WHERE idx = 7")
    assert log.check(lookups=False) == []
    tamper(url, "UPDATE entries SET data = X'00' WHERE idx = 3")
    assert any("entry 3 was changed" in line for line in log.check(lookups=False))


def test_an_audit_shared_out_among_processes_says_the_same(url, log, monkeypatch):
    log.append_many([(entry(number), None) for number in range(600)])
    monkeypatch.setattr("assay.ledger.audit.SHARED_OUT", 0)
    assert log.check() == []
    tamper(
        url,
        "UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), 'png', 'gif') AS BLOB) WHERE idx = 300",
        "DELETE FROM keys WHERE idx = 7",
        "UPDATE tiles SET hashes = zeroblob(64) WHERE level = 1",
    )
    apart = log.check()
    monkeypatch.undo()
    assert apart == log.check()
    assert len(apart) == 4


def test_the_audit_of_a_sound_entry_blames_the_tree_and_of_a_sound_tree_the_entry(url, log):
    log.append_many([(entry(number), None) for number in range(10)])
    tamper(url, "UPDATE tail SET hash = zeroblob(32)")
    assert all("the entry is sound" in line for line in log.check())
    assert len(log.check()) == 10


def test_a_changed_row_never_gets_a_receipt(url, log, signer):
    log.append_many([(entry(number, None), None) for number in range(10)])
    tamper(
        url, "UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), 'png', 'gif') AS BLOB) WHERE idx = 3"
    )
    for attempt in (lambda: log.receipt(3), lambda: log.find_digest(entry(3).digest)):
        with pytest.raises(LedgerError, match="entry 3"):
            attempt()
    assert log.verify_receipt(log.receipt(4)) == ""
    with pytest.raises(UsageError):
        log.receipt(10)


def test_a_changed_recovery_record_is_not_handed_out(url, log):
    kept = recovery(0)
    log.append(entry(0, kept), kept)
    tamper(url, "UPDATE recoveries SET sketch = X'00'")
    with pytest.raises(LedgerError, match="recovery record of entry 0"):
        log.find_digest(entry(0).digest)


def test_a_changed_tree_is_not_built_upon(url, log, signer):
    log.append_many([(entry(number), None) for number in range(10)])
    tamper(url, "UPDATE tail SET hash = zeroblob(32)")
    with SqlLog.open(url, ORIGIN, signer) as other, pytest.raises(LedgerError, match="signed head's root"):
        other.append(entry(10), None)
    assert log.size == 10


def test_a_grafted_look_up_key_does_not_lead_to_another_entry(url, log):
    """Keys are a way to find entries, never what is believed about them."""
    log.append_many([(entry(number), None) for number in range(3)])
    asked = stored([key_of("digest", str(entry(9).digest)), key_of("mark", f"{SCHEME}:ff")])
    tamper(url, *(f"INSERT INTO keys VALUES (0, {key}, 1)" for key in asked))
    assert log.find_digest(entry(9).digest) == log.find_mark(Mark(SCHEME, "ff")) == []


def test_a_prefix_leads_to_everything_that_begins_with_it(log):
    log.append_many([(entry(number), None) for number in range(40)])
    key = key_of("digest", str(entry(7).digest))
    assert log.find_prefix(key, 64) == [7]
    found = log.find_prefix(key >> 60, 4)
    keys = {n: {k >> 60 for k in leaf_keys(entry(n))} for n in range(40)}
    assert found == [number for number in range(40) if key >> 60 in keys[number]]
    assert log.find_prefix(0, 0) == list(range(40))
    for prefix, bits in ((2, 1), (-1, 8), (0, 65)):
        with pytest.raises(UsageError):
            log.find_prefix(prefix, bits)


def test_entries_resist_a_careless_hand(url, log):
    log.append(entry(0), None)
    connection = sqlite3.connect(file_of(url))
    for statement in ("UPDATE entries SET idx = 5", "DELETE FROM entries"):
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            connection.execute(statement)
    connection.close()


def test_a_damaged_file_is_reported_in_words(url, signer):
    with SqlLog.create(url, ORIGIN, signer) as log:
        log.append_many([(entry(number), None) for number in range(2000)])
    data = bytearray(file_of(url).read_bytes())
    data[20_000:120_000] = bytes(100_000)
    file_of(url).write_bytes(data)
    with SqlLog.open(url, ORIGIN, signer) as log:
        try:
            problems = log.check()
        except AssayError as error:
            problems = [error.message]
    assert any("damaged" in line for line in problems)


def test_the_ledger_is_readable_by_its_owner_only(url, log):
    assert file_of(url).stat().st_mode & 0o077 == 0


def test_a_restored_older_copy_is_not_shown_to_others(url, log, signer):
    """That it is not appended to either is tested among the faults."""
    log.append_many([(entry(number), None) for number in range(10)])
    log._store.copy(".backup")
    log.append(entry(10))
    with SqlLog.open(f"{url}.backup", ORIGIN, signer, pins=(log.checkpoint(),)) as restored:
        assert restored.find_digest(entry(3).digest)
        with pytest.raises(LedgerError, match="an older copy was restored"):
            restored.offered()


def test_a_log_across_the_ends_of_runs_and_spans_finds_and_proves_all(url, log):
    """Look-up keys are kept by runs of 4,096 entries, which become one when 65,536 are full."""
    log.append_many([(entry(number), None) for number in range(65_500)])
    for number in range(65_500, 65_600, 20):
        log.append_many([(entry(number + at), None) for at in range(20)])
    with sqlite3.connect(file_of(url)) as connection:
        assert connection.execute("SELECT DISTINCT run FROM keys").fetchall() == [(0,), (65_536,)]
    connection.close()
    for number in (0, 4095, 4096, 61_440, 65_535, 65_536, 65_599):
        assert [found.receipt.index for found in log.find_digest(entry(number).digest)] == [number]
        assert log.verify_receipt(log.receipt(number)) == ""
    assert log.check() == []
    tamper(url, "UPDATE keys SET run = 4096 WHERE idx = 5")
    assert any("entry 5: 3 of its look-up keys are missing" in line for line in log.check())


def test_entries_submitted_together_share_commits_and_keep_their_order(log):
    pending = [log.submit(entry(number)) for number in range(700)]
    assert [item.index(30) for item in pending] == list(range(700))
    assert log.verify_receipt(pending[5].receipt()) == ""
    with pytest.raises(UsageError, match="recovery"):
        log.submit(entry(1), recovery(1))
    log.close()
    for attempt in (
        lambda: log.submit(entry(1)),
        lambda: log.append_many([(entry(1), None)]),
        log.checkpoint,
    ):
        with pytest.raises(LedgerError, match="closed"):
            attempt()


def test_a_failed_group_tells_everyone_in_it_and_the_next_group_is_right(url, log, signer):
    class Failing(NoteSigner):
        broken = True

        def sign(self, message: bytes) -> bytes:
            if self.broken:
                raise LedgerError("the key's token was pulled out")
            return super().sign(message)

    failing = Failing.from_seed(ORIGIN, b"test seed of the ledger room 123")
    with SqlLog.open(url, ORIGIN, failing) as other:
        for item in [other.submit(entry(number)) for number in range(20)]:
            with pytest.raises(LedgerError, match="pulled out"):
                item.index(30)
        failing.broken = False
        assert {item.index(30) for item in [other.submit(entry(n)) for n in range(20)]} == set(range(20))
    assert (log.size, log.check()) == (20, [])


def test_only_a_checkpoint_of_this_tree_is_kept(log, signer):
    log.append_many([(entry(number), None) for number in range(5)])
    head = log.checkpoint()
    witness = NoteSigner.from_seed("witness.example/w", bytes(32))
    cosigned = head + sign_note(Checkpoint.peek(head).to_text(), witness).rpartition("\n\n")[2]
    log.append(entry(6))
    assert log.keep_checkpoint(cosigned) == log.kept_checkpoint(5) == cosigned
    assert log.kept_checkpoint(6) is None
    receipt = log.receipt(4, cosigned)
    assert (receipt.tree_size, log.verify_receipt(receipt)) == (5, "")
    with pytest.raises(UsageError):
        log.receipt(5, cosigned)
    other = sign_note(Checkpoint(ORIGIN, 5, bytes(32)).to_text(), signer)
    with pytest.raises(LedgerError, match="another tree"):
        log.keep_checkpoint(other)
    assert log.check() == []
