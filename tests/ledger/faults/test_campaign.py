"""The fault bench in small: kills, failing system calls and a killed PostgreSQL, and a judge that is not blind."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest
from injection.judge import Judge
from injection.tracing import refusal
from injection.workload import ORIGIN, create, item, signer

from assay.ledger.log import SqlLog

from .conftest import BENCH


def bench(tmp_path, *options: str, script: str = ""):
    """Run the fault bench; return its exit status and what it found."""
    found = tmp_path / "found.json"
    run = subprocess.run(
        [
            sys.executable,
            *(["-c", script] if script else [str(BENCH / "faults.py")]),
            *options,
            "--json",
            str(found),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH)},
        timeout=120,
        check=False,
    )
    assert found.is_file(), run.stderr
    return run.returncode, json.loads(found.read_text())


def test_killed_writers_lose_nothing(tmp_path):
    status, found = bench(tmp_path, "--kills", "40")
    part = found["kill -9, SQLite"]
    assert (status, part["troubles"]) == (0, [])
    assert part["figures"]["kills"] >= 36  # a writer that closes may be done before its call is reached
    assert part["figures"]["acknowledged"] > 100
    assert part["figures"]["checks"] >= 3


def test_failing_system_calls_lose_nothing_and_are_reported(tmp_path):
    if why_not := refusal():
        pytest.skip(why_not)
    status, found = bench(tmp_path, "--syscalls", "--sample", "24")
    part = found["system calls, SQLite"]
    assert (status, part["troubles"]) == (0, [])
    assert part["figures"]["runs"] == 24
    assert part["figures"]["hit"] >= 22
    assert part["figures"]["checks"] == 48
    assert sum(row["reported"] for row in part["table"].values()) >= 4


def test_failing_power_takes_nothing_that_was_acknowledged(tmp_path):
    if why_not := refusal():
        pytest.skip(why_not)
    status, found = bench(tmp_path, "--power", "--sample", "8")
    part = found["power failures, SQLite"]
    assert (status, part["troubles"]) == (0, [])
    assert part["figures"]["failures of power"] >= 12


@pytest.mark.xdist_group("postgres")
def test_killed_clients_and_a_killed_postgresql_lose_nothing(tmp_path):
    status, found = bench(tmp_path, "--postgres", "10")
    part = found["kill -9, PostgreSQL"]
    assert (status, part["troubles"]) == (0, [])
    assert part["figures"]["server kills"] == 1
    assert part["figures"]["kills"] >= 10
    assert part["figures"]["reported failures"] >= 2  # both writers noticed that the server went away
    assert all(words.startswith("LedgerError: ") for words in part["words"])


EARLY = """
from assay.ledger.log import SqlLog
append_many, held = SqlLog.append_many, []
def early(self, items):
    "Acknowledge first, store with the next call: what a log without a commit would do."
    first = self.size + len(held)
    append_many(self, held)
    held[:] = items
    return range(first, first + len(items))
SqlLog.append_many = early
"""
UNSYNCED = """
import sqlalchemy as sa
from assay.ledger.store import database
prepare = database._prepare_sqlite
def careless(engine):
    prepare(engine)
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL"))
database._prepare_sqlite = careless
"""
MAIN = """
import sys, faults
sys.argv[0] = "faults.py"
faults.main()
"""


def test_a_log_that_acknowledges_before_it_stores_is_caught(tmp_path):
    status, found = bench(tmp_path, "--kills", "8", script=EARLY + MAIN)
    assert status == 1
    assert found["kill -9, SQLite"]["figures"]["lost"] > 0


def test_a_log_that_acknowledges_before_the_disk_does_is_caught(tmp_path):
    """No kill shows it: what the kernel holds outlives the process."""
    if why_not := refusal():
        pytest.skip(why_not)
    status, found = bench(tmp_path, "--power", "--sample", "8", script=UNSYNCED + MAIN)
    assert status == 1
    assert found["power failures, SQLite"]["figures"]["lost"] > 0


@pytest.fixture
def judged(tmp_path):
    """A judge who has seen a log of 300 entries and found nothing."""
    url = create(tmp_path / "judged.db")
    with SqlLog.open(url, ORIGIN, signer()) as log:
        log.append_many([item(1, number) for number in range(300)])
    judge = Judge(url)
    judge.hear(1, [{"numbers": range(300), "indices": range(300)}])
    judge.judge()
    assert judge.troubles == []
    return judge


def seen(judge: Judge, kind: str) -> bool:
    judge.judge()
    return judge.counts[kind] > 0


def test_the_judge_sees_a_lost_acknowledgement(judged):
    judged.hear(1, [{"numbers": [300], "indices": [300]}])
    assert seen(judged, "lost")


def test_the_judge_sees_an_acknowledgement_of_another_entry(judged):
    judged.hear(1, [{"numbers": [301], "indices": [300]}])
    with SqlLog.open(judged.url, ORIGIN, signer()) as log:
        log.append(*item(1, 300))
    assert seen(judged, "lost")


def test_the_judge_sees_a_head_that_was_taken_back(judged):
    judged.hear(1, [{"size": 301, "root": "00" * 32}])
    assert seen(judged, "wrong roots")


def test_the_judge_sees_two_heads_of_one_size(judged):
    judged.hear(1, [{"size": 300, "root": "00" * 32}])
    assert judged.counts["wrong roots"] == 1


def test_the_judge_sees_an_entry_that_nobody_handed_in(judged):
    with SqlLog.open(judged.url, ORIGIN, signer()) as log:
        log.append(replace(item(1, 301)[0], size=7))
    assert seen(judged, "phantom rows")


def test_the_judge_counts_what_stands_twice_and_calls_it_no_loss(judged):
    with SqlLog.open(judged.url, ORIGIN, signer()) as log:
        log.append_many([item(1, 1), item(1, 1)])
    assert seen(judged, "stand twice")
    assert judged.troubles == []


def test_the_judge_sees_damage(judged):
    file = judged.url.removeprefix("sqlite:///")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE tiles SET hashes = zeroblob(8192)")
    connection.close()
    assert seen(judged, "failed checks")


def test_the_judge_sees_a_restored_backup(judged, tmp_path):
    """The same file, older: sound in itself."""
    with (
        sqlite3.connect(judged.url.removeprefix("sqlite:///")) as here,
        sqlite3.connect(tmp_path / "old") as old,
    ):
        here.backup(old)
    here.close()
    old.close()
    with SqlLog.open(judged.url, ORIGIN, signer()) as log:
        log.append(*item(1, 300))
    judged.judge()
    judged.url = f"sqlite:///{tmp_path}/old"
    assert seen(judged, "lost")
