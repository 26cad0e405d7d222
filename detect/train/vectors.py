"""The training of detectors that know a picture by its statistics: vectors first, then a small network over them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.crops import Box, cut, telling
from assay.detect.statistics import Vector, describe
from assay.detect.train.augment import Journey, Rng
from assay.detect.train.data import Item, load
from assay.provenance.files.atomic import atomic_output
from assay.provenance.media import Samples

SIDE = 192
"""Side in pixels of the crops that are described."""
CROPS = 4
"""Crops of one picture after one journey."""
JOURNEYS = 3
"""Journeys of one picture."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How vectors are made; what was made by another plan is made again."""

    side: int = SIDE
    crops: int = CROPS
    journeys: int = JOURNEYS
    seed: int = 0

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with the plan."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Vectors:
    """Vectors (n, LENGTH) of crops, the number of the item and of the journey that each is of."""

    values: Vector
    item: NDArray[np.intp]
    journey: NDArray[np.intp]


def gathered(
    items: Sequence[Item], plan: Plan, cache: Path, jobs: int, tell: Callable[[int], None]
) -> Vectors:
    """Return the vectors of all items, from the cache where they are there; ``tell`` is told each item's number."""
    cache.mkdir(parents=True, exist_ok=True)
    values, owners, journeys = [], [], []
    with ProcessPoolExecutor(jobs) as pool:
        for number, found in enumerate(pool.map(partial(_kept, plan=plan, cache=cache), items, chunksize=4)):
            for journey, part in enumerate(found):
                values.append(part)
                owners.append(np.full(len(part), number))
                journeys.append(np.full(len(part), journey))
            tell(number)
    return Vectors(np.concatenate(values), np.concatenate(owners), np.concatenate(journeys))


def _kept(item: Item, plan: Plan, cache: Path) -> list[Vector]:
    place = (
        cache / f"{plan.digest}-{item.seed:08x}-{hashlib.sha256(str(item.path).encode()).hexdigest()[:8]}.npz"
    )
    if place.exists():
        with np.load(place, allow_pickle=False) as kept:
            return [kept[f"journey{n}"] for n in range(plan.journeys)]
    picture = load(item.path)
    found = (
        list(_made(picture, plan, np.random.default_rng((plan.seed, item.seed))))
        if picture is not None
        else []
    )
    if not found:
        found = [describe(np.zeros((0, plan.side, plan.side, 3), np.uint8))] * plan.journeys
    with atomic_output(place) as temporary:
        np.savez(temporary, **{f"journey{n}": v for n, v in enumerate(found)})
    return found


def _made(picture: Samples, plan: Plan, rng: Rng) -> Iterator[Vector]:
    for _ in range(plan.journeys):
        least = min(1.0, max(0.3, 1.3 * plan.side / min(picture.shape[:2])))
        yield describe(drawn(Journey.drawn(rng, least).travelled(picture), plan, rng))


def drawn(picture: Samples, plan: Plan, rng: Rng) -> NDArray[np.uint8]:
    """Return crops at random places that have something to tell, uint8 (0 … crops, side, side, 3)."""
    height, width = picture.shape[:2]
    if min(height, width) < plan.side:
        return np.zeros((0, plan.side, plan.side, 3), np.uint8)
    corners = [
        (int(rng.integers(0, width - plan.side + 1)), int(rng.integers(0, height - plan.side + 1)))
        for _ in range(2 * plan.crops)
    ]
    crops = cut(picture, [Box(left, top, plan.side, plan.side) for left, top in corners])
    return crops[telling(crops)][: plan.crops]
