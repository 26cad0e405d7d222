"""The power fails: disks that a run could have left, made from the writes and syncs that it asked for.

A kill leaves all that the kernel had taken. Without power, only what was synced is sure to stand; of what was written
since, any part may: none, all, single writes, parts of a write by sectors. strace records a run with the bytes it wrote
and the acknowledgements it sent, in order; from any moment of it such disks are put together and judged. The index
``-shm`` is left out: SQLite builds it anew.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from .judge import Judge
from .syscalls import BEFORE, SCRIPT, Bench, prepare
from .tracing import Call, Tracer
from .workload import Broker, Job

SECTOR = 512
LEAVES = ("nothing", "all", "some")
"""What is left of writes that were not synced."""
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PLACE = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})*)>")


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset, or (None) the file cut to a length."""

    offset: int
    data: bytes | None

    def on(self, content: bytearray) -> None:
        """Do it."""
        if self.data is None:
            del content[self.offset :]
            content.extend(bytes(self.offset - len(content)))
        else:
            content.extend(bytes(max(0, self.offset - len(content))))
            content[self.offset : self.offset + len(self.data)] = self.data

    def sectors(self) -> list[Write]:
        """Return it in the parts that a disk writes at once."""
        if self.data is None:
            return [self]
        first = -self.offset % SECTOR or SECTOR
        cuts = [0, *range(first, len(self.data), SECTOR), len(self.data)]
        return [Write(self.offset + a, self.data[a:b]) for a, b in pairwise(cuts)]


@dataclass(slots=True)
class File:
    """A file: what is sure to be on the disk, and what was asked for since."""

    sure: bytearray = field(default_factory=bytearray)
    since: list[Write] = field(default_factory=list)

    def left(self, leave: str, rng: random.Random) -> bytes:
        """Return its content after the power failed."""
        content = bytearray(self.sure)
        for write in self.since:
            if leave == "all" or (leave == "some" and rng.random() < 0.4):
                write.on(content)
            elif leave == "some" and rng.random() < 0.5:
                for sector in write.sectors():
                    if rng.random() < 0.5:
                        sector.on(content)
        return bytes(content)


class Disk:
    """A folder under a run: follows its calls. Names are made and removed in order, and surely once it is synced."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._sure = {path.name: File(bytearray(path.read_bytes())) for path in folder.iterdir()}
        self._since: list[tuple[str, File | None]] = []
        self.said: list[dict[str, Any]] = []
        """What the writer was told so far."""

    def _now(self, since: int | None = None) -> dict[str, File]:
        names = dict(self._sure)
        for name, file in self._since[:since]:
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file
        return names

    def follow(self, call: Call) -> bool:
        """Take down one call; return whether it changed what a failure would leave."""
        strings = [_bytes(found) for found in _STRING.findall(call.said)]
        if call.name == "sendto":
            message = json.loads(strings[0])
            if isinstance(message, dict):  # the broker's own word is a number
                self.said.append(message)
            return True
        place = _PLACE.match(call.said)
        path = _bytes(place[1]).decode() if place else strings[0].decode()
        if path == self._folder and call.name in ("fsync", "fdatasync"):
            self._sure, self._since = self._now(), []
            return True
        name = path.removeprefix(f"{self._folder}/")
        if name == path or name.endswith("-shm"):
            return False
        if call.name == "unlink":
            self._since.append((name, None))
        elif call.name == "openat":
            if name in self._now():
                return False
            self._since.append((name, File()))
        elif call.name in ("fsync", "fdatasync"):
            file = self._now()[name]
            for write in file.since:
                write.on(file.sure)
            file.since.clear()
        else:
            numbers = [int(number) for number in re.findall(r", (\d+)", call.said.rsplit(">, ", 1)[1])]
            if call.name == "pwrite64":
                self._now()[name].since.append(Write(numbers[-1], strings[0]))
            else:
                length = int(call.said.rsplit(">, ", 1)[1].split(")")[0])
                self._now()[name].since.append(Write(length, None))
        return True

    def leave(self, folder: Path, how: str, rng: random.Random) -> None:
        """Put a disk into a folder as a failure of power now could leave it."""
        kept = {"nothing": 0, "all": len(self._since)}.get(how, rng.randint(0, len(self._since)))
        for name, file in self._now(kept).items():
            (folder / name).write_bytes(file.left(how, rng))


def campaign(
    folder: Path,
    sample: int,
    seed: int,
    tick: Callable[[], object],
    script: Sequence[tuple[str, int]] = SCRIPT,
) -> tuple[Counter[str], list[str]]:
    """Record a run, let the power fail after each of its calls (or a ``sample`` of them), judge what is left."""
    (folder / "templates").mkdir()
    prepare(folder / "templates")
    bench = Bench(folder / "templates", folder / "run")
    url = bench.reset("closed")
    disk = Disk(folder / "run")
    with Tracer(bench.broker.pid, whole=True) as tracer:
        _finished(bench.broker, Job(url, 3, tuple(script)))
        calls = tracer.calls()
    bench.broker.close()
    rng = random.Random(seed)
    moments = range(len(calls))
    chosen = set(moments if not sample else rng.sample(moments, min(sample, len(calls))))
    counts: Counter[str] = Counter()
    troubles: list[str] = []
    for number, call in enumerate(calls):
        if not disk.follow(call) or number not in chosen:
            continue
        for how in LEAVES:
            place = folder / "left"
            place.mkdir()
            disk.leave(place, how, rng)
            judge = Judge(f"sqlite:///{place / 'ledger.db'}")
            judge.hear(1, [{"numbers": range(BEFORE), "indices": range(BEFORE)}])
            judge.hear(3, disk.said)
            judge.judge()
            judge.go_on()
            counts.update(judge.counts)
            counts["failures of power"] += 1
            troubles += [f"call {number} ({call.name}), {how} left: {line}" for line in judge.troubles]
            for path in place.iterdir():
                path.unlink()
            place.rmdir()
            tick()
    return counts, troubles


def _finished(broker: Broker, job: Job) -> None:
    said, status = broker.run(job)
    assert status == 0, status
    assert {"done": True} in said, said
