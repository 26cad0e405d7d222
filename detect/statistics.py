"""Statistics of what is left when the content is taken away, at three scales: co-occurrences, spectrum, noise.

The families are those of steganalysis and camera forensics: truncated co-occurrences of high-pass residuals (SRM:
Fridrich, Kodovsky 2012, IEEE TIFS 7(3); for generated pictures Nataraj et al. 2019), the radial power spectrum
(Durall et al. 2020), the correlation of colour channels and of the phases of a colour filter array (Popescu, Farid
2005). No resampling, no learning: what is learned from them is a card's own.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter

from assay.detect.crops import Crops
from assay.provenance.media import Samples

TRUNCATED = 2
"""Residuals are cut off at this many steps either way."""
SCALES = (1, 2, 4)
"""Sides of the squares of pixels whose means are looked at."""
STEPS = (1, 3)
"""Grey levels of one step: fine noise, and coarse."""
RINGS = 24
"""Rings of the radial spectrum."""
LAGS = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (0, 4), (4, 0), (0, 8), (8, 0))
"""Shifts in pixels at which the residual is correlated with itself."""
_LEVELS = np.uint8(2 * TRUNCATED + 1)
_FARTHEST = 4 * 510
"""Largest magnitude of a residual: second differences of differences of colours."""
_PEAKS = (
    (0.5, 0),
    (0, 0.5),
    (0.5, 0.5),
    (0.25, 0),
    (0, 0.25),
    (0.25, 0.25),
    (0.125, 0),
    (0, 0.125),
    (0.125, 0.125),
)

Vector = NDArray[np.float32]
_Plane = NDArray[np.int16]


def describe(crops: Crops) -> Vector:
    """Return one vector a crop, float32 (n, LENGTH), of uint8 (n, side, side, 3) crops, side at least 64.

    The numbers of the crop as it is come first, then those of its halves and quarters, whose pixels are means of
    2x2 and 4x4: what encoders do to the finest detail they do not do to these.
    """
    return np.concatenate([describe_once(_pooled(crops, factor)) for factor in SCALES], 1)


def names() -> list[str]:
    """Return what each number of a vector is, in the order of ``describe``."""
    return [name if factor == 1 else f"{name} of 1/{factor}" for factor in SCALES for name in names_once()]


def describe_once(crops: Crops) -> Vector:
    """Return the numbers of crops at one scale, float32 (n, length), side at least 16."""
    if not len(crops):
        return np.zeros((0, len(names_once())), np.float32)
    return np.stack([np.array([value for _, value in _parts(crop)], np.float32) for crop in crops])


@cache
def names_once() -> tuple[str, ...]:
    """Return what each number of ``describe_once`` is."""
    return tuple(name for name, _ in _parts(np.zeros((64, 64, 3), np.uint8)))


def _pooled(crops: Crops, factor: int) -> Crops:
    """Return the means of squares of ``factor`` pixels a side, halves rounded to even numbers."""
    if factor == 1:
        return crops
    height, width = (n // factor * factor for n in crops.shape[1:3])
    wide = crops[:, :height, :width].astype(np.uint16)
    rows = np.add.reduce([wide[:, n::factor] for n in range(factor)])
    total = np.add.reduce([rows[:, :, n::factor] for n in range(factor)])
    bits = 2 * (factor.bit_length() - 1)
    even = (total >> bits) & 1
    pooled: Crops = ((total + (1 << bits - 1) - 1 + even) >> bits).astype(np.uint8)
    return pooled


def _parts(crop: Samples) -> list[tuple[str, float]]:
    red, green, blue = (crop[..., n].astype(np.int16) for n in range(3))
    light = (2 * red + 5 * green + blue + 4) // 8
    found: list[tuple[str, float]] = []
    for name, plane, steps in (
        ("light", light, STEPS),
        ("red-green", red - green, STEPS[:1]),
        ("blue-green", blue - green, STEPS[:1]),
    ):
        for kind, residual in _residuals(plane).items():
            for step in steps:
                shares = _together(residual, step)
                found += [(f"{name} {kind} /{step} #{n}", v) for n, v in enumerate(shares.tolist())]
    found += _spectrum("light", light, RINGS) + _spectrum("red-green", red - green, RINGS // 2)
    return found + _noise(red, green, blue, light)


def _residuals(plane: _Plane) -> dict[str, tuple[tuple[_Plane, int], ...]]:
    """Return high-pass residuals, each with the axis along which neighbours are counted."""
    across, down = np.diff(plane, axis=1), np.diff(plane, axis=0)
    return {
        "edge": ((across, 1), (down, 0)),
        "line": ((np.diff(across, axis=1), 1), (np.diff(down, axis=0), 0)),
        "corner": ((np.diff(across, axis=0), 1), (np.diff(across, axis=0), 0)),
        "across": ((across, 0), (down, 1)),
    }


@cache
def _levels(step: int) -> NDArray[np.uint8]:
    """Return the truncated level, from 0 on, of each residual from -_FARTHEST to _FARTHEST at a step."""
    residuals = np.arange(-_FARTHEST, _FARTHEST + 1) / np.float32(step)
    return (np.clip(np.round(residuals), -TRUNCATED, TRUNCATED) + TRUNCATED).astype(np.uint8)


@lru_cache(maxsize=1)
def _classes() -> tuple[NDArray[np.intp], int]:
    """Return the class of each triple: a triple, its negative and both read backwards are one."""
    triples = list(product(range(-TRUNCATED, TRUNCATED + 1), repeat=3))
    names = [min(t, t[::-1], tuple(-v for v in t), tuple(-v for v in t[::-1])) for t in triples]
    kinds = sorted(set(names))
    return np.array([kinds.index(n) for n in names]), len(kinds)


def _together(residual: tuple[tuple[_Plane, int], ...], step: int) -> Vector:
    """Return the roots of the shares of triples of neighbouring residuals (Hellinger's distance is then Euclid's)."""
    classes, count = _classes()
    total = np.zeros(count)
    for plane, axis in residual:
        codes = np.take(_levels(step), plane + _FARTHEST)
        # All 125 triples of levels fit into a byte.
        one, two, three = (
            (codes[:, n : codes.shape[1] - 2 + n] if axis else codes[n : len(codes) - 2 + n])
            for n in range(3)
        )
        triples = (one * _LEVELS + two) * _LEVELS + three
        counted = np.bincount(triples.ravel(), minlength=int(_LEVELS) ** 3)
        total += np.bincount(classes, counted, count)
    roots: Vector = np.sqrt(total / total.sum()).astype(np.float32)
    return roots


def _spectrum(name: str, plane: _Plane, rings: int) -> list[tuple[str, float]]:
    """Return the logarithm of the radial power spectrum about its mean, and of the peaks that upsampling leaves."""
    rows, columns = plane.shape
    window = np.hanning(rows)[:, None] * np.hanning(columns)
    power = np.abs(fft.rfft2((plane - plane.mean()) * window)) ** 2 + 1e-3
    down, across = np.meshgrid(fft.fftfreq(rows), fft.rfftfreq(columns), indexing="ij")
    ring = np.minimum((np.hypot(down, across) / 0.5 * rings).astype(int), rings)
    level = np.bincount(ring.ravel(), np.log(power).ravel(), rings + 1) / np.maximum(
        np.bincount(ring.ravel(), minlength=rings + 1), 1
    )
    level = level[1:]
    found = [(f"{name} ring {n + 1}", float(v)) for n, v in enumerate(level - level.mean())]
    around = uniform_filter(np.log(power), 9, mode="wrap")
    for u, v in _PEAKS:
        row, column = round(u * rows) % rows, min(round(v * columns), power.shape[1] - 1)
        found.append((f"{name} peak {u:g},{v:g}", float(np.log(power[row, column]) - around[row, column])))
    return found


def _noise(red: _Plane, green: _Plane, blue: _Plane, light: _Plane) -> list[tuple[str, float]]:
    """Return how the noise is correlated, with itself and between colours, and how it depends on light."""
    left = [_corner(p) for p in (red, green, blue)]
    one = left[1]
    spread = float(one.std()) + 1e-3
    found = [("noise", float(np.log(spread + 0.1)))]
    for down, across in LAGS:
        a, b = one[down:, across:], one[: one.shape[0] - down, : one.shape[1] - across]
        found.append((f"noise lag {down},{across}", float((a * b).mean() / spread**2)))
    for name, (a, b) in {
        "red green": (left[0], left[1]),
        "blue green": (left[2], left[1]),
        "red blue": (left[0], left[2]),
    }.items():
        found.append((f"noise {name}", float((a * b).mean() / (a.std() * b.std() + 1e-3))))
    # A colour filter array leaves noise that differs between the four places of its square.
    phases = np.sort([np.log(one[r::2, c::2].std() + 0.1) for r in (0, 1) for c in (0, 1)])
    found += [(f"noise phase {n}", float(v)) for n, v in enumerate(phases - phases.mean())]
    middle = light[1:, 1:]
    quarters = np.searchsorted(np.quantile(middle, (0.25, 0.5, 0.75)), middle)
    for n in range(4):
        part = np.abs(one[quarters == n])
        found.append((f"noise in light {n}", float(np.log((part.mean() if part.size else 0.0) + 0.1))))
    beyond = np.abs(one) / spread
    found += [(f"noise beyond {k}", float((beyond > k).mean())) for k in (1, 2, 4)]
    for axis, name in ((0, "rows"), (1, "columns")):
        steps = np.abs(np.diff(light, axis=axis)).mean(1 - axis)
        folded = np.array([steps[n::8].mean() for n in range(8)]) + 0.05
        found.append((f"blocks of {name}", float(np.log(folded[7] / np.median(folded)))))
    found += [("saturation", float(np.log(np.abs(red - blue).mean() + 0.5))), ("doubled", _doubled(light))]
    return found


def _corner(plane: _Plane) -> NDArray[np.float32]:
    return np.diff(np.diff(plane, axis=0), axis=1).astype(np.float32)


def _doubled(light: _Plane) -> float:
    """Return how empty the top of the spectrum is: enlarged pictures have nothing there."""
    fine = np.abs(np.diff(np.diff(light, axis=1), axis=1)).mean()
    coarse = np.abs(np.diff(light[:, ::2], axis=1)).mean()
    return float(np.log((fine + 0.05) / (coarse + 0.05)))
