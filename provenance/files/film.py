"""Frames of a film, decoded in a sealed child and handed over one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from assay.provenance.errors import LimitError, UnsupportedError
from assay.provenance.files.feed import Put, pull
from assay.provenance.files.reel import Reel, first, frames, only, opened
from assay.provenance.files.worker import Answer
from assay.provenance.limits import Limits
from assay.provenance.media import Kind, Media, Timed

BACK_OFF = (Fraction(0), Fraction(2), Fraction(8), Fraction(32))
"""Seconds before a time that a pass seeks back to, one after the other, until it stands before that time."""

EXACT = 0x42002
"""FFmpeg's scaler: bilinear, accurate rounding, chroma at full width. Its fast path darkens by a level."""


def film(stream: BinaryIO, reel: Reel, limits: Limits) -> Media:
    """Return the pictures of an open file as Media: each pass decodes anew, in a child of its own.

    Raises UnsupportedError where the file has none; passes raise MalformedError and LimitError.
    """
    pictures = reel.pictures
    if pictures is None:
        raise UnsupportedError("has no moving pictures")
    width, height = pictures.width, pictures.height

    def passed(job: Callable[[BinaryIO, Put], Answer]) -> Iterator[Timed]:
        return pull(job, stream, limits, width * height * 3, np.uint8, (width, 3))

    def source(start: Fraction, stop: Fraction | None) -> Iterator[Timed]:
        return passed(lambda own, put: _decode(own, reel, limits, put, start, stop))

    def spaced(apart: Fraction) -> Iterator[Timed]:
        return passed(lambda own, put: _decode(own, reel, limits, put, Fraction(0), None, apart))

    def keys(apart: Fraction) -> Iterator[Timed]:
        return passed(lambda own, put: _decode_keys(own, reel, limits, put, apart))

    return Media(
        Kind.VIDEO, source, pictures.rate, pictures.seconds, (height, width, 3), keys=keys, spaced=spaced
    )


class _Clock:
    """Times of frames: seconds from the stream's start, ascending; a frame without a time follows the one before."""

    def __init__(self, stream: Any, rate: Fraction, limits: Limits) -> None:
        self._unit, self._first = stream.time_base, stream.start_time or 0
        self._step, self._limits = 1 / rate, limits
        self._last: Fraction | None = None
        self._count = 0

    def of(self, frame: Any) -> Fraction:
        """Return a frame's time; raises LimitError past the limits."""
        if frame.pts is None:
            at = Fraction(0) if self._last is None else self._last + self._step
        else:
            at = (frame.pts - self._first) * self._unit
        if self._last is not None and at <= self._last:
            at = self._last + self._unit
        self._last = at
        self._count += 1
        if at > self._limits.film_seconds:
            raise LimitError(f"is longer than the limit film_seconds of {self._limits.film_seconds} s")
        if self._count > self._limits.film_frames:
            raise LimitError(f"has more frames than the limit film_frames of {self._limits.film_frames}")
        return at


def rgb(frame: Any, turn: int, width: int, height: int) -> Any:
    """Return a decoded frame as upright uint8 (height, width, 3); one of another size is scaled to the first's."""
    stored = (height, width) if turn % 2 else (width, height)
    scaled = frame.reformat(width=stored[0], height=stored[1], format="rgb24", interpolation=EXACT)
    return np.ascontiguousarray(np.rot90(scaled.to_ndarray(), turn))


def _decode(
    own: BinaryIO,
    reel: Reel,
    limits: Limits,
    put: Put,
    start: Fraction,
    stop: Fraction | None,
    apart: Fraction = Fraction(0),
) -> Answer:
    pictures = reel.pictures
    assert pictures is not None
    with opened(own, reel.media_type, limits) as container:
        stream = only(container, first(container, Kind.VIDEO))
        for at, frame in _from(container, stream, start, lambda: _Clock(stream, pictures.rate, limits)):
            if stop is not None and at >= stop:
                break
            if at >= start:
                start = at + apart  # what is left out is not converted, which costs more than decoding
                put(at, rgb(frame, pictures.turn, pictures.width, pictures.height))
    return Answer({})


def _from(
    container: Any, stream: Any, start: Fraction, clock: Callable[[], _Clock]
) -> Iterator[tuple[Fraction, Any]]:
    """Yield (seconds, frame) from some frame on that is not later than ``start``, or from the first."""
    for back in BACK_OFF:
        at = start - back
        if at <= 0:
            break
        container.seek(int(at / stream.time_base) + (stream.start_time or 0), stream=stream)
        times = clock()
        timed = ((times.of(frame), frame) for frame in frames(container, stream))
        found = next(timed, None)
        # A seek may end past its goal, where pictures before a key frame are shown: then further back.
        if found is not None and found[0] <= start:
            yield found
            yield from timed
            return
    if start > 0:
        container.seek(stream.start_time or 0, stream=stream)
    times = clock()
    for frame in frames(container, stream):
        yield times.of(frame), frame


def _decode_keys(own: BinaryIO, reel: Reel, limits: Limits, put: Put, apart: Fraction) -> Answer:
    pictures = reel.pictures
    assert pictures is not None
    with opened(own, reel.media_type, limits) as container:
        stream = only(container, first(container, Kind.VIDEO))
        context, clock = stream.codec_context, _Clock(stream, pictures.rate, limits)
        context.thread_type = "SLICE"  # threads by frames would want more than one
        next_at = None
        for packet in container.demux(stream):
            if not packet.is_keyframe or packet.pts is None:
                continue
            at = (packet.pts - (stream.start_time or 0)) * packet.time_base
            if next_at is not None and at < next_at:
                continue
            found = [*context.decode(packet), *context.decode(None)]
            context.flush_buffers()
            if found:
                put(clock.of(found[0]), rgb(found[0], pictures.turn, pictures.width, pictures.height))
                next_at = at + apart
    return Answer({})
