"""What changes levels and not places: light, colour, noise, blur, denoisers; and PSNR and SSIM."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from assay.provenance.media import Samples
from assay.watermark.trial.changes import Change, Rng

Levels = NDArray[np.floating[Any]]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""BT.601, the luma of JPEG."""
SSIM_SIGMA = 1.5
"""Standard deviation of SSIM's Gaussian window in pixels (Wang, Bovik, Sheikh, Simoncelli 2004)."""
SSIM_RADIUS = 5
"""Half of the window's 11 pixels; so wide an edge has no value."""
_SSIM_FLOOR = ((0.01 * 255) ** 2, (0.03 * 255) ** 2)
_STRIP = 512  # rows worked on at a time, which bounds memory


def luma(picture: Samples) -> Levels:
    """Return BT.601 luma, float32 (height, width), 0..255."""
    return picture.astype(np.float32) @ LUMA


def to_bytes(levels: NDArray[Any]) -> Samples:
    """Round and clip to uint8."""
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def in_levels(function: Callable[[Levels], Levels], edge: int = 0) -> Change:
    """Return the change that a function of float32 levels, 0..255, makes.

    It sees strips of the picture with so many rows and columns more on every side, mirrored at the borders,
    and what it makes of these is dropped.
    """

    def change(picture: Samples, rng: Rng) -> Samples:
        padded = np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), "symmetric") if edge else picture
        changed = np.empty_like(picture)
        width = picture.shape[1]
        for top in range(0, len(picture), _STRIP):
            rows = min(_STRIP, len(picture) - top)
            made = function(padded[top : top + rows + 2 * edge].astype(np.float32))
            changed[top : top + rows] = to_bytes(made[edge : edge + rows, edge : edge + width])
        return changed

    return change


def brighter(factor: float) -> Change:
    """Return the change of all levels by a factor."""
    return in_levels(lambda levels: levels * np.float32(factor))


def contrast(factor: float) -> Change:
    """Return the change of all distances from middle grey by a factor."""
    return in_levels(lambda levels: (levels - 128) * np.float32(factor) + 128)


def saturation(factor: float) -> Change:
    """Return the change of all distances from luma by a factor; 0 leaves grey."""

    def change(levels: Levels) -> Levels:
        grey = (levels @ LUMA)[..., None]
        return grey + (levels - grey) * np.float32(factor)

    return in_levels(change)


def gamma(exponent: float) -> Change:
    """Return the change of levels, as a part of white, to a power."""
    return in_levels(lambda levels: 255 * (levels / 255) ** np.float32(exponent))


def noise(sigma: float) -> Change:
    """Return the change that adds independent Gaussian noise to each sample."""
    return lambda picture, rng: to_bytes(
        picture + rng.standard_normal(picture.shape, np.float32) * np.float32(sigma)
    )


def blurred(sigma: float) -> Change:
    """Return the change that a Gaussian of standard deviation sigma makes."""
    return in_levels(lambda levels: _gaussian(levels, sigma), _reach(sigma))


def sharpened(amount: float = 0.6, sigma: float = 1.5) -> Change:
    """Return the unsharp mask: what a blur takes away is added, times the amount."""

    def change(levels: Levels) -> Levels:
        sharper: Levels = levels + (levels - _gaussian(levels, sigma)) * np.float32(amount)
        return sharper

    return in_levels(change, _reach(sigma))


def median(side: int) -> Change:
    """Return the change to the median of a square of so many pixels a side, in each channel."""

    def change(picture: Samples, rng: Rng) -> Samples:
        middle: Samples = ndimage.median_filter(picture, size=(side, side, 1), mode="nearest")
        return middle

    return change


def bilateral(sigma: float = 12.0, reach: int = 2) -> Change:
    """Return the mean of neighbours that are alike in luma (Tomasi and Manduchi 1998)."""
    return _alike(lambda difference: difference * difference, 2 * sigma * sigma, reach)


def non_local_means(sigma: float = 4.0, reach: int = 3) -> Change:
    """Return the mean of places whose 5 x 5 surroundings are alike (Buades, Coll, Morel 2005)."""

    def distance(difference: Levels) -> Levels:
        square: Levels = ndimage.uniform_filter(difference * difference, 5, mode="nearest")
        # Noise alone makes two surroundings differ by twice its variance.
        more: Levels = np.maximum(square - np.float32(2 * sigma * sigma), 0)
        return more

    return _alike(distance, sigma * sigma, reach)


def wiener(plane: NDArray[np.float32], noise: float, side: int = 5) -> NDArray[np.float32]:
    """Return the plane without noise of a standard deviation, by local mean and variance (Lee 1980)."""
    mean = ndimage.uniform_filter(plane, side, mode="reflect")
    variance = ndimage.uniform_filter(plane * plane, side, mode="reflect") - mean * mean
    share = np.maximum(variance - noise**2, 0) / np.maximum(variance, noise**2)
    clean: NDArray[np.float32] = (mean + share * (plane - mean)).astype(np.float32)
    return clean


def _alike(distance: Callable[[Levels], Levels], scale: float, reach: int) -> Change:
    """Return the weighted mean over a square of offsets, weight exp(-distance(luma difference) / scale)."""

    def change(levels: Levels) -> Levels:
        grey = levels @ LUMA
        total, weight = levels.copy(), np.ones_like(grey)
        for down in range(-reach, reach + 1):
            for across in range(-reach, reach + 1):
                if down or across:
                    difference = grey - np.roll(grey, (down, across), (0, 1))
                    alike = np.exp(distance(difference) * np.float32(-1 / scale))
                    total += np.roll(levels, (down, across), (0, 1)) * alike[..., None]
                    weight += alike
        mean: Levels = total / weight[..., None]
        return mean

    return in_levels(change, reach + 2)


def _reach(sigma: float) -> int:
    return math.ceil(4 * sigma)


def _gaussian(levels: Levels, sigma: float) -> Levels:
    smooth: Levels = ndimage.gaussian_filter(levels, (sigma, sigma, 0), mode="reflect", radius=_reach(sigma))
    return smooth


# ------------------------------------------------------------------------------------------- likeness


def psnr(one: Samples, other: Samples) -> float:
    """Return the peak signal-to-noise ratio over all three channels in dB; infinite for equal pictures."""
    error = sum(
        float(((a.astype(np.float32) - b) ** 2).sum(dtype=np.float64)) for a, b in _strips(one, other)
    )
    return 10 * math.log10(255**2 * one.size / error) if error else math.inf


def ssim(one: Samples, other: Samples) -> float:
    """Return the mean structural similarity of luma, -1..1 (Wang et al. 2004, Gaussian window of 11 pixels).

    Pictures need 11 pixels a side; NaN below.
    """
    total, count = 0.0, 0
    for a, b in _strips(one, other, overlap=2 * SSIM_RADIUS):
        if min(a.shape[:2]) > 2 * SSIM_RADIUS:
            values = _ssim_map(a.astype(np.float64) @ LUMA, b.astype(np.float64) @ LUMA)
            total, count = total + float(values.sum()), count + values.size
    return total / count if count else math.nan


def _strips(one: Samples, other: Samples, overlap: int = 0) -> Iterator[tuple[Samples, Samples]]:
    for top in range(0, max(1, len(one) - overlap), _STRIP):
        rows = slice(top, top + _STRIP + overlap)
        yield one[rows], other[rows]


def _ssim_map(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    def mean(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        inner = slice(SSIM_RADIUS, -SSIM_RADIUS)
        smooth: NDArray[np.float64] = ndimage.gaussian_filter(plane, SSIM_SIGMA, radius=SSIM_RADIUS)
        return smooth[inner, inner]

    mean_a, mean_b = mean(a), mean(b)
    spread_a, spread_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    common = mean(a * b) - mean_a * mean_b
    first, second = _SSIM_FLOOR
    above = (2 * mean_a * mean_b + first) * (2 * common + second)
    below: NDArray[np.float64] = (mean_a**2 + mean_b**2 + first) * (spread_a + spread_b + second)
    return above / below
