"""The writer under attack: a child process that appends, and says what it was told after each call returned.

Everything it appends follows from (writer, number), so that the judge can tell every row of the log: whose it is,
whether it was acknowledged, whether it stands twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import NoteSigner
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Fingerprint, Recovery
from assay.provenance.errors import AssayError
from assay.provenance.mark import Mark

ORIGIN = "faults.example/ledger"
BURN_AT = 400
"""The call that strace makes fail, by count; a child burns so many calls that this one is the one it was asked for."""
PAUSE = 0.02
"""Seconds after a failure."""
HUNG_SECONDS = 90
"""A child still running after this is ended by SIGALRM and counted as hung."""
MAIN, THREAD = "main", "thread"

Item = tuple[Entry, Recovery | None]


def signer() -> NoteSigner:
    return NoteSigner.from_seed(ORIGIN, b"the fault bench's own test seed.")


def item(writer: int, number: int) -> Item:
    """Return what a writer appends as its number-th entry; every fiftieth keeps a recovery record."""
    recovery = None
    if number % 50 == 0:
        seed = b"%d %d" % (writer, number)
        value = hashlib.sha256(seed).digest()
        recovery = Recovery(value[:16], Fingerprint("pdq", value, 100), value * 40, value * 100)
    entry = Entry(
        digest=Digest.of(b"%d %d" % (writer, number)),
        media_type="image/png",
        size=number,
        time="2026-11-21T08:00:00Z",
        mark=Mark("org.example.faults.1", f"{writer:08x}{number:08x}"),
        manifest_label=f"urn:c2pa:{writer}:{number}",
        recovery=recovery.digest if recovery else None,
    )
    return entry, recovery


def whose(entry: Entry) -> tuple[int, int]:
    """Return (writer, number) of an entry; raises ValueError for one that no writer made."""
    writer, number = entry.manifest_label.removeprefix("urn:c2pa:").split(":")
    return int(writer), int(number)


@dataclass(frozen=True, slots=True)
class Job:
    """What one child does. ``script`` is a fixed list of steps; without one it goes on at random until killed.

    ``burn`` names the system call that strace waits for and ``call`` which of them (from 1, on this thread) fails.
    """

    url: str
    writer: int
    script: tuple[tuple[str, int], ...] = ()
    role: str = MAIN
    burn: str = ""
    call: int = 0


def burn_calls(name: str, count: int) -> None:
    """Make a system call so many times on nothing at all; only strace's counter moves."""
    null = os.open(os.devnull, os.O_RDWR)
    pointless: dict[str, Callable[[], object]] = {
        "pwrite64": lambda: os.pwrite(null, b"", 0),
        "write": lambda: os.write(null, b""),
        "fsync": lambda: os.fsync(null),
        "fdatasync": lambda: os.fdatasync(null),
        "ftruncate": lambda: os.ftruncate(null, 0),
        "unlink": lambda: os.unlink(""),  # noqa: PTH108 - the call itself is meant
        "openat": lambda: os.open("", os.O_RDONLY),
        "pread64": lambda: os.pread(null, 0, 0),
    }
    call = pointless[name]
    for _ in range(count - (name == "openat")):  # opening the null device was one
        with suppress(OSError):
            call()
    os.close(null)


def steps(job: Job) -> Iterator[tuple[str, int]]:
    """Yield (what, how many) for ever, or the job's script."""
    if job.script:
        yield from job.script
        return
    rng = random.Random(job.writer)
    while True:
        what = rng.choices(("one", "many", "submit", "reopen"), (6, 4, 4, 1))[0]
        yield what, rng.choice((1, 2, 5, 20, 100)) if what in ("many", "submit") else 1


class Writer:
    """One child's work; every message goes out after the call it tells of has returned."""

    def __init__(self, job: Job, answers: socket.socket) -> None:
        self.job = job
        self._answers = answers
        self._log: SqlLog | None = None
        self._next = 0
        self._acknowledged: set[int] = set()

    def say(self, **message: Any) -> None:
        """Send a message to the judge."""
        self._answers.send(json.dumps(message).encode())  # sendto: none of the calls that faults are put on

    def run(self) -> None:
        """Do all steps, then close the log."""
        for what, count in steps(self.job):
            self._twice(what, count)
        self._twice("close", 0)
        self.say(done=True)

    def _twice(self, what: str, count: int) -> None:
        """Do a step; if it fails, say how and do it once more in the same process, as a caller would."""
        first, self._next = self._next, self._next + (count if what in ("one", "many", "submit") else 0)
        for _ in range(2):
            try:
                self._step(what, first, count)
            except AssayError as error:
                self.say(failed=what, kind=type(error).__name__, words=error.message, hint=error.hint)
            except Exception:
                self.say(failed=what, kind="untranslated", words=traceback.format_exc()[-1500:])
            else:
                return
            time.sleep(PAUSE)

    def _open(self) -> SqlLog:
        if self._log is None:
            self._log = SqlLog.open(self.job.url, ORIGIN, signer())
        return self._log

    def _step(self, what: str, first: int, count: int) -> None:
        if what in ("reopen", "close"):
            log, self._log = self._log, None
            if log is not None:
                log.close()
            return
        log = self._open()
        numbers = [n for n in range(first, first + count) if n not in self._acknowledged]
        items = [item(self.job.writer, number) for number in numbers]
        if what == "submit":
            self._submit(log, numbers, items)
        elif what == "many":
            self._acknowledge(numbers, list(log.append_many(items)))
        else:
            self._acknowledge(numbers, [log.append(*one).index for one in items])
            head = log.head()
            self.say(size=head.size, root=head.root.hex())

    def _acknowledge(self, numbers: Sequence[int], indices: Sequence[int]) -> None:
        self._acknowledged.update(numbers)
        self.say(numbers=numbers, indices=indices)

    def _submit(self, log: SqlLog, numbers: Sequence[int], items: Sequence[Item]) -> None:
        failed: AssayError | None = None
        for number, pending in zip(numbers, [log.submit(*one) for one in items], strict=True):
            try:
                self._acknowledge([number], [pending.index(60)])
            except AssayError as error:
                failed = error
        if failed is not None:
            raise failed


def child(job: Job, answers: socket.socket) -> None:
    """Run a job and end the process; burns first what the job says."""
    signal.alarm(HUNG_SECONDS)
    try:
        if job.burn:
            if job.role == MAIN:
                burn_calls(job.burn, BURN_AT - job.call)
            else:
                _burn_in_threads(job)
        Writer(job, answers).run()
    except BaseException:
        words = traceback.format_exc()[-1500:]
        answers.send(json.dumps({"failed": "child", "kind": "untranslated", "words": words}).encode())
    finally:
        os._exit(0)


def _burn_in_threads(job: Job) -> None:
    run = threading.Thread.run

    def burnt(thread: threading.Thread) -> None:
        burn_calls(job.burn, BURN_AT - job.call)
        run(thread)

    threading.Thread.run = burnt  # type: ignore[method-assign]


def fork(job: Job) -> tuple[int, socket.socket]:
    """Start a child on a job; return its process id and the socket that its messages come from."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        child(job, theirs)
    theirs.close()
    return pid, ours


def messages(answers: socket.socket) -> list[dict[str, Any]]:
    """Return all messages up to the end, which a killed child reaches too."""
    with answers:
        return list(iter(lambda: one_message(answers), {}))


def one_message(answers: socket.socket) -> dict[str, Any]:
    """Wait for a message; return {} at the end."""
    data = answers.recv(1 << 20)
    found: dict[str, Any] = json.loads(data) if data else {}
    return found


class Broker:
    """A process that forks children on demand and has nothing else to do, so that strace can be put on it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            try:
                _serve(theirs)
            finally:
                os._exit(0)
        theirs.close()

    def run(self, job: Job) -> tuple[list[dict[str, Any]], int]:
        """Run a job to its end; return its messages and its exit status (negative: the signal that killed it)."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        socket.send_fds(self._socket, [json.dumps(asdict(job)).encode()], [theirs.fileno()])
        theirs.close()
        said = messages(ours)
        status = json.loads(self._socket.recv(1000))
        return said, os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End the broker."""
        self._socket.close()
        os.waitpid(self.pid, 0)


def _serve(requests: socket.socket) -> None:
    while True:
        data, files, _, _ = socket.recv_fds(requests, 1 << 16, 1)
        if not data:
            return
        values = json.loads(data)
        values["script"] = tuple((what, count) for what, count in values["script"])
        answers = socket.socket(fileno=files[0])
        pid = os.fork()
        if pid == 0:
            requests.close()
            child(Job(**values), answers)
        answers.close()
        requests.send(json.dumps(os.waitpid(pid, 0)[1]).encode())


def create(file: Path) -> str:
    """Make an empty ledger; return its URL."""
    url = f"sqlite:///{file}"
    SqlLog.create(url, ORIGIN, signer()).close()
    return url
