"""Where a mark may lie in a received picture: cropped, turned, resized, re-lit. See docs/formats/mark.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.provenance.media import Samples
from assay.watermark.blocks import BLOCK, Plane, blocks_at, centre, low_band, luma, resample, top_singular
from assay.watermark.layout import Candidate, Layout, origin

STEP = 40.0
"""Distance of two lattice points of the same bit, in units of the singular value (one grey level is 8)."""
CANONICAL_PIXELS = 1_500_000
"""Larger pictures are halved until they have no more pixels than this, and so carry larger blocks."""
WINDOW_PIXELS = 1_000_000
"""Most canonical pixels searched at the picture's own size; half of it at any other."""
FEWEST_BLOCKS = 320
"""Smallest canonical picture looked at, in blocks: each code bit once."""
GAINS = np.exp(np.arange(-0.5, 0.5, 0.002))
"""Changes of contrast tried on uncropped pictures, a change of brightness with each."""
GAIN_BLOCKS = 4096
"""Most blocks on which the gains are compared."""
RATIOS = (10 / 9, 5 / 4, 4 / 3, 10 / 7, 3 / 2, 8 / 5, 5 / 3)
"""Resizes undone, each times any power of two: from 0.9, 0.8, 0.75, 0.7, two thirds or 4/3, 5/4, 0.6 or 6/5.

Only these: a grid fitted to a quarter of a pixel is needed, which rules out scanning all sizes in a second.
"""
SCAN_SIDE = 480
"""Side of the square about the centre on which those sizes are compared, in canonical pixels."""
SCAN_SCORE = 0.235
"""Synchronisation score at which a size is searched in full; chance rarely reaches it."""
SCAN_BEST = 2
"""Most sizes searched in full."""


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at the received picture: halve it, then enlarge it."""

    halvings: int
    enlargement: float = 1.0

    def plane(self, pixels: Samples, limit: int) -> Plane:
        """Return the luma of at most about ``limit`` canonical pixels about the centre."""
        part = centre(pixels, int(limit / self.enlargement**2) << (2 * self.halvings))
        return resample(luma(part, self.halvings), self.enlargement)

    @property
    def scale(self) -> float:
        """Canonical pixels a received pixel."""
        return self.enlargement / (1 << self.halvings)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A candidate and how it came about: scale, pixel offset, gain undone, and the grid where whole."""

    candidate: Candidate
    scale: float
    offset: tuple[int, int] = (0, 0)
    gain: float = 1.0
    grid: tuple[int, int] | None = None

    @property
    def score(self) -> float:
        """How well it synchronises."""
        return self.candidate.score

    def aligned(self, scale: float) -> bool:
        """Whether the mark lies where embedding puts it in a whole picture of that scale."""
        return self.grid is not None and self.candidate.shift == origin(*self.grid) and self.scale == scale

    def describe(self) -> dict[str, object]:
        """Return JSON values for experts."""
        return {
            "scale": round(self.scale, 4),
            "pose": self.candidate.pose,
            "pixel_offset": list(self.offset),
            "tile_shift": list(self.candidate.shift),
            "gain": round(self.gain, 3),
        }


def halvings_for(pixels: Samples) -> int:
    """Return how often a picture's sides are halved before it is cut into blocks."""
    area, halvings = pixels.shape[0] * pixels.shape[1], 0
    while area >> (2 * halvings) > CANONICAL_PIXELS:
        halvings += 1
    return halvings


def canonical_blocks(pixels: Samples) -> int:
    """Return how many whole blocks a picture has at its own size."""
    side = BLOCK << halvings_for(pixels)
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    return int(rows * columns)


def other_octaves(pixels: Samples) -> Iterator[View]:
    """Yield the views other than the picture's own that undo resizing by a power of two, or deep crops."""
    area, own = pixels.shape[0] * pixels.shape[1], halvings_for(pixels)
    if 4 * area <= CANONICAL_PIXELS:
        yield View(0, 2.0)
    for halvings in range(max(0, own - 1), own + 3):
        if halvings != own and area >> (2 * halvings) >= FEWEST_BLOCKS * BLOCK**2:
            yield View(halvings)


def phasors(values: Plane, gain: float = 1.0) -> NDArray[np.complex64]:
    """Return where in its step each singular value lies, as points on the unit circle."""
    angle = values * np.float32(2 * np.pi / STEP / gain)
    points = np.empty(values.shape, np.complex64)
    points.real, points.imag = np.cos(angle), np.sin(angle)
    return points


def singular_values(low: Plane, top: int = 0, left: int = 0) -> Plane:
    """Return the largest singular value of each block of the grid that starts at a pixel."""
    return top_singular(blocks_at(low, top, left))[0]


def grids(layout: Layout, plane: Plane, scale: float, keep: int) -> list[Hypothesis]:
    """Return the ``keep`` best synchronised hypotheses of all 64 pixel offsets and eight poses, best first."""
    low = low_band(plane)
    offsets = list(np.ndindex(BLOCK, BLOCK))
    points = (phasors(singular_values(low, top, left)) for top, left in offsets)
    return [
        Hypothesis(candidate, scale, (offsets[number][0], offsets[number][1]))
        for number, candidate in layout.synchronise(points, keep)
    ]


def unmoved(layout: Layout, values: Plane, scale: float, gain: float = 1.0) -> Hypothesis:
    """Return the hypothesis that the picture is whole; ``values`` are its singular values."""
    rows, columns = values.shape
    return Hypothesis(layout.as_is(phasors(values, gain)), scale, gain=gain, grid=(rows, columns))


def best_first(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    """Sort by score."""
    return sorted(hypotheses, key=lambda h: h.score, reverse=True)


def relit(layout: Layout, values: Plane, scale: float, count: int) -> list[Hypothesis]:
    """Return the best hypotheses of an uncropped picture whose contrast and brightness were changed.

    ``values`` are the singular values of all its blocks.
    """
    first = origin(*values.shape)
    sample = values[: max(1, GAIN_BLOCKS // max(1, values.shape[1]))]
    scores = [layout.as_is(phasors(sample, gain), first=first).score for gain in GAINS]
    best = [float(GAINS[n]) for n in np.argsort(scores)[::-1][:count]]
    return [unmoved(layout, values, scale, gain) for gain in best]


def resized(layout: Layout, pixels: Samples, keep: int) -> list[Hypothesis]:
    """Return the ``keep`` best hypotheses of pictures resized by one of ``RATIOS``, best first; often none."""
    scored = [(_scanned(layout, view, pixels), view) for view in _resizes(pixels)]
    scored.sort(key=lambda pair: pair[0], reverse=True)
    found: list[Hypothesis] = []
    for score, view in scored[:SCAN_BEST]:
        if score >= SCAN_SCORE:
            found += grids(layout, view.plane(pixels, WINDOW_PIXELS // 2), view.scale, keep)
    return best_first(found)[:keep]


def _resizes(pixels: Samples) -> Iterator[View]:
    """Yield the views that undo resizing: of each ratio the two largest of canonical size."""
    area = pixels.shape[0] * pixels.shape[1]
    for ratio in RATIOS:
        enlargement, halvings = 2 * ratio, 0
        while area * enlargement**2 / 4**halvings > CANONICAL_PIXELS * 1.02:
            halvings += 1
        for _ in range(2):
            yield View(halvings - 1, enlargement / 2) if halvings else View(0, enlargement)
            halvings, enlargement = (halvings + 1, enlargement) if halvings else (0, enlargement / 2)


def _scanned(layout: Layout, view: View, pixels: Samples) -> float:
    """Return the best score of a view's central square over all pixel offsets."""
    low = low_band(view.plane(pixels, SCAN_SIDE**2))
    if min(low.shape) < 2 * BLOCK:
        return 0.0
    return layout.best_score(
        phasors(top_singular(blocks_at(low, top, left), rounds=2)[0])
        for top in range(BLOCK)
        for left in range(BLOCK)
    )
