"""Folds that never split a source: what is said of a picture comes from a model that knows nothing of its source."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay.detect.train.data import Item


def folds(items: Sequence[Item], count: int, seed: int = 0) -> NDArray[np.intp]:
    """Return the number of each item's fold, 0 … count - 1: whole sources, both labels spread evenly.

    The largest sources are placed first, each in the fold that has fewest of its label; ties by a seeded hash.
    """
    sizes = Counter((item.source, item.fake) for item in items)
    totals = np.zeros((count, 2))
    chosen: dict[str, int] = {}

    def order(key: tuple[str, bool]) -> tuple[int, bytes]:
        return -sizes[key], hashlib.sha256(f"{seed}/{key[0]}".encode()).digest()

    for source, fake in sorted(sizes, key=order):
        # A source with both labels keeps the fold that it has.
        fold = chosen.setdefault(source, int(totals[:, int(fake)].argmin()))
        totals[fold, int(fake)] += sizes[source, fake]
    return np.array([chosen[item.source] for item in items], np.intp)
