"""The content's own sign in each tile: what a mark copied to another picture cannot bring along."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.watermark.hallmark.canvas import Plane
from assay.watermark.hallmark.pattern import TILE, tiled, tiles_at

SURE = 1.5
"""Difference in grey levels between the halves of a tile at which half of the trust in its sign is reached."""

_RAMP = (np.arange(TILE, dtype=np.float32) - (TILE - 1) / 2) * np.float32(2 / TILE)


def polarity(
    light: Plane, cover: Plane, directions: NDArray[np.float32], first: tuple[int, int]
) -> NDArray[np.float32]:
    """Return each tile's sign times the trust in it, (tile rows, tile columns) float32 in [-1, 1].

    ``light`` is canonical luma in whole tiles, ``cover`` 1 where there is a picture and 0 elsewhere. The sign
    says whether light rises or falls along the keyed direction of the tile; ``first`` is the tile of the period
    at the upper left. Tiles cut by the edge are judged by what is there, and trusted less.
    """
    light, cover = tiled(light), tiled(cover)
    count = cover.sum((2, 3), keepdims=True)
    light = (light - (light * cover).sum((2, 3), keepdims=True) / np.maximum(count, 1)) * cover
    area = np.maximum(count[..., 0, 0], 1)
    down = np.einsum("rcij,i->rc", light, _RAMP) / area * 3
    across = np.einsum("rcij,j->rc", light, _RAMP) / area * 3
    at = tiles_at(down.shape, first)
    slope = down * directions[at][..., 0] + across * directions[at][..., 1]
    share = count[..., 0, 0] / TILE**2
    trusted: NDArray[np.float32] = (share * slope / (np.abs(slope) + np.float32(SURE))).astype(np.float32)
    return trusted
