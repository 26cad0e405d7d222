"""Each system call by which SQLite changes its files, made to fail in each way, one run for each."""

from __future__ import annotations

import random
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from assay.ledger.log import SqlLog

from .judge import Judge
from .tracing import Tracer
from .workload import BURN_AT, MAIN, ORIGIN, THREAD, Broker, Job, Writer, create, item, signer

FAULTS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "KILL": "signal=KILL"}
SCRIPT = (("one", 1), ("one", 1), ("many", 3), ("submit", 4), ("reopen", 0), ("many", 20), ("one", 1))
STATES = ("closed", "killed")
"""What a run finds: a log that was closed in good order, or one whose last writer was killed."""
TRIES = 5
"""Runs until a call is hit: how submitted entries are grouped, and so how many calls they take, varies."""
BEFORE = 250
"""Entries there before the run, whose own entries then cross the first tile's edge."""


@dataclass(frozen=True, slots=True)
class Point:
    """The ``call``-th call of a kind on a thread, in a run that starts from a state; ``file`` is what it touches."""

    state: str
    role: str
    name: str
    call: int
    file: str


@dataclass(frozen=True, slots=True)
class Result:
    """What one fault did. ``hit`` says whether the call that failed was one on the ledger's files."""

    point: Point
    fault: str
    hit: bool
    reports: tuple[str, ...]
    counts: Counter[str]
    troubles: tuple[str, ...]


def prepare(folder: Path) -> None:
    """Make the ledgers that runs start from copies of."""
    for state in STATES:
        (folder / "making").mkdir()
        url = create(folder / "making" / "ledger.db")
        with SqlLog.open(url, ORIGIN, signer()) as log:
            log.append_many([item(1, number) for number in range(BEFORE)])
            if state == "killed":  # as long as it is open, nothing is tidied up
                shutil.copytree(folder / "making", folder / state)
        if state == "closed":
            shutil.copytree(folder / "making", folder / state)
        shutil.rmtree(folder / "making")


class Bench:
    """A place for the ledger under attack, and a broker that forks its writers; one for each core."""

    def __init__(self, templates: Path, place: Path) -> None:
        self._templates, self._place = templates, place
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with (
            ours,
            theirs,
        ):  # load here what a writer loads on its way: children then make only the ledger's calls
            Writer(Job(self.reset(STATES[0]), 9, SCRIPT), ours).run()
        self.broker = Broker()

    def reset(self, state: str) -> str:
        """Put a fresh copy in place; return its URL."""
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._templates / state, self._place)
        return f"sqlite:///{self._place / 'ledger.db'}"

    def points(self) -> list[Point]:
        """Return every call of a clean run that touches the ledger's files."""
        found = []
        with Tracer(self.broker.pid, "") as tracer:
            for state in STATES:
                said, status = self.broker.run(Job(self.reset(state), 3, SCRIPT))
                assert status == 0, status
                assert {"done": True} in said, said
                calls = tracer.calls()
                counts: Counter[tuple[int, str]] = Counter()
                for call in calls:
                    counts[call.thread, call.name] += 1
                    role = MAIN if call.thread == calls[0].thread else THREAD
                    if str(self._place) in call.said:
                        file = next((name for name in ("-wal", "-shm", ".db") if name in call.said), "")
                        found.append(Point(state, role, call.name, counts[call.thread, call.name], file))
        assert max(point.call for point in found) < BURN_AT
        return found

    def attack(self, point: Point, fault: str, tracer: Tracer) -> Result:
        """Run the script with one fault, judge what it left, append once more and judge again."""
        for _ in range(TRIES):
            url = self.reset(point.state)
            said, status = self.broker.run(Job(url, 3, SCRIPT, point.role, point.name, point.call))
            if hit := any(call.injected and str(self._place) in call.said for call in tracer.calls()):
                break
        judge = Judge(url)
        judge.hear(1, [{"numbers": range(BEFORE), "indices": range(BEFORE)}])
        judge.hear(3, said)
        judge.ended(status)
        if status == 0 and {"done": True} not in said:
            judge.trouble("hung", "the writer ended in the middle")
        judge.judge()
        judge.go_on()
        reports = tuple(f"{m['kind']}: {m['words']}" for m in said if "failed" in m)
        return Result(point, fault, hit, reports, judge.counts, tuple(judge.troubles))


def _work(templates: Path, place: Path, tasks: Sequence[tuple[Point, str]]) -> list[Result]:
    """Do a share of the attacks in a process of its own."""
    bench = Bench(templates, place)
    results = []
    for fault in FAULTS:
        with Tracer(bench.broker.pid, FAULTS[fault]) as tracer:
            results += [bench.attack(point, name, tracer) for point, name in tasks if name == fault]
    bench.broker.close()
    return results


def campaign(folder: Path, sample: int, seed: int, jobs: int, tick: Callable[[], Any]) -> list[Result]:
    """Attack every point with every fault, or a random ``sample`` of them, on ``jobs`` cores."""
    templates = folder / "templates"
    templates.mkdir()
    prepare(templates)
    bench = Bench(templates, folder / "clean")
    points = bench.points()
    bench.broker.close()
    tasks = [(point, fault) for fault in FAULTS for point in points]
    if sample:
        tasks = random.Random(seed).sample(tasks, min(sample, len(tasks)))
    shares = [tasks[at : at + SHARE] for at in range(0, len(tasks), SHARE)]
    results = []
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        places = (folder / f"run{number}" for number in range(len(shares)))
        for found in pool.map(_work, [templates] * len(shares), places, shares):
            results += found
            tick()
    return results


SHARE = 150
"""Attacks of one process before a new one takes over."""
