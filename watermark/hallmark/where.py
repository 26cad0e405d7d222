"""Which parts of a picture carry the mark, and which do not: a pasted face is a hole. Format: docs/formats/mark.md."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects, label, maximum_filter, minimum_filter, uniform_filter

from assay.provenance.mark import Box, Extent
from assay.watermark.hallmark.canvas import Plane
from assay.watermark.hallmark.hearing import Heard
from assay.watermark.hallmark.pattern import TILE
from assay.watermark.hallmark.sync import Pose

WINDOWS = (2, 3, 4)
"""Tiles a side of the squares that are judged together."""
ODDS = math.log(100_000)
"""Logarithm of the likelihood ratio at which a place is said to carry the mark, or not to."""
COVERED = 0.9
"""Share of a tile that must lie in the picture: of one that is cut the content's sign may have changed."""
DOUBT = 0.75
"""Share of the mean loudness that the mark is granted where it may be fainter than elsewhere."""
FLIPPED = 3.0
"""Standard deviations of chance by which a tile may speak against the code: beyond, its content changed sign."""
FEWEST = 2
"""Fewest adjoining tiles that make a hole."""
PLAIN = 3.0
"""Grey levels that differ nowhere by more near a place, and on the whole by half of it, are plain ground."""
MARGIN = 8
"""Canonical pixels beside plain ground at the picture's edge in which its border disturbs listening."""
_NEAR = 5


def ground(plane: Plane) -> Plane:
    """Return 1 where there is a picture and 0 on plain ground at its edge, float32: bars, and corners of a turn.

    ``plane`` is rendered luma. Plain ground carries no mark, and its border with the picture is loud.
    """
    plain = maximum_filter(plane, _NEAR) - minimum_filter(plane, _NEAR) <= PLAIN
    places, _ = label(plain)
    edges = np.unique(np.concatenate((places[0], places[-1], places[:, 0], places[:, -1])))
    outside = np.zeros(plane.shape, bool)
    for number in edges[edges > 0]:
        place = places == number
        if place.sum() >= TILE and plane[place].std() <= PLAIN / 2:
            outside |= place
    outside = binary_dilation(outside, iterations=MARGIN) if outside.any() else outside
    return (~outside).astype(np.float32)


def extent(heard: Heard, code: NDArray[np.uint8], pose: Pose, shape: tuple[int, int]) -> Extent:
    """Compare, tile by tile, the mark with its absence.

    The numbers of a tile agree with the code by chance (mean 0) or DOUBT times as well as they do in the picture
    as a whole (mean c times their energy); the logarithm of the ratio of the two Gaussian likelihoods, over
    squares of tiles, decides. ``shape`` is that of the rendered plane in which ``pose`` was found.
    """
    agreed, energy = heard.by_tile(code)
    inside = heard.covered >= COVERED
    slope = DOUBT * float(agreed.sum()) / max(float(energy.sum()), 1e-12)
    odds = (slope * agreed - slope**2 / 2 * energy) * inside
    # Such a tile carries the mark, in the other polarity: it is no witness that the mark is missing.
    odds[agreed < -FLIPPED * np.sqrt(energy)] = 0
    absent = _judged(-odds) & (odds < 0) & inside
    present = _judged(odds) & inside & ~absent  # squares about a hole's edge reach into it
    tiles = max(1, int(inside.sum()))
    places, _ = label(absent, np.ones((3, 3)))
    holes = [
        _box(found, heard.start, pose, shape)
        for number, found in enumerate(find_objects(places), 1)
        if (places[found] == number).sum() >= FEWEST
    ]
    holes.sort(key=lambda box: box[2] * box[3], reverse=True)
    return Extent(round(int(present.sum()) / tiles, 3), round(int(absent.sum()) / tiles, 3), tuple(holes))


def _judged(odds: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the tiles that lie in some square whose odds together exceed ODDS."""
    judged = np.zeros(odds.shape, bool)
    for side in WINDOWS:
        padded = np.pad(odds.astype(np.float64), side)
        above = uniform_filter(padded, side, mode="constant") * side**2 > ODDS
        # A square of even side is filed under the tile below and right of its centre; the origin turns it round.
        reached = maximum_filter(above, side, origin=-1 if side % 2 == 0 else 0)
        judged |= reached[side:-side, side:-side]
    return judged


def _box(found: tuple[slice, slice], start: tuple[int, int], pose: Pose, shape: tuple[int, int]) -> Box:
    """Return the box round some tiles in shares of the picture's sides."""
    rows, columns = found
    corners = np.array([(r, c) for r in (rows.start, rows.stop) for c in (columns.start, columns.stop)])
    centre = np.array(shape) // 2
    places = ((corners + start) * TILE - 0.5) @ pose.matrix.T + pose.offset + centre + 0.5
    low = np.clip(places.min(0) / shape, 0, 1)
    high = np.clip(places.max(0) / shape, 0, 1)
    left, top, right, bottom = (round(float(v), 4) for v in (low[1], low[0], high[1], high[0]))
    return left, top, round(right - left, 4), round(bottom - top, 4)
