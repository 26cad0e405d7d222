"""From frames as they pass to looks: a few frames of each slot, listened to at the canvas' size, averaged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from assay.provenance.media import Media, Timed
from assay.watermark.film.follow import Look
from assay.watermark.film.voice import SIDE
from assay.watermark.hallmark.canvas import Plane, canonical_shape, luma, resampled
from assay.watermark.hallmark.listener import by_network

SLOT = 0.5
"""Seconds of a slot, the least stretch that is said to carry a mark or not."""
SLOTS = 4
"""Slots heard together."""
FRAMES = 6
"""Most frames of a slot that are listened to."""
LONG = 600
"""Seconds of a film from which on a part of each minute is listened to; the reading says which."""
EVERY, PASSAGE = 60, 12
"""Seconds from one such part to the next, and of each."""
LEAST_SIDE = 48
"""Fewest pixels of a frame's shorter side in which anything is looked for."""


@dataclass
class Glance:
    """The canvases of some frames of SLOTS slots, from ``start`` on: what a look is made of."""

    start: float
    stop: float = 0.0
    planes: list[list[Plane]] = field(default_factory=lambda: [[] for _ in range(SLOTS)])

    def listened(self, side: float) -> Look:
        """Listen at a size: ``side`` is that of a square of the planes' area."""
        times, heard = [], []
        for number, planes in enumerate(self.planes):
            if planes:
                shape = canonical_shape(planes[0].shape[0], planes[0].shape[1], side)
                times.append(self._times(number))
                heard.append(np.mean([by_network(resampled(plane, shape)) for plane in planes], axis=0))
        return Look(tuple(times), tuple(heard), side)

    def _times(self, number: int) -> tuple[float, float]:
        begin = self.start + number * SLOT
        return begin, max(begin, min(begin + SLOT, self.stop))


def glances(media: Media) -> Iterator[Glance]:
    """Yield the frames of a film, reduced, SLOTS slots at a time; nothing of frames that are too small."""
    current: Glance | None = None
    before = step = 0.0
    taken, size = -1, (0, 0)
    for at, pixels in _passing(media):
        time = float(at)
        if min(pixels.shape[:2]) < LEAST_SIDE:
            break
        if current is None or time >= current.start + SLOT * SLOTS - 1e-6 or pixels.shape[:2] != size:
            if current is not None:
                yield current
            current, taken, size = Glance(time), -1, pixels.shape[:2]
        step = time - before if 0 < time - before < SLOT else step
        before, current.stop = time, time + step
        place = math.floor((time - current.start) / SLOT * FRAMES + 1e-6)
        if place > taken:
            taken = place
            current.planes[place // FRAMES].append(luma(pixels, canonical_shape(size[0], size[1], SIDE)))
    if current is not None:
        yield current


def _passing(media: Media) -> Iterator[Timed]:
    """Yield the frames to choose from, of a whole long film those of its passages."""
    whole = media.start == 0 and media.stop is None
    if not whole or media.seconds is None or media.seconds <= LONG:
        yield from media.timed()
        return
    for start in range(0, math.ceil(media.seconds), EVERY):
        yield from media.part(Fraction(start), Fraction(start + PASSAGE)).timed()
