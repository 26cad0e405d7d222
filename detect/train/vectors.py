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

from assay.detect.crops import Box, Crops, cut, equalised, places, telling
from assay.detect.statistics import Vector, describe
from assay.detect.train.augment import Journey, Rng
from assay.detect.train.data import Item, difference_hash, load
from assay.detect.train.way import STANDARD
from assay.provenance.files.atomic import atomic_output
from assay.provenance.media import Samples

SIDE = 192
"""Side in pixels of the crops that are described."""
EACH = 4
"""Crops of one picture after one journey."""
JOURNEYS = 1
"""Drawn journeys of one picture, beside those of ``STANDARD``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How vectors are made; what was made by another plan is made again.

    Where ``quality`` is not 0, each crop goes through a JPEG of that quality before it is described.
    """

    side: int = SIDE
    crops: int = EACH
    journeys: int = JOURNEYS
    quality: int = 0
    seed: int = 0

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with the plan."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Vectors:
    """Vectors (n, LENGTH) of crops, the number of the item and of the journey that each is of.

    Journeys 0 … 2 are the ``STANDARD`` ones, whose crops are those that ``assay.detect.crops.places`` gives.
    """

    values: Vector
    item: NDArray[np.intp]
    journey: NDArray[np.intp]

    def of(self, items: NDArray[np.intp]) -> Vectors:
        """Return the vectors of some items, given by their numbers, which are counted anew."""
        number = np.full(int(self.item.max()) + 1, -1)
        number[items] = np.arange(len(items))
        mine = number[self.item] >= 0
        return Vectors(self.values[mine], number[self.item[mine]], self.journey[mine])


def gathered(
    items: Sequence[Item], plan: Plan, cache: Path, jobs: int, tell: Callable[[int], None]
) -> tuple[Vectors, NDArray[np.uint64]]:
    """Return the vectors and the difference hash of all items, from the cache where they are there.

    ``tell`` is told each item's number. What cannot be read, or is too small, has no vectors.
    """
    cache.mkdir(parents=True, exist_ok=True)
    values, owners, journeys, hashes = [], [], [], []
    with ProcessPoolExecutor(jobs) as pool:
        for number, (hashed, found) in enumerate(
            pool.map(partial(_kept, plan=plan, cache=cache), items, chunksize=4)
        ):
            hashes.append(hashed)
            for journey, part in enumerate(found):
                values.append(part)
                owners.append(np.full(len(part), number))
                journeys.append(np.full(len(part), journey))
            tell(number)
    every = Vectors(np.concatenate(values), np.concatenate(owners), np.concatenate(journeys))
    return every, np.array(hashes, np.uint64)


def _kept(item: Item, plan: Plan, cache: Path) -> tuple[np.uint64, list[Vector]]:
    count = len(STANDARD) + plan.journeys
    place = (
        cache / f"{plan.digest}-{item.seed:08x}-{hashlib.sha256(str(item.path).encode()).hexdigest()[:8]}.npz"
    )
    if place.exists():
        with np.load(place, allow_pickle=False) as kept:
            return kept["hash"][()], [kept[f"journey{n}"] for n in range(count)]
    picture = load(item.path)
    hashed = difference_hash(picture) if picture is not None else np.uint64(0)
    found = (
        list(_made(picture, plan, np.random.default_rng((plan.seed, item.seed))))
        if picture is not None
        else []
    )
    found += [describe(np.zeros((0, plan.side, plan.side, 3), np.uint8))] * (count - len(found))
    with atomic_output(place) as file:
        np.savez(file, allow_pickle=False, hash=hashed, **{f"journey{n}": v for n, v in enumerate(found)})
    return hashed, found


def _made(picture: Samples, plan: Plan, rng: Rng) -> Iterator[Vector]:
    for journey in STANDARD.values():
        end = journey.travelled(picture)
        boxes = places(end.shape[0], end.shape[1], plan.side, plan.crops)
        crops = cut(end, boxes) if boxes else np.zeros((0, plan.side, plan.side, 3), np.uint8)
        yield _described(crops[telling(crops)], plan)
    least = min(1.0, max(0.3, 1.3 * plan.side / min(picture.shape[:2])))
    for _ in range(plan.journeys):
        yield _described(drawn(Journey.drawn(rng, least).travelled(picture), plan, rng), plan)


def _described(crops: Crops, plan: Plan) -> Vector:
    return describe(equalised(crops, plan.quality) if plan.quality else crops)


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
