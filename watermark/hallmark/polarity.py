"""The content's own sign in each tile: what a mark copied to another picture cannot bring along."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.watermark.hallmark.canvas import Plane
from assay.watermark.hallmark.pattern import TILE, TILES, tiled

SURE = 1.5
"""Difference in grey levels between the halves of a tile at which half of the trust in its sign is reached."""

_RAMP = (np.arange(TILE, dtype=np.float32) - (TILE - 1) / 2) * np.float32(2 / TILE)


def polarity(plane: Plane, directions: NDArray[np.float32], first: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
    """Return each tile's sign times the trust in it, (tile rows, tile columns) float32 in [-1, 1].

    ``plane`` is canonical luma. The sign says whether light rises or falls along the keyed direction of the
    tile; ``first`` is the tile of the period at the upper left. Tiles cut by the edge are judged by what is there.
    """
    light = tiled(plane)
    cover = tiled(np.ones_like(plane))
    count = np.maximum(cover.sum((2, 3), keepdims=True), 1)
    light -= light.sum((2, 3), keepdims=True) / count * cover
    down = np.einsum("rcij,i->rc", light, _RAMP) / TILE**2 * 3
    across = np.einsum("rcij,j->rc", light, _RAMP) / TILE**2 * 3
    rows, columns = down.shape
    at = np.ix_((np.arange(rows) + first[0]) % TILES, (np.arange(columns) + first[1]) % TILES)
    slope = down * directions[at][..., 0] + across * directions[at][..., 1]
    trusted: NDArray[np.float32] = (slope / (np.abs(slope) + np.float32(SURE))).astype(np.float32)
    return trusted
