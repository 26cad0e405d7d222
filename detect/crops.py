"""Crops at the picture's own scale: a residual is erased by resizing, so nothing here ever resizes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from assay.provenance.media import Samples

ALIGNED = 8
"""Crops begin at multiples of this: the blocks of JPEG stay where they are."""
FLAT = 1.5
"""Mean magnitude in grey levels of the difference of neighbours below which a crop says nothing."""
WHITE = 0.4
"""Share of samples at 0 or 255 above which a crop says nothing."""

Crops = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a crop lies in its picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


def places(height: int, width: int, side: int, most: int) -> list[Box]:
    """Return at most ``most`` square boxes spread over a picture, those in the middle first; none if it is smaller."""
    if min(height, width) < side:
        return []
    rows = columns = 1
    while True:
        # The longer way gets the next cut, until there are enough or they overlap by more than half.
        wider = ((width - side) / columns, rows, columns + 1)
        taller = ((height - side) / rows, rows + 1, columns)
        step, down, across = max(wider, taller)
        if down * across > most or step < side / 2:
            break
        rows, columns = down, across
    tops = [int(t) // ALIGNED * ALIGNED for t in np.linspace(0, height - side, rows + 2)[1:-1]]
    lefts = [int(x) // ALIGNED * ALIGNED for x in np.linspace(0, width - side, columns + 2)[1:-1]]
    if rows > 1:
        tops = [int(t) // ALIGNED * ALIGNED for t in np.linspace(0, height - side, rows)]
    if columns > 1:
        lefts = [int(x) // ALIGNED * ALIGNED for x in np.linspace(0, width - side, columns)]
    middle = ((height - side) / 2, (width - side) / 2)
    order = sorted(product(tops, lefts), key=lambda p: (p[0] - middle[0]) ** 2 + (p[1] - middle[1]) ** 2)
    return [Box(left, top, side, side) for top, left in order]


def cut(picture: Samples, boxes: list[Box]) -> Crops:
    """Return the crops, uint8 (n, side, side, 3)."""
    return np.stack([picture[b.top : b.top + b.height, b.left : b.left + b.width] for b in boxes])


def telling(crops: Crops) -> NDArray[np.bool_]:
    """Say of each crop whether it has anything to tell: neither flat nor burnt out."""
    light = crops[..., 1].astype(np.int16)
    busy = (np.abs(np.diff(light, axis=1)).mean((1, 2)) + np.abs(np.diff(light, axis=2)).mean((1, 2))) / 2
    burnt = ((light == 0) | (light == 255)).mean((1, 2))
    said: NDArray[np.bool_] = (busy >= FLAT) & (burnt <= WHITE)
    return said
