"""Which parts of a picture carry the mark, and which do not: a pasted face is a hole. Format: docs/formats/mark.md."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label, uniform_filter

from assay.provenance.mark import Box, Extent
from assay.watermark.hallmark.hearing import Heard
from assay.watermark.hallmark.pattern import TILE
from assay.watermark.hallmark.sync import Pose

WINDOW = 3
"""Tiles a side that are judged together."""
ODDS = math.log(1000)
"""Logarithm of the likelihood ratio at which a place is said to carry the mark, or not to."""
COVERED = 0.6
"""Share of a tile that must lie in the picture."""
DOUBT = 0.5
"""Share of the mean loudness that the mark is granted where it may be fainter than elsewhere."""
FEWEST = 2
"""Fewest adjoining tiles that make a hole."""


def extent(heard: Heard, code: NDArray[np.uint8], pose: Pose, shape: tuple[int, int]) -> Extent:
    """Compare, tile by tile, the mark with its absence.

    The numbers of a tile agree with the code by chance (mean 0) or DOUBT times as well as they do in the picture
    as a whole (mean c times their energy); the logarithm of the ratio of the two Gaussian likelihoods, over
    WINDOW x WINDOW tiles, decides. ``shape`` is that of the rendered plane in which ``pose`` was found.
    """
    agreed, energy = heard.by_tile(code)
    inside = heard.covered >= COVERED
    slope = DOUBT * float(agreed.sum()) / max(float(energy.sum()), 1e-12)
    odds = slope * _pooled(agreed * inside) - slope**2 / 2 * _pooled(energy * inside)
    present, absent = (odds > ODDS) & inside, (odds < -ODDS) & inside
    tiles = max(1, int(inside.sum()))
    places, _ = label(absent)
    holes = [
        _box(found, heard.start, pose, shape)
        for number, found in enumerate(find_objects(places), 1)
        if (places[found] == number).sum() >= FEWEST
    ]
    return Extent(round(int(present.sum()) / tiles, 3), round(int(absent.sum()) / tiles, 3), tuple(holes))


def _pooled(values: NDArray[np.float32]) -> NDArray[np.float64]:
    pooled: NDArray[np.float64] = (
        uniform_filter(values.astype(np.float64), WINDOW, mode="constant") * WINDOW**2
    )
    return pooled


def _box(
    found: tuple[slice, slice], start: tuple[int, int], pose: Pose, shape: tuple[int, int]
) -> Box:
    """Return the box round some tiles in shares of the picture's sides."""
    rows, columns = found
    corners = np.array([(r, c) for r in (rows.start, rows.stop) for c in (columns.start, columns.stop)])
    centre = np.array(shape) // 2
    places = ((corners + start) * TILE - 0.5) @ pose.matrix.T + pose.offset + centre + 0.5
    low = np.clip(places.min(0) / shape, 0, 1)
    high = np.clip(places.max(0) / shape, 0, 1)
    left, top, right, bottom = (round(float(v), 4) for v in (low[1], low[0], high[1], high[0]))
    return left, top, round(right - left, 4), round(bottom - top, 4)
