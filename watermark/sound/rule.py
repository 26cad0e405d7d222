"""The plain rule that hears tiles well enough to find the lattice: each against what its neighbours let expect.

The weights of the neighbours were fitted by least squares, in the logarithm of amplitude, on unmarked music and
speech of the development part (bench/audio_mark.py says which that is).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from assay.watermark.sound.lattice import BANDS, SLOT, Reals
from assay.watermark.sound.spectrum import moving, tile_power

NEIGHBOURS = (
    (1.0, -0.3357, -0.1537),
    (-0.4101, 0.1287, 0.0700),
    (-0.0487, 0.0258, -0.0003),
)
"""Weights by distance in slots (rows) and in bands (columns)."""
STRIDE = 2
"""Frames between two of the places at which the rule listens."""
LOUDEST = 2.5
"""Deviations from what was expected count no more than this many times their local spread."""
SPREAD_SLOTS, SPREAD_BANDS = 7, 5
"""Size of the surroundings in which the spread is taken."""
LEAST_SPREAD = 0.02
"""Spread below which nothing is trusted more, in nepers."""
HUSH = 0.05
"""Quantile of a band's power over time; the lowest of all bands is taken for the noise that was added."""


@cache
def _across() -> tuple[Reals, ...]:
    """Return the matrices (BANDS, BANDS) of the neighbours' weights, one a distance in slots, ends repeated."""
    matrices = []
    for row in NEIGHBOURS:
        matrix = np.zeros((BANDS, BANDS), np.float32)
        for shift in range(-2, 3):
            source = np.clip(np.arange(BANDS) + shift, 0, BANDS - 1)
            np.add.at(matrix, (source, np.arange(BANDS)), row[abs(shift)])
        matrices.append(matrix)
    return tuple(matrices)


def hear(power: Reals, pitch: float) -> Reals:
    """Return what the tile about every STRIDE-th frame says, (places, BANDS): positive for louder than expected."""
    tiles = tile_power(power, pitch)[::STRIDE]
    whole = float(tiles.mean()) + 1e-20
    levels = 0.5 * np.log(tiles + np.float32(1e-7 * whole))
    slot = SLOT // STRIDE
    padded = np.pad(levels, ((2 * slot, 2 * slot), (0, 0)), mode="edge")
    here, near, far = _across()
    length = len(levels)

    def moved(slots: int) -> Reals:
        start = (2 + slots) * slot
        return padded[start : start + length]

    beyond = moved(0) @ here + (moved(1) + moved(-1)) @ near + (moved(2) + moved(-2)) @ far
    spread = moving(moving(np.minimum(beyond**2, 1), SPREAD_SLOTS * slot), SPREAD_BANDS, axis=1)
    spread = np.sqrt(spread + np.float32(LEAST_SPREAD**2))
    noise = 2 * np.float32(np.quantile(tiles[::2], HUSH, axis=0).min())
    trusted = tiles / (tiles + noise + np.float32(1e-12 * whole + 1e-30))
    said: Reals = np.clip(beyond / spread, -LOUDEST, LOUDEST) / spread * trusted
    said[tiles < 1e-6 * whole] = 0
    return said
