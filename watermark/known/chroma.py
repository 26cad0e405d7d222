"""The plane that the library marks: U, and the low band of its Haar transform in blocks of 4x4."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from assay.provenance.media import Samples

BLOCK = 8
"""Side of a block in pixels: four Haar coefficients."""

Plane = NDArray[np.float32]

_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_U = np.float32(0.492)  # as OpenCV has it


def chroma(pixels: Samples, red: bool = False) -> Plane:
    """Return U = 0.492 (B - Y) of uint8 (height, width, 3) RGB, float32, not rounded, about zero.

    ``red`` exchanges red and blue first.
    """
    if red:
        pixels = pixels[..., ::-1]
    plane: Plane = (pixels[..., 2] - pixels @ _WEIGHTS) * _U
    return plane


def low_band(plane: Plane, top: int = 0, left: int = 0) -> Plane:
    """Return the orthonormal Haar low coefficients of the whole blocks from a pixel on: half of their sides."""
    rows, columns = ((size - at) // BLOCK * BLOCK for size, at in zip(plane.shape, (top, left), strict=True))
    part = plane[top : top + rows, left : left + columns]
    halves = part[0::2] + part[1::2]
    low: Plane = (halves[:, 0::2] + halves[:, 1::2]) * np.float32(0.5)
    return low


def resampled(
    pixels: Samples, size: tuple[int, int], window: tuple[int, int, int, int], red: bool = False
) -> Plane:
    """Return the chroma of a window of the picture brought to another size (height, width).

    ``window`` is (top, left, height, width) in pixels of that size. The kernel is the cubic of Keys (1981)
    with a = -1/2, widened where the picture shrinks.
    """
    top, left, height, width = window
    down, across = _taps(pixels.shape[0], size[0], top, height), _taps(pixels.shape[1], size[1], left, width)
    first, last = down[0].min(), down[0].max() + 1
    start, end = across[0].min(), across[0].max() + 1
    plane = chroma(pixels[first:last, start:end], red)
    rows = np.zeros((height, plane.shape[1]), np.float32)
    for place, weight in zip((down[0] - first).T, down[1].T, strict=True):
        rows += plane[place] * weight[:, None]
    columns = np.zeros((width, height), np.float32)
    turned = np.ascontiguousarray(rows.T)
    for place, weight in zip((across[0] - start).T, across[1].T, strict=True):
        columns += turned[place] * weight[:, None]
    return np.ascontiguousarray(columns.T)


def _taps(present: int, wanted: int, start: int, count: int) -> tuple[NDArray[np.intp], Plane]:
    """Return which samples make each of ``count`` new ones from ``start`` on, and their weights."""
    ratio = present / wanted
    stretch = max(1.0, ratio)
    centre = (np.arange(start, start + count) + 0.5) * ratio
    taps = math.ceil(4 * stretch) + 1
    place = np.floor(centre - 2 * stretch).astype(np.intp)[:, None] + np.arange(taps)
    x = np.abs((place + 0.5 - centre[:, None]) / stretch)
    weight = np.where(
        x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((2.5 - 0.5 * x) * x - 4) * x + 2, 0.0)
    )
    weight /= weight.sum(1, keepdims=True)
    return np.clip(place, 0, present - 1), weight.astype(np.float32)
