"""strace put on the broker: makes the one call fail that a child has burned its way to, and lists what was called."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .workload import BURN_AT

WRITES = ("pwrite64", "write", "fsync", "fdatasync", "ftruncate", "unlink", "openat")
"""The system calls by which SQLite changes, makes and removes its files; -shm is written through a mapping."""
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")

_BURNED = (os.devnull, 'unlink("")', ', "", O_')


@dataclass(frozen=True, slots=True)
class Call:
    """One line of strace's output; ``injected`` says that it was the one to fail."""

    thread: int
    name: str
    said: str
    injected: bool


def refusal() -> str:
    """Return why strace cannot be used here, "" if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    try:
        run = subprocess.run(
            ["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, timeout=20, check=False
        )
    except subprocess.TimeoutExpired:
        return "strace does not end"
    return "" if run.returncode == 0 else f"strace is not permitted: {run.stderr.strip()[-200:]}"


class Tracer:
    """strace on a process and on what it forks, for the length of a ``with`` block.

    ``fault`` is strace's word for what to do at each thread's BURN_AT-th call of a kind: ``error=EIO``,
    ``signal=KILL``, or "" for nothing. ``whole`` also lists what is sent, and all bytes of everything, in hexadecimal.
    """

    def __init__(self, pid: int, fault: str = "", *, whole: bool = False) -> None:
        self._pid, self._fault, self._whole = pid, fault, whole

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        log = Path(self._folder.name) / "strace"
        calls = ",".join(WRITES)
        command = ["strace", "-f", "-y", "-qq", "-o", str(log), "-p", str(self._pid), "-e", "signal=none"]
        if self._whole:
            command += ["-xx", "-s", "10000000", "-e", f"trace={calls},sendto"]
        else:
            command += ["-s", "0", "-e", f"trace={calls}"]
        if self._fault:
            command += ["-e", f"inject={calls}:{self._fault}:when={BURN_AT}"]
        self._strace = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        status = Path(f"/proc/{self._pid}/status")
        while "TracerPid:\t0\n" in status.read_text():
            if self._strace.poll() is not None:
                raise OSError("strace ended at once")
            time.sleep(0.002)
        self._log = log.open()
        return self

    def calls(self) -> list[Call]:
        """Return the calls made since the last time, without those that were burned."""
        found = []
        for line in self._log:
            match = _LINE.match(line)
            if match and not any(sign in line for sign in _BURNED):
                thread, name, said = match.groups()
                found.append(Call(int(thread), name, said, "(INJECTED)" in said or said.endswith("= ?")))
        return found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._strace.send_signal(signal.SIGINT)
        self._strace.wait()
        self._log.close()
        self._folder.cleanup()
