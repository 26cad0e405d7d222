"""Memory that a worker's child and its parent share, handed out from the front and used again while it is warm.

New pages are what a decode in a child costs most: the kernel clears each, and a child takes some thousands for one
photograph. So the parent keeps the memory of an answer that nobody holds any more, up to ``WARM_BYTES``, for the next
child. What a child gets of it is zeroed first, so that one file's samples are never taken for another's.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import sys
import weakref

from assay.provenance.errors import LimitError

WARM_BYTES = 64 << 20
"""Most bytes of one answer's memory kept for the next."""
WARM_ARENAS = 2
"""Most answers' memory kept."""

_ALIGN = 64
# Python 3.11 has no names for them; they are Linux's on every architecture that Python ships wheels for.
_NORESERVE = 0x4000 if sys.platform == "linux" else 0
_REMOVE, _POPULATE_WRITE = 9, 23
_ADD_SEALS, _SIZE_SEALS = 1033, 0x1 | 0x2 | 0x4  # no further seals, no shrinking, no growing
_warm: list[tuple[int, int]] = []  # size and descriptor


class Arena:
    """Shared memory of ``size`` bytes, of which only what is written takes room.

    Raises OSError or ValueError where there is no such room.
    """

    def __init__(self, size: int) -> None:
        self._next = 0
        self._warm = 0
        self.memory = self._again(size) or self._afresh(size)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))

    def _again(self, size: int) -> mmap.mmap | None:
        """Return memory of an earlier answer of the same size, or None."""
        try:
            kept, descriptor = _warm.pop()
        except IndexError:
            return None
        if kept != size:
            os.close(descriptor)
            return None
        memory = _mapped(descriptor, size)
        if size > WARM_BYTES:  # whatever a child left farther up
            memory.madvise(_REMOVE, WARM_BYTES, size - WARM_BYTES)
        self._warm = min(size, WARM_BYTES)
        return memory

    def _afresh(self, size: int) -> mmap.mmap:
        descriptor = _descriptor(size)
        if descriptor is None:
            return mmap.mmap(-1, size, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | _NORESERVE)
        return _mapped(descriptor, size)

    def take(self, size: int) -> memoryview:
        """Return ``size`` zeroed writable bytes; raises LimitError where the arena has not so many left."""
        start, room = self._room(size)
        dirty = min(size, self._warm - start)
        if dirty > 0:
            self._populate(start, dirty)
            ctypes.memset(self._start + start, 0, dirty)
        return room

    def place(self, data: memoryview) -> int:
        """Return where ``data`` lies, having copied it in where it lay elsewhere; raises as ``take``."""
        if data.nbytes and not data.readonly:
            at = ctypes.addressof(ctypes.c_char.from_buffer(data)) - self._start
            if 0 <= at <= self._next - data.nbytes:
                return at
        start, room = self._room(data.nbytes)
        room[:] = data
        return start

    def _room(self, size: int) -> tuple[int, memoryview]:
        start = -(-self._next // _ALIGN) * _ALIGN
        if start + size > len(self.memory):
            raise LimitError(f"its content needs more than the limit answer_bytes of {len(self.memory)}")
        self._next = start + size
        return start, memoryview(self.memory)[start : start + size]

    def _populate(self, start: int, size: int) -> None:
        """Have warm pages mapped in one call; each would be a fault of its own. Older kernels do not know it."""
        first = start // mmap.PAGESIZE * mmap.PAGESIZE
        with contextlib.suppress(OSError):
            self.memory.madvise(_POPULATE_WRITE, first, start + size - first)


def _descriptor(size: int) -> int | None:
    """Return a descriptor on ``size`` bytes of memory whose size nobody can change, or None where there is none."""
    if sys.platform != "linux":
        return None
    import fcntl  # not everywhere

    try:
        descriptor = os.memfd_create("assay-answer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None
    try:
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, _ADD_SEALS, _SIZE_SEALS)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _mapped(descriptor: int, size: int) -> mmap.mmap:
    """Map it; when the last view of it is gone, the descriptor goes back to be used again."""
    try:
        memory = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | _NORESERVE)
    except BaseException:
        os.close(descriptor)
        raise
    weakref.finalize(memory, _put_back, size, descriptor, os.getpid()).atexit = False
    return memory


def _put_back(size: int, descriptor: int, owner: int) -> None:
    if os.getpid() != owner:  # in a child that number may be another file's
        return
    if len(_warm) < WARM_ARENAS and os.fstat(descriptor).st_blocks * 512 <= WARM_BYTES:
        _warm.append((size, descriptor))
    else:
        os.close(descriptor)
