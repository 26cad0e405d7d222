"""Numbers of a burst of frames: how the picture changes from frame to frame.

They are first and second differences (after Zheng et al., "D3", ICCV 2025), the bend of the path through pixels (after
Internò et al., "ReStraV", NeurIPS 2025, without its network), what the best shift of the whole picture leaves (phase
correlation), and whether fine noise stays in place. They are weak, and what they say differs between collections.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from assay.provenance.media import Samples

COARSE = 64
"""Rows or columns, whichever are fewer, of the picture whose changes are looked at."""
CHANGES = (
    "first difference", "second difference", "second over first", "bend", "second over first, most",
    "second over first, least", "bend, spread", "left by a shift", "left by a shift, second", "shift", "shift's change",
    "noise stays", "noise stays, second", "noise over change", "light drifts", "places that change",
)  # fmt: skip
"""What the numbers of changes are."""

Vector = NDArray[np.float32]
Floats = NDArray[Any]


def changes(frames: Samples) -> Vector:
    """Return the numbers of changes, float32 (len(CHANGES),), of uint8 (3, height, width, 3)."""
    light = frames.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    small = np.stack([_reduced(one) for one in light])
    one, two = small[1] - small[0], small[2] - small[1]
    second = two - one
    first = (np.abs(one).mean() + np.abs(two).mean()) / 2 + 0.1
    blocks = _blocks(np.abs(second)) / (_blocks(np.abs(one)) + _blocks(np.abs(two)) + 0.2)
    bends = _blocks(one * two) / np.sqrt(_blocks(one**2) * _blocks(two**2) + 0.1)
    bend = float((one * two).sum() / (np.linalg.norm(one) * np.linalg.norm(two) + 1.0))
    left, shift = zip(*(_shifted(a, b) for a, b in ((small[0], small[1]), (small[1], small[2]))), strict=True)
    steady = [_together(a, b) for a, b in ((light[0], light[1]), (light[1], light[2]))]
    values = [
        np.log(first), np.log(np.abs(second).mean() + 0.1), np.abs(second).mean() / first, bend,
        np.quantile(blocks, 0.9), np.quantile(blocks, 0.1), bends.std(), np.mean(left), abs(left[1] - left[0]),
        np.log1p(np.mean([np.hypot(*s) for s in shift])), np.log1p(np.hypot(*(np.subtract(*shift)))),
        np.mean(steady), abs(steady[1] - steady[0]), np.log(_fine(light[1]).std() + 0.1) - np.log(first),
        np.log(abs(float(small[2].mean() - small[0].mean())) + 0.1), float((np.abs(one) > 4).mean()),
    ]  # fmt: skip
    return np.array(values, np.float32)


def _reduced(plane: Floats) -> Floats:
    """Return the means of squares, at least COARSE of them along the shorter side where there is room."""
    factor = max(1, min(plane.shape) // COARSE)
    height, width = (n // factor * factor for n in plane.shape)
    means: Floats = (
        plane[:height, :width].reshape(height // factor, factor, width // factor, factor).mean((1, 3))
    )
    return means


def _blocks(plane: Floats, parts: int = 6) -> Floats:
    """Return the means of about ``parts`` by ``parts`` blocks."""
    rows, columns = (max(1, n // parts) for n in plane.shape)
    height, width = plane.shape[0] // rows * rows, plane.shape[1] // columns * columns
    means: Floats = (
        plane[:height, :width].reshape(height // rows, rows, width // columns, columns).mean((1, 3))
    )
    return means


def _shifted(one: Floats, other: Floats) -> tuple[float, tuple[float, float]]:
    """Return what the best whole shift of one picture leaves of its change to another, and that shift in pixels."""
    window = np.hanning(one.shape[0])[:, None] * np.hanning(one.shape[1])
    product = fft.rfft2((other - other.mean()) * window) * np.conj(fft.rfft2((one - one.mean()) * window))
    peaks = fft.irfft2(product / (np.abs(product) + 1e-3), s=one.shape)
    down, across = np.unravel_index(int(peaks.argmax()), peaks.shape)
    shift = tuple(float(v - n if v > n // 2 else v) for v, n in zip((down, across), one.shape, strict=True))
    moved = np.roll(one, (int(shift[0]), int(shift[1])), (0, 1))
    inner = tuple(slice(n // 8, n - n // 8) for n in one.shape)
    left = np.abs(other[inner] - moved[inner]).mean() / (np.abs(other[inner] - one[inner]).mean() + 0.1)
    return float(left), (shift[0], shift[1])


def _fine(plane: Floats) -> Floats:
    """Return the finest detail of the middle of a plane."""
    rows, columns = (max(0, (n - 256) // 2) for n in plane.shape)
    middle = plane[rows : rows + 256, columns : columns + 256]
    fine: Floats = middle - ndimage.uniform_filter(middle, 3)
    return fine


def _together(one: Floats, other: Floats) -> float:
    """Return how fine detail of two frames is correlated, place by place."""
    a, b = _fine(one), _fine(other)
    return float((a * b).mean() / (a.std() * b.std() + 0.1))
