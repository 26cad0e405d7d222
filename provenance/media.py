"""Decoded samples: what is marked and examined."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8]
"""A picture or a frame, (height, width, 3)."""
Sound = NDArray[np.float32]
"""A block of sound, (n, channels), full scale -1..1."""


class Kind(StrEnum):
    """What sort of media a file holds."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    UNKNOWN = "unknown"


Timed = tuple[Fraction, Any]
"""A chunk and when it begins: seconds from the start of the clip or recording."""
Source = Callable[[Fraction, Fraction | None], Iterator[Timed]]
"""Gives the chunks from one time on to before another, or to the end, afresh at each call."""


@dataclass(frozen=True, slots=True)
class Media:
    """Decoded samples in re-iterable chunks; an image is a one-frame video.

    ``IMAGE`` has one chunk, ``VIDEO`` one a frame: uint8, shape (height, width, 3), sRGB-ordered RGB, upright (EXIF
    orientation or rotation applied). ``AUDIO`` has blocks of about a second: float32, shape (n, channels), full
    scale -1..1. All chunks have ``shape`` but for the n. ``rate`` is samples a second, or frames a second on average
    (single frames are where their times say), None for a still. ``seconds`` is the length as the container declares it,
    None for a still or where nothing is declared. ``source`` calls afresh for each pass, so that no pass holds more
    than one chunk; a chunk's array is its receiver's to keep.
    """

    kind: Kind
    source: Source = field(repr=False)
    rate: Fraction | None = None
    seconds: Fraction | None = None
    shape: tuple[int, ...] = ()
    keys: Callable[[Fraction], Iterator[Timed]] | None = field(default=None, repr=False)
    """Gives the frames of a video that are decoded without others, at least so many seconds apart; or None."""
    spaced: Callable[[Fraction], Iterator[Timed]] | None = field(default=None, repr=False)
    """Gives the first frame of a video and then one at least so many seconds after the last; None where unknown."""
    start: Fraction = Fraction(0)
    stop: Fraction | None = None

    def timed(self) -> Iterator[Timed]:
        """Iterate over (seconds, chunk), ascending; times are exact and those of the whole, in a part of it too."""
        return self.source(self.start, self.stop)

    def chunks(self) -> Iterator[Any]:
        """Iterate over the samples from the start."""
        return (chunk for _, chunk in self.timed())

    def frame(self) -> Samples:
        """Return the first chunk: for an image, the picture."""
        chunks = self.chunks()
        first: Samples = next(chunks)
        return first

    def part(self, start: Fraction, stop: Fraction | None = None) -> Media:
        """Return what begins at ``start`` seconds or later and before ``stop``; what lies before is not given."""
        return replace(self, start=start, stop=stop, keys=None, spaced=None)

    def changed(self, change: Callable[[Iterator[Timed]], Iterator[Timed]]) -> Media:
        """Return the media that ``change`` makes of each pass over these, chunk for chunk, lazily."""

        def source(start: Fraction, stop: Fraction | None) -> Iterator[Timed]:
            for at, chunk in change(self.timed()):
                if stop is not None and at >= stop:
                    return
                if at >= start:
                    yield at, chunk

        return replace(self, source=source, keys=None, spaced=None)

    @classmethod
    def still(cls, picture: Samples) -> Media:
        """Wrap one picture, uint8 (height, width, 3)."""
        return cls(Kind.IMAGE, lambda start, stop: iter(((Fraction(0), picture),)), shape=picture.shape)

    @classmethod
    def film(cls, frames: Sequence[Timed], rate: Fraction) -> Media:
        """Wrap frames that are in memory, as (seconds, uint8 (height, width, 3))."""
        held = tuple(frames)
        shape = held[0][1].shape if held else ()
        end = held[-1][0] + 1 / rate if held else Fraction(0)

        def source(start: Fraction, stop: Fraction | None) -> Iterator[Timed]:
            return (pair for pair in held if pair[0] >= start and (stop is None or pair[0] < stop))

        return cls(Kind.VIDEO, source, rate, end, shape)

    @classmethod
    def sound(cls, samples: Sound, rate: int) -> Media:
        """Wrap samples that are in memory, float32 (n, channels), at ``rate`` a second."""

        def source(start: Fraction, stop: Fraction | None) -> Iterator[Timed]:
            end = len(samples) if stop is None else min(len(samples), math.ceil(stop * rate))
            for at in range(max(0, math.ceil(start * rate)), end, rate):
                yield Fraction(at, rate), samples[at : min(at + rate, end)]

        seconds = Fraction(len(samples), rate)
        return cls(Kind.AUDIO, source, Fraction(rate), seconds, samples.shape[1:])


@dataclass(frozen=True, slots=True)
class Picture:
    """One canonically decoded image, the same for every witness.

    ``pixels`` uint8 (height, width, 3) RGB, upright, first frame, alpha dropped (not composited), 16 bits
    scaled to 8 and CMYK converted; colours stay in the file's own space, whose profile is ``icc``.
    ``alpha`` uint8 (height, width) or None. ``frames`` counts all frames of an animation. ``format`` is the
    decoder's name for the container (``"JPEG"``). ``exif``, ``xmp``, ``icc`` are raw bytes as found, possibly
    empty. ``notes`` lists in words what the conversion changed (``"16 bits a sample reduced to 8"``).
    """

    pixels: Samples
    alpha: Samples | None
    format: str
    mode: str
    frames: int
    orientation: int
    exif: bytes
    xmp: bytes
    icc: bytes
    text: dict[str, str]
    encoding: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def media(self) -> Media:
        """The picture as Media."""
        return Media.still(self.pixels)
