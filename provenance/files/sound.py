"""Samples of a sound, decoded in a sealed child and handed over a second at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from assay.provenance.errors import LimitError, UnsupportedError
from assay.provenance.files.feed import Put, pull
from assay.provenance.files.reel import Reel, av, first, frames, only, opened
from assay.provenance.files.worker import Answer
from assay.provenance.limits import Limits
from assay.provenance.media import Kind, Media, Timed


def sound(stream: BinaryIO, reel: Reel, limits: Limits) -> Media:
    """Return the first voices of an open file as Media: each pass decodes anew, in a child of its own.

    Samples of 24 bits and fewer are exact. Raises UnsupportedError where the file has none; passes raise
    MalformedError and LimitError.
    """
    voices = reel.voices
    if voices is None:
        raise UnsupportedError("has no sound")
    shape = (voices.channels,)

    def source(start: Fraction, stop: Fraction | None) -> Iterator[Timed]:
        return pull(
            lambda own, put: _decode(own, reel, limits, put, start, stop),
            stream, limits, voices.rate * voices.channels * 4, np.float32, shape,
        )  # fmt: skip

    return Media(Kind.AUDIO, source, Fraction(voices.rate), voices.seconds, shape)


def samples(container: Any, stream: Any, rate: int, channels: int) -> Iterator[Any]:
    """Yield a stream's samples as decoded, float32 (n, channels), at one rate and number of channels."""
    resampler: Any = None
    wanted: tuple[object, ...] = ()
    for frame in frames(container, stream):
        have = (frame.format.name, frame.layout.name, frame.sample_rate)
        if have != wanted:  # a stream may change in its course; the first form stands
            wanted = have
            layout = (
                frame.layout.name
                if frame.layout.nb_channels == channels
                else stream.codec_context.layout.name
            )
            resampler = av().AudioResampler(format="flt", layout=layout, rate=rate)
        frame.pts = None
        for made in resampler.resample(frame):
            yield made.to_ndarray().reshape(-1, channels)


def _decode(
    own: BinaryIO, reel: Reel, limits: Limits, put: Put, start: Fraction, stop: Fraction | None
) -> Answer:
    voices = reel.voices
    assert voices is not None
    rate, channels = voices.rate, voices.channels
    begin = max(0, math.ceil(start * rate))
    end = min(limits.film_seconds * rate, math.inf if stop is None else math.ceil(stop * rate))
    with opened(own, reel.media_type, limits) as container:
        stream = only(container, first(container, Kind.AUDIO))
        # Every pass starts at the first sample: seeking is exact to a packet at best, and sound decodes fast.
        at = 0
        block = np.empty((rate, channels), np.float32)
        held = 0
        for piece in samples(container, stream, rate, channels):
            low, high = max(0, begin - at), max(0, int(min(len(piece), end - at)))
            at += len(piece)
            piece = piece[low:high]
            while len(piece):
                part = piece[: rate - held]
                block[held : held + len(part)] = part
                held += len(part)
                piece = piece[len(part) :]
                if held == rate:
                    put(Fraction(begin, rate), block)
                    begin, held = begin + rate, 0
            if at >= end:
                break
        if held:
            put(Fraction(begin, rate), block[:held])
        if stop is None and at > limits.film_seconds * rate:
            raise LimitError(f"is longer than the limit film_seconds of {limits.film_seconds} s")
    return Answer({})
