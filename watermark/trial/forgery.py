"""An enemy without the key, who knows the algorithm: marks lifted onto other pictures, and marks taken off.

The enemy works where the mark lives: on luma at the area to which every picture is brought. Pictures of one size
are assumed, so that grids need no search: what fails here fails the harder for one who must look for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.provenance.media import Samples
from assay.watermark.trial.changes import Rng, plane_to_size
from assay.watermark.trial.filters import Levels, luma, psnr, to_bytes, wiener

Plane = NDArray[np.float32]

SIDE = 640
"""Side of a square of the area at which the enemy looks, in pixels; that of our own schemes."""
NOISE = 1.3
"""Standard deviation that the enemy takes the mark to have, in grey levels: some 46 dB."""
PERIODS = range(16, 257)
"""Periods that the enemy folds at, in those pixels."""
BAND = (0.03, 0.26)
"""Frequencies at which the enemy looks for hidden lines, cycles a pixel."""
LINES = 640
"""Lines that the enemy takes out."""
GAINS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
"""Strengths among which the least that erases a mark is looked for; 1 is a mark's own."""
_SPECTRUM = 1024  # side of the padded transform in which lines are looked for


# ------------------------------------------------------------------------------------- what the enemy sees


def suspected(picture: Samples) -> Plane:
    """Return what a denoiser takes away from a picture, canonical luma, float32."""
    plane = _canonical(luma(picture))
    return plane - wiener(plane, NOISE)


def exact(marked: Samples, original: Samples) -> Plane:
    """Return what was added to a picture, canonical luma: more than an enemy can know."""
    return _canonical(luma(marked) - luma(original))


def mean(residuals: Iterable[Plane]) -> Plane:
    """Return the mean of residuals of one shape."""
    total: Plane = np.mean(np.stack(list(residuals)), axis=0, dtype=np.float32)
    return total


def folded(residual: Plane, period: int) -> Plane:
    """Return the mean over all repetitions of a square of this period, repeated over the picture."""
    return _repeated(_tile(residual, period)[0], residual.shape)


def likely_period(residual: Plane) -> int:
    """Return the period whose folding leaves most energy beyond what chance leaves, in standard deviations."""
    power = float((residual * residual).mean())

    def excess(period: int) -> float:
        tile, counts = _tile(residual, period)
        return float(((tile * tile * counts).sum() / power - tile.size) / math.sqrt(2 * tile.size))

    return max(PERIODS, key=excess)


def lines(residual: Plane) -> Plane:
    """Return the residual's loudest lines of the spectrum, each against its surroundings."""
    height, width = residual.shape
    side = max(_SPECTRUM, height, width)
    spectrum = np.fft.rfft2(residual, (side, side))
    loud = np.abs(spectrum).astype(np.float32)
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    radius = np.hypot(down, across)
    surroundings = _blocks_mean(loud, 32)
    inside = (radius > BAND[0]) & (radius < BAND[1]) & (across > 0)
    contrast = np.where(inside, loud / np.maximum(surroundings, 1e-6), 0)
    chosen = np.argsort(contrast, axis=None)[-LINES:]
    sparse = np.zeros_like(spectrum)
    # A line's coefficient is its amplitude times the pixels seen; the inverse divides by the padded area.
    sparse.flat[chosen] = spectrum.flat[chosen] * (side * side / (height * width))
    return np.fft.irfft2(sparse, (side, side))[:height, :width].astype(np.float32)


# ------------------------------------------------------------------------------------ what the enemy does


def added(picture: Samples, residual: Plane, gain: float, rng: Rng) -> Samples:
    """Return a picture with a canonical residual times a gain in its luma, rounded at random."""
    height, width = picture.shape[:2]
    change = plane_to_size(residual, height, width) * np.float32(gain)
    change += rng.random(change.shape, np.float32) - np.float32(0.5)
    return to_bytes(picture + np.round(change)[..., None])


def transplanted(target: Samples, marked: Samples, original: Samples, gain: int) -> Samples:
    """Return another picture with exactly the change that marking made, sample by sample, times a gain."""
    return to_bytes(target.astype(np.int16) + gain * (marked.astype(np.int16) - original))


@dataclass(frozen=True, slots=True)
class Removal:
    """The least that it took to make a mark unreadable.

    ``gain`` is None where no gain tried was enough. ``cost`` is the PSNR of the attacked picture against the
    original, ``change`` that against the marked one, in dB, at that gain or at the last one tried.
    """

    gain: float | None
    cost: float
    change: float


def removed(
    marked: Samples,
    original: Samples,
    attack: Callable[[float], Samples],
    reads: Callable[[Samples], bool],
    gains: Sequence[float] = GAINS,
) -> Removal:
    """Return the least of the gains, which grow, after which ``reads`` says no, and what that cost.

    Found by halving: what a gain erases a greater one is taken to erase too. The last gain is tried first.
    """
    low, high = 0, len(gains) - 1
    attacked = attack(gains[high])
    if reads(attacked):
        return Removal(None, psnr(original, attacked), psnr(marked, attacked))
    while low < high:
        middle = (low + high) // 2
        milder = attack(gains[middle])
        if reads(milder):
            low = middle + 1
        else:
            high, attacked = middle, milder
    return Removal(gains[high], psnr(original, attacked), psnr(marked, attacked))


# ------------------------------------------------------------------------------------------------ details


def _canonical(plane: Levels) -> Plane:
    height, width = plane.shape
    scale = SIDE / math.sqrt(height * width)
    whole = plane.astype(np.float32)
    return plane_to_size(whole, max(1, round(height * scale)), max(1, round(width * scale)))


def _tile(residual: Plane, period: int) -> tuple[Plane, Plane]:
    """Return the mean square of a period, and how many pixels each mean is of."""
    rows, columns = (-(-side // period) * period for side in residual.shape)
    sums = np.zeros((2, rows, columns), np.float32)
    sums[0, : residual.shape[0], : residual.shape[1]] = residual
    sums[1, : residual.shape[0], : residual.shape[1]] = 1
    total, counts = sums.reshape(2, rows // period, period, columns // period, period).sum((1, 3))
    return total / np.maximum(counts, 1), counts


def _repeated(tile: Plane, shape: tuple[int, ...]) -> Plane:
    times = [-(-side // period) for side, period in zip(shape, tile.shape, strict=True)]
    return np.tile(tile, times)[: shape[0], : shape[1]]


def _blocks_mean(plane: Plane, side: int) -> Plane:
    """Return each value's mean over its block of a grid."""
    rows, columns = (-(-n // side) * side for n in plane.shape)
    padded = np.pad(plane, ((0, rows - plane.shape[0]), (0, columns - plane.shape[1])), "edge")
    means = padded.reshape(rows // side, side, columns // side, side).mean((1, 3))
    spread: Plane = means.repeat(side, 0).repeat(side, 1)[: plane.shape[0], : plane.shape[1]]
    return spread
