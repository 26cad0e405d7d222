"""Hide a code word in frames as they pass: where, how strong, and for how long. Format: docs/formats/mark-video.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from assay.provenance.errors import LimitError
from assay.provenance.media import Samples, Timed
from assay.watermark.film.voice import SECONDS, SIDE, TONE_SHARE, FilmVoice
from assay.watermark.hallmark.canvas import Plane, canonical_shape, luma
from assay.watermark.hallmark.mask import amplitude
from assay.watermark.hallmark.write import added, laid

LEAST_SIDE = 96
"""Fewest pixels of a frame's shorter side."""
REFRESH = Fraction(1, 5)
"""Seconds after which the picture is looked at again, for how much each place hides."""
EVENNESS = 0.4
"""Power of the image mark's mask: codecs keep a mark in calm places, which the full mask would leave almost bare."""
KEPT = 0.7
"""Share of the former amplitude that stays while a scene goes on: what flickers costs a codec bits."""
CUT = 12.0
"""Mean change of the canvas in grey levels from which on another scene has begun."""
DECIBELS = 42.1
"""Peak signal-to-noise ratio of a frame in which nothing is clipped."""


@dataclass
class Writer:
    """Marks the frames of one pass, in order."""

    voice: FilmVoice
    id: str
    _drawn: tuple[int, Plane] | None = field(default=None, init=False)
    _change: Plane | None = field(default=None, init=False)
    _amplitude: Plane | None = field(default=None, init=False)
    _seen: Plane | None = field(default=None, init=False)
    _next: Fraction = field(default=Fraction(0), init=False)

    def marked(self, frames: Iterator[Timed]) -> Iterator[Timed]:
        """Yield the frames with the identifier in their luma; raises LimitError where they are too small."""
        for at, pixels in frames:
            yield at, self._marked(Fraction(at), pixels)

    def _marked(self, at: Fraction, pixels: Samples) -> Samples:
        height, width = pixels.shape[:2]
        if min(height, width) < LEAST_SIDE:
            raise LimitError(
                f"the film is too small for a mark ({width} x {height})",
                hint=f"its shorter side needs {LEAST_SIDE} pixels",
            )
        shape = canonical_shape(height, width, SIDE)
        number = math.floor(at / SECONDS)
        stale = self._drawn is None or self._drawn[0] != number or self._drawn[1].shape != shape
        if stale or self._change is None or at >= self._next:
            self._look(luma(pixels, shape))
            self._next = at + REFRESH
            self._change = self._strength(self._pattern(number, shape))
        return added(pixels, self._change)

    def _pattern(self, number: int, shape: tuple[int, int]) -> Plane:
        """Return the pattern of a stretch, drawn once for as long as it lies still."""
        if self._drawn is None or self._drawn[0] != number or self._drawn[1].shape != shape:
            code, corner = self.voice.payload.encode(self.id), self.voice.corner(self.id, number)
            self._drawn = (number, laid(self.voice.pattern, code, shape, corner, TONE_SHARE))
        return self._drawn[1]

    def _look(self, plane: Plane) -> None:
        """Take the amplitude from a canvas, slowly as long as the scene goes on."""
        borne: Plane = amplitude(plane) ** np.float32(EVENNESS)
        seen, before = self._seen, self._amplitude
        goes_on = seen is not None and seen.shape == plane.shape and float(np.abs(plane - seen).mean()) < CUT
        if before is not None and goes_on:
            borne = np.float32(KEPT) * before + np.float32(1 - KEPT) * borne
        self._seen, self._amplitude = plane, borne

    def _strength(self, pattern: Plane) -> Plane:
        """Return the change of the canvas in grey levels."""
        assert self._amplitude is not None
        change = self._amplitude * pattern
        loud = math.sqrt(float((change * change).mean())) + 1e-6
        return change * np.float32(255 / 10 ** (DECIBELS / 20) / loud)
