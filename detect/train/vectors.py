"""The training of detectors that know a picture by its statistics: vectors first, then a small network over them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.card import NATIVE
from assay.detect.crops import Crops, equalised
from assay.detect.statistics import Vector
from assay.detect.train.cuttings import Cuttings, read_cuttings
from assay.detect.train.lesson import Draw, seen, travelled
from assay.detect.train.standard import heard
from assay.detect.vectors import described, named
from assay.provenance.files.atomic import atomic_output

SIDE = 256
"""Side in pixels of the crops that are described."""
DRAWN = 160
"""Side in pixels of crops that made a drawn journey: a cutting leaves room for no more after it was reduced."""
VERSION = 1
"""Version of the numbers: others make other files."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How vectors are made; what was made by another plan is made again.

    ``scale`` is that of the card's input; each crop goes through a JPEG of ``quality`` before it is described unless
    that is 0; ``journeys`` are drawn beside the standard ones.
    """

    side: int = SIDE
    journeys: int = 2
    quality: int = 90
    scale: str = NATIVE
    seed: int = 0

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with the plan."""
        text = json.dumps([asdict(self), DRAWN, len(named(self.scale)), VERSION])
        return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Vectors:
    """Vectors (n, LENGTH) of crops, the number of the item and of the journey that each is of: standard ones first."""

    values: Vector
    item: NDArray[np.intp]
    journey: NDArray[np.intp]

    def of(self, items: NDArray[np.intp]) -> Vectors:
        """Return the vectors of some items, given by their numbers, which are counted anew."""
        number = np.full(int(self.item.max()) + 1, -1)
        number[items] = np.arange(len(items))
        mine = number[self.item] >= 0
        return Vectors(self.values[mine], number[self.item[mine]], self.journey[mine])


def vectors_of(
    cuttings: Cuttings, plan: Plan, cache: Path, jobs: int, tell: Callable[[int], None]
) -> Vectors:
    """Return the vectors of all pictures, from the cache where they are there; ``tell`` is told each one's number."""
    cache.mkdir(parents=True, exist_ok=True)
    values, owners, journeys = [], [], []
    with ProcessPoolExecutor(jobs) as pool:
        work = partial(_kept, plan=plan, cache=cache)
        for number, found in enumerate(pool.map(work, cuttings.paths, chunksize=4)):
            for journey, part in enumerate(found):
                values.append(part)
                owners.append(np.full(len(part), number))
                journeys.append(np.full(len(part), journey))
            tell(number)
    return Vectors(np.concatenate(values), np.concatenate(owners), np.concatenate(journeys))


def _kept(path: Path, plan: Plan, cache: Path) -> list[Vector]:
    place = cache / f"{plan.digest}-{path.stem}.npz"
    if place.exists():
        with np.load(place, allow_pickle=False) as kept:
            return [kept[f"journey{n}"] for n in range(len(kept.files))]
    found = [described(crops, plan.scale) for crops in _crops(path, plan)]
    with atomic_output(place, overwrite=True) as file:
        np.savez(file, allow_pickle=False, **{f"journey{n}": v for n, v in enumerate(found)})
    return found


def _crops(path: Path, plan: Plan) -> list[Crops]:
    """Return the crops of one picture after each journey, the equaliser passed."""
    one = read_cuttings(path)
    found = heard(one, 0, plan.side, plan.scale)
    if plan.quality:
        found = [equalised(crops, plan.quality) for crops in found]
    local = plan.scale == NATIVE
    raw = 0.2 if local else 0.7
    draw = Draw(DRAWN if local else plan.side, raw=raw, quality=plan.quality, light=0.0, scale=plan.scale)
    rng = np.random.default_rng((plan.seed, int(path.stem.rsplit("-", 1)[-1], 16)))
    every = one.all(0) if local else None
    for _ in range(plan.journeys if len(found[0]) else 0):
        if every is None:
            found.append(seen(one.view(0), draw, rng)[None])
        else:
            chosen = rng.choice(len(every), min(2, len(every)), replace=False)
            found.append(np.stack([travelled(every[n], draw, rng) for n in chosen]))
    return found
