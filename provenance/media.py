"""Decoded samples: what is marked and examined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8]


class Kind(StrEnum):
    """What sort of media a file holds."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Media:
    """Decoded samples in re-iterable chunks; an image is a one-frame video.

    For images each chunk is one frame, uint8, shape (height, width, 3), sRGB-ordered RGB, upright (EXIF
    orientation applied). ``rate`` is frames or samples a second, None for a still. ``source`` calls afresh for
    each pass, so that no pass holds more than one chunk.
    """

    kind: Kind
    source: Callable[[], Iterator[Samples]] = field(repr=False)
    rate: Fraction | None = None

    def chunks(self) -> Iterator[Samples]:
        """Iterate over the samples from the start."""
        return self.source()

    def frame(self) -> Samples:
        """Return the first chunk: for an image, the picture."""
        return next(self.chunks())

    @classmethod
    def still(cls, picture: Samples) -> Media:
        """Wrap one picture, uint8 (height, width, 3)."""
        return cls(Kind.IMAGE, lambda: iter((picture,)))


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
