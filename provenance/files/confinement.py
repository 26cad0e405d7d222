"""What a worker's child keeps, and what is taken from it, before it meets a hostile file."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import mmap
import os
import signal
import sys
import warnings
from typing import Any, BinaryIO

from assay.provenance.limits import Limits

OPEN_FILES = 32
"""Most descriptors a child may hold."""
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


class _Positioned(io.RawIOBase):
    """A stream with a position of its own on an inherited descriptor, whose shared one stays where it is."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("a position before the start")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at


def own_stream(stream: BinaryIO) -> tuple[BinaryIO, set[int]]:
    """Return the child's own stream on the same file, at its start, and the descriptors it needs."""
    try:
        descriptor = stream.fileno()
    except (OSError, AttributeError):
        stream.seek(0)  # in memory: the fork has made it ours
        return stream, set()
    return io.BufferedReader(_Positioned(descriptor, os.fstat(descriptor).st_size), 1 << 16), {descriptor}


def confine(limits: Limits, keep: set[int], writable: int) -> None:
    """Take from the child what a decoder does not need."""
    import resource

    faulthandler.disable()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        if descriptor not in keep:
            os.dup2(null, descriptor)
    low = 3
    for descriptor in sorted(d for d in keep if d >= 3):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
    sys.stdout = sys.stderr = io.StringIO()
    warnings.simplefilter("ignore")
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            prctl = ctypes.CDLL(None).prctl
            prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError):  # where memory runs out, this child goes first
            adjust = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
            os.write(adjust, b"1000")
            os.close(adjust)
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: writable,
        resource.RLIMIT_NOFILE: OPEN_FILES + max(keep, default=0),
        resource.RLIMIT_CPU: limits.worker_cpu_seconds + 1,
        resource.RLIMIT_AS: _address_space() + limits.worker_memory_bytes,
    }
    for which, value in wanted.items():
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # One CPU second between soft and hard: SIGXCPU says why, where SIGKILL would not.
        soft = max(value - 1, 1) if which == resource.RLIMIT_CPU else value
        with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(which, (soft, value))


def _address_space() -> int:
    """Bytes of address space already taken, the parent's libraries and the answer's arena included."""
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return 0
    pages = int(os.read(descriptor, 64).split()[0])
    os.close(descriptor)
    return pages * mmap.PAGESIZE
