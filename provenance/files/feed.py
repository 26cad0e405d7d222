"""Blocks of samples between a worker's child and this process, a few at a time, in a ring of shared memory.

``worker.run`` answers once; a film is more than one answer can hold. Here its child hands over, or is handed, one
block after another while it works: the memory is a ring made before the child is, and two pipes say which of its
places are full and which are free. Nothing but numbers and samples crosses, and what the child says is checked.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import select
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from assay.provenance.errors import AssayError, LimitError, MalformedError
from assay.provenance.files.worker import Answer, run
from assay.provenance.limits import Limits
from assay.provenance.media import Timed

PLACES = 4
"""Blocks that lie in the ring at once: one is read, one is written, and neither side waits for the other."""

_NOTICE = struct.Struct("<BQQqq")  # place, rows, bytes a row, and the time as a fraction
_FAILED = 255
_NORESERVE = 0x4000 if sys.platform == "linux" else 0


class _HungUpError(Exception):
    """The other side is gone."""


class _Ring:
    """Places for blocks in shared memory, with one pipe for full ones and one for free ones."""

    def __init__(self, block_bytes: int) -> None:
        self._size = -(-max(block_bytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
        flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | _NORESERVE
        self._memory = mmap.mmap(-1, self._size * PLACES, flags=flags)
        self.full, self.filled = (io.FileIO(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
        self.free, self.freed = (io.FileIO(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
        self.freed.write(bytes(range(PLACES)))

    def put(self, at: Fraction, block: Any) -> None:
        """Lay a block down, a C-contiguous array, as soon as there is room; raises _HungUpError where nobody reads."""
        place = self._take(self.free, 1)
        data = memoryview(block).cast("B")
        if not place or place[0] >= PLACES or data.nbytes > self._size:
            raise _HungUpError
        self._memory[place[0] * self._size : place[0] * self._size + data.nbytes] = data
        rows = len(block)
        notice = _NOTICE.pack(place[0], rows, data.nbytes // max(rows, 1), at.numerator, at.denominator)
        self._say(self.filled, notice)

    def take(self, patience: float | None, dtype: Any, shape: tuple[int, ...]) -> Timed | None:
        """Return the next block as (seconds, array of rows of ``shape``), None at the end.

        Waits ``patience`` seconds, None for ever. Raises LimitError where that is not enough, MalformedError on
        anything that is no notice, _HungUpError where the writer says that it gave up.
        """
        notice = self._take(self.full, _NOTICE.size, patience)
        if not notice:
            return None
        if notice[0] == _FAILED:
            raise _HungUpError
        place, rows, width, above, below = _NOTICE.unpack(notice)
        expected = int(np.dtype(dtype).itemsize * np.prod(shape, dtype=np.int64))
        if place >= PLACES or rows * expected > self._size or below <= 0 or (rows and width != expected):
            raise MalformedError("its parser answered in no known form")
        block = np.frombuffer(self._memory, np.uint8, rows * expected, place * self._size).copy()
        with contextlib.suppress(_HungUpError):  # the writer may be done
            self._say(self.freed, bytes((place,)))
        return Fraction(above, below), block.view(dtype).reshape(rows, *shape)

    def give_up(self) -> None:
        """Tell the reader that no more will come, and that what came is not all."""
        with contextlib.suppress(_HungUpError):
            self._say(self.filled, bytes((_FAILED,)) * _NOTICE.size)

    def close(self) -> None:
        """Close this side's ends of both pipes."""
        for end in (self.full, self.filled, self.free, self.freed):
            end.close()

    @staticmethod
    def _say(end: io.FileIO, data: bytes) -> None:
        try:
            end.write(data)
        except (BrokenPipeError, ValueError) as error:  # closed there, or here
            raise _HungUpError from error

    @staticmethod
    def _take(end: io.FileIO, size: int, patience: float | None = None) -> bytes:
        poll = select.poll()
        poll.register(end, select.POLLIN)
        data = b""
        while len(data) < size:
            if not poll.poll(None if patience is None else patience * 1000):
                raise LimitError(
                    f"gave nothing for the limit stall_seconds of {patience:g} s",
                    hint="raise the limit if the machine is known to be busy",
                )
            piece = end.read(size - len(data))
            if not piece:
                return b""
            data += piece
        return data


Put = Callable[[Fraction, Any], None]
"""Hands over a block, an array whose rows are as wide as the reader expects, with its time in seconds."""


def pull(
    function: Callable[[BinaryIO, Put], Answer],
    stream: BinaryIO,
    limits: Limits,
    block_bytes: int,
    dtype: Any,
    shape: tuple[int, ...],
) -> Iterator[Timed]:
    """Run ``function`` in a child, sealed as ``worker.run`` seals it, and yield the blocks that it hands over.

    Blocks are arrays of ``dtype`` with rows of ``shape``, at most ``block_bytes`` each, and the receiver's own. The
    child is gone when the iterator ends or is closed. Raises what ``worker.run`` raises, and LimitError where no block
    comes for ``limits.stall_seconds``.
    """
    ring = _Ring(block_bytes)

    def work(own: BinaryIO) -> Answer:
        try:
            return function(own, ring.put)
        except _HungUpError:  # nobody wants more
            return Answer({})

    line = _Line(work, stream, limits, ring, child_ends=(ring.filled, ring.free))
    try:
        while (taken := ring.take(limits.stall_seconds, dtype, shape)) is not None:
            yield taken
        line.answer()
    finally:
        ring.close()
        line.end()


def push(
    function: Callable[[BinaryIO, Iterator[Timed]], Answer],
    stream: BinaryIO,
    chunks: Iterable[Timed],
    limits: Limits,
    block_bytes: int,
    dtype: Any,
    shape: tuple[int, ...],
    target: BinaryIO,
) -> Answer:
    """Run ``function`` in a sealed child that may write to ``target``, hand it ``chunks`` there, and return its answer.

    Raises what ``worker.run`` raises, and what ``chunks`` raise.
    """
    ring = _Ring(block_bytes)

    def taken() -> Iterator[Timed]:
        while (block := ring.take(None, dtype, shape)) is not None:
            yield block

    def work(own: BinaryIO) -> Answer:
        return function(own, taken())

    line = _Line(work, stream, limits, ring, child_ends=(ring.full, ring.freed), target=target)
    try:
        for at, chunk in chunks:
            ring.put(at, np.ascontiguousarray(chunk, dtype))
    except _HungUpError:
        line.answer()  # it says why it ended
        raise MalformedError("its writer ended before all was written") from None
    except BaseException:
        ring.give_up()
        raise
    else:
        ring.filled.close()
        return line.answer()
    finally:
        ring.close()
        line.end()


class _Line:
    """A child at work beside this process: ``worker.run`` in a thread of its own, which its answer ends."""

    def __init__(
        self,
        work: Callable[[BinaryIO], Answer],
        stream: BinaryIO,
        limits: Limits,
        ring: _Ring,
        child_ends: tuple[io.FileIO, io.FileIO],
        target: BinaryIO | None = None,
    ) -> None:
        self._answer: Answer | AssayError | None = None
        # A film takes as long as its receiver does; what ends a child that hangs is stall_seconds, and its CPU time.
        own = replace(
            limits,
            worker_seconds=limits.stream_seconds,
            worker_cpu_seconds=limits.stream_cpu_seconds,
            answer_bytes=min(limits.answer_bytes, ANSWER_BYTES),
        )
        also: list[Any] = [*child_ends, *([target] if target else [])]

        def follow() -> None:
            try:
                self._answer = run(work, stream, own, also=also, writes=target is not None, waits=True)
            except AssayError as error:
                self._answer = error
            finally:
                for end in child_ends:  # the child's are closed with it: now its readers see the end
                    end.close()

        self._thread = threading.Thread(target=follow, name="assay-feed", daemon=True)
        self._thread.start()

    def answer(self) -> Answer:
        """Wait for the child's answer; raises the error that stands for it."""
        self._thread.join()
        if isinstance(self._answer, Answer):
            return self._answer
        raise self._answer or MalformedError("its parser ended without an answer")

    def end(self) -> None:
        """Wait for the child to be gone; it ends as soon as it finds its pipes closed."""
        self._thread.join(LAST_SECONDS)


ANSWER_BYTES = 64 << 20
"""Largest answer of a child besides its blocks."""
LAST_SECONDS = 5.0
"""How long a child that nobody listens to is waited for; its own limits end it later."""
