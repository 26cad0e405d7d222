"""The canonical canvas: luma at a fixed area, so that a mark need not know how large its picture is."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from assay.provenance.media import Samples

SIDE = 640
"""Side in pixels of a square of the canonical area."""
SMALL = 130_000
"""Pixels below which a picture is marked on a canvas of half that side: it has no room for finer waves."""
LONGEST = 4096
"""Most canonical pixels of one side: longer strips are marked and read on a canvas of less area."""

THREADS = 2
"""Threads among which the strips of a large picture are shared."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, the luma of JPEG
_STRIP = 240  # rows of the picture converted at a time

Plane = NDArray[np.float32]


def side_of(height: int, width: int) -> int:
    """Return the side of the square whose area the canvas of a picture of this size has when it is marked."""
    return SIDE if height * width >= SMALL else SIDE // 2


def canonical_shape(height: int, width: int, side: float) -> tuple[int, int]:
    """Return rows and columns of a picture's canvas: its own shape at the area of ``side`` squared."""
    scale = side / math.sqrt(height * width)
    scale = min(scale, LONGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def luma(pixels: Samples, shape: tuple[int, int]) -> Plane:
    """Return BT.601 luma of uint8 (height, width, 3) pixels, float32 0..255, resampled to a shape.

    Whole squares are averaged first, in strips, so that a picture of any size needs little memory; fractions
    of a level are kept, for they carry the mark where a picture is smooth.
    """
    height, width = pixels.shape[:2]
    square = max(1, min(height // shape[0], width // shape[1]))
    rows, columns = -(-height // square), -(-width // square)
    plane = np.empty((rows, columns), np.float32)
    step = max(1, _STRIP // square)

    def average(top: int) -> None:
        count = min(step, rows - top)
        part = pixels[top * square : (top + count) * square]
        if square == 1:
            plane[top : top + count] = part.astype(np.float32) @ _LUMA
            return
        grey = np.asarray(Image.fromarray(np.ascontiguousarray(part)).convert("L"))
        lacking = (count * square - grey.shape[0], columns * square - width)
        if any(lacking):
            grey = np.pad(grey, [(0, n) for n in lacking], mode="edge")
        sums = grey.reshape(count, square, -1).sum(1, dtype=np.uint16).reshape(count, columns, square)
        plane[top : top + count] = sums.sum(2, dtype=np.uint32) / np.float32(square * square)

    in_strips(average, rows, step)
    return resampled(plane, shape, (0.0, 0.0, width / square, height / square))


def in_strips(work: Callable[[int], None], rows: int, step: int) -> None:
    """Call ``work`` with the first row of each strip, on a few threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(work, range(0, rows, max(1, step))):
            pass


def resampled(
    plane: Plane, shape: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Plane:
    """Return a plane, or the part of it in ``box`` (left, top, right, bottom), bicubically at another shape."""
    if plane.shape == shape and box is None:
        return plane
    picture = Image.fromarray(plane, "F").resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
    return np.asarray(picture, np.float32)
