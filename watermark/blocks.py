"""Eight by eight blocks of luma and the largest singular value of each one's Haar low band.

The DCT is orthonormal, so that a block and its DCT have the same singular values and the same rank-one change
moves both: the transform that gives DWT-DCT-SVD its name need not be computed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.provenance.media import Samples

BLOCK = 8
"""Side of a block in canonical pixels; half of it in Haar coefficients."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, the luma of JPEG
_STRIP = 512  # rows converted at a time, a multiple of every power of two used as a reduction

Plane = NDArray[np.float32]


def luma(pixels: Samples, halvings: int = 0) -> Plane:
    """Return BT.601 luma as float32, 0..255, averaged over squares of 2^halvings pixels (Haar low bands).

    ``pixels`` is uint8 (height, width, 3); rows and columns that do not fill a square are dropped.
    """
    side = 1 << halvings
    height, width = pixels.shape[0] // side, pixels.shape[1] // side
    plane = np.empty((height, width), np.float32)
    step = max(1, _STRIP // side)
    for top in range(0, height, step):
        rows = min(step, height - top)
        strip = pixels[top * side : (top + rows) * side, : width * side].astype(np.float32) @ _LUMA
        plane[top : top + rows] = strip.reshape(rows, side, width, side).mean((1, 3)) if side > 1 else strip
    return plane


def low_band(plane: Plane) -> Plane:
    """Return the orthonormal Haar low coefficients of all squares of 2x2, shape (height - 1, width - 1)."""
    rows = plane[:-1] + plane[1:]
    return (rows[:, :-1] + rows[:, 1:]) * np.float32(0.5)


def blocks_at(low: Plane, top: int, left: int) -> NDArray[np.float32]:
    """Return the low-band blocks of the grid that starts at a pixel, shape (4, 4, rows, columns).

    ``low`` is what ``low_band`` returned.
    """
    rows, columns = (max(0, size + 1 - at) // BLOCK for size, at in zip(low.shape, (top, left), strict=True))
    half = BLOCK // 2
    blocks = np.empty((half, half, rows, columns), np.float32)
    for i in range(half):
        for j in range(half):
            blocks[i, j] = low[top + 2 * i :: BLOCK, left + 2 * j :: BLOCK][:rows, :columns]
    return blocks


def top_singular(blocks: NDArray[np.float32], rounds: int = 3) -> tuple[Plane, Plane, Plane]:
    """Return the largest singular value and its left and right vectors, by power iteration from ones.

    ``blocks`` has shape (4, 4, …) and no negative entries, so that few rounds do; results have the
    shapes (…), (4, …), (4, …).
    """
    right = blocks.sum(0)
    for _ in range(rounds - 1):
        left = (blocks * right).sum(1)
        right = (blocks * left[:, None]).sum(0)
        right /= np.sqrt((right * right).sum(0)) + np.float32(1e-9)
    left = (blocks * right).sum(1)
    value = np.sqrt((left * left).sum(0))
    black = value < 1e-3
    left = np.where(black, np.float32(0.5), left / np.where(black, np.float32(1), value))
    return value, left, np.where(black, np.float32(0.5), right)


def centre(pixels: Samples, limit: int) -> Samples:
    """Return the part of at most ``limit`` pixels about the centre, of the picture's own shape."""
    height, width = pixels.shape[:2]
    share = min(1.0, (limit / max(1, height * width)) ** 0.5)
    rows, columns = int(height * share), int(width * share)
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]


def resample(plane: Plane, factor: float, shape: tuple[int, int] | None = None) -> Plane:
    """Return the plane enlarged by a factor of 1/2 or more, or to a shape; bilinear, edges aligned."""
    wanted = shape or (round(plane.shape[0] * factor), round(plane.shape[1] * factor))
    for axis, size in enumerate(wanted):
        present = plane.shape[axis]
        if size == present:
            continue
        # A factor keeps its exact value, which rounding to whole pixels would bend.
        ratio = size / present if shape else factor
        place = np.clip((np.arange(size) + 0.5) / ratio - 0.5, 0, present - 1)
        first = np.clip(place.astype(np.intp), 0, max(0, present - 2))
        weight = np.expand_dims((place - first).astype(np.float32), 1 - axis)
        second = np.minimum(first + 1, present - 1)
        plane = plane.take(first, axis) * (1 - weight) + plane.take(second, axis) * weight
    return plane


def spread(pixels: Samples, change: Plane, halvings: int) -> Samples:
    """Return the picture with a canonical luma change added to all three channels, which leaves chroma alone.

    Fractions of a level are kept on average over each block by ordered dithering (Bayer 1973).
    """
    side = 1 << halvings
    marked = pixels.copy()
    threshold = _bayer()
    step = max(BLOCK, _STRIP // side)
    for top in range(0, change.shape[0], step):
        part = change[top : top + step].repeat(side, 0).repeat(side, 1)
        rows, columns = part.shape
        part += np.tile(threshold, (-(-rows // 8), -(-columns // 8)))[:rows, :columns]
        whole = np.floor(part).astype(np.int16)[..., None]
        strip = marked[top * side : top * side + rows, :columns]
        strip[:] = np.clip(strip + whole, 0, 255).astype(np.uint8)
    return marked


def _bayer() -> Plane:
    """Return the 8x8 threshold matrix, values (n + 1/2) / 64."""
    matrix = np.zeros((1, 1), np.float32)
    for _ in range(3):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return (matrix + np.float32(0.5)) / np.float32(64)
