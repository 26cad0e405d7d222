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
from assay.watermark.hallmark.canvas import Plane, canonical_shape, luma, resampled
from assay.watermark.hallmark.listener import by_network
from assay.watermark.hallmark.mask import amplitude
from assay.watermark.hallmark.write import added, coded, laid

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
TRIED = 42.1
"""Peak signal-to-noise ratio in decibels at which a trial passage is tried."""
TRIAL = Fraction(1)
"""Seconds after which another trial is made."""
TRIAL_QUALITY = 30
"""Quality of the trial's JPEG, at half the frame's sides: about what is left of a frame at half size and crf 32."""
MIDDLE, HEARD, SLOPE = 42.5, 24.0, 5.0
"""Decibels where a trial's statistic is HEARD, and decibels more for each factor of ten in it."""
LOUDEST, FAINTEST = 41.0, 43.3
"""Decibels between which the strength is chosen."""
MOST = 2.4
"""Largest factor of the amplitude: black and night stay below the loudest."""


@dataclass
class Writer:
    """Marks the frames of one pass, in order."""

    voice: FilmVoice
    id: str
    _drawn: tuple[int, Plane] | None = field(default=None, init=False)
    _change: Plane | None = field(default=None, init=False)
    _amplitude: Plane | None = field(default=None, init=False)
    _seen: Plane | None = field(default=None, init=False)
    _decibels: float | None = field(default=None, init=False)
    _next: Fraction = field(default=Fraction(0), init=False)
    _trial: Fraction = field(default=Fraction(0), init=False)

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
            pattern = self._pattern(number, shape)
            if self._decibels is None or at >= self._trial:
                self._try(pixels, pattern, number)
                self._trial = at + TRIAL
            assert self._decibels is not None
            self._change = self._scaled(pattern, self._decibels)
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
        else:
            self._decibels = None
        self._seen, self._amplitude = plane, borne

    def _try(self, pixels: Samples, pattern: Plane, number: int) -> None:
        """Choose the strength by what outlasts a trial passage."""
        tried = added(pixels, self._scaled(pattern, TRIED))
        half = luma(tried, (pixels.shape[0] // 2, pixels.shape[1] // 2))
        listened = by_network(resampled(coded(half, TRIAL_QUALITY), (pattern.shape[0], pattern.shape[1])))
        code, corner = self.voice.payload.encode(self.id), self.voice.corner(self.id, number)
        heard = max(1.0, self.voice.agreement(listened, code, corner))
        wanted = min(FAINTEST, max(LOUDEST, MIDDLE + SLOPE * math.log10(heard / HEARD)))
        self._decibels = wanted if self._decibels is None else KEPT * self._decibels + (1 - KEPT) * wanted

    def _scaled(self, pattern: Plane, decibels: float) -> Plane:
        """Return the change of the canvas in grey levels at a peak signal-to-noise ratio."""
        assert self._amplitude is not None
        change: Plane = self._amplitude * pattern
        loud = math.sqrt(float((change * change).mean())) + 1e-6
        return change * np.float32(min(MOST, 255 / 10 ** (decibels / 20) / loud))
