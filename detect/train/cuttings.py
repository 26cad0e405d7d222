"""What crop networks learn from: a few square cuttings of each picture, kept as they are, before any journey.

Encoders work block by block and resizing is local, so that a journey of a cutting is that of its picture at a
hundredth of the cost; each time a cutting is drawn it makes another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.card import NATIVE
from assay.detect.crops import VIEW, Box, Crops, bounded, cut, telling
from assay.detect.train.augment import MOST_SIDE, SHARED, Rng
from assay.detect.train.data import Item, difference_hash, load
from assay.provenance.files.atomic import atomic_output
from assay.provenance.media import Samples

SIDE = 256
"""Side in pixels of a cutting."""
EACH = 4
"""Cuttings at each of the two sizes: at most MOST_SIDE, then SHARED."""
TRIES = 4
"""Places tried for each cutting that has something to tell."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How pictures are cut; what was cut by another plan is cut again."""

    side: int = SIDE
    each: int = EACH
    seed: int = 0

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with the plan."""
        return hashlib.sha256(json.dumps([asdict(self), SHARED, VIEW]).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Cuttings:
    """The cuttings of many pictures, read from their files when asked for."""

    paths: tuple[Path, ...]
    counts: NDArray[np.intp]
    hashes: NDArray[np.uint64]

    def of(self, items: NDArray[np.intp]) -> Cuttings:
        """Return the cuttings of some items, given by their numbers."""
        paths = tuple(self.paths[n] for n in items.tolist())
        return Cuttings(paths, self.counts[items], self.hashes[items])

    def usable(self, scale: str) -> NDArray[np.bool_]:
        """Say which pictures can be learned from at a card's scale: as a whole every one that could be read."""
        return self.counts > 0 if scale == NATIVE else self.hashes != 0

    def one(self, item: int, number: int) -> Samples:
        """Return one cutting of a picture, uint8 (side, side, 3)."""
        kept = np.load(self.paths[item], mmap_mode="r", allow_pickle=False)
        return np.array(kept[number])

    def all(self, item: int) -> Crops:
        """Return all cuttings of a picture, uint8 (n, side, side, 3): those at its own size first."""
        kept: Crops = np.load(self.paths[item], allow_pickle=False)
        return kept

    def view(self, item: int) -> Samples:
        """Return the whole picture reduced, uint8 (rows, columns, 3), its longer side at most VIEW."""
        with np.load(_beside(self.paths[item]), allow_pickle=False) as kept:
            view: Samples = kept["view"]
        return view


def gathered(
    items: Sequence[Item], plan: Cut, cache: Path, jobs: int, tell: Callable[[int], None]
) -> Cuttings:
    """Return the cuttings of all items, from the cache where they are there; ``tell`` is told each item's number.

    What cannot be read, or is smaller than a cutting, has none.
    """
    cache.mkdir(parents=True, exist_ok=True)
    paths, counts, hashes = [], [], []
    with ProcessPoolExecutor(jobs) as pool:
        made = pool.map(partial(_kept, plan=plan, cache=cache), items, chunksize=4)
        for number, (path, count, hashed) in enumerate(made):
            paths.append(path)
            counts.append(count)
            hashes.append(hashed)
            tell(number)
    return Cuttings(tuple(paths), np.array(counts, np.intp), np.array(hashes, np.uint64))


def read_cuttings(path: Path) -> Cuttings:
    """Return the cuttings of one picture, by the path that ``gathered`` gave them."""
    with np.load(_beside(path), allow_pickle=False) as kept:
        hashed = kept["hash"]
    count = len(np.load(path, mmap_mode="r", allow_pickle=False))
    return Cuttings((path,), np.array([count]), np.array([hashed], np.uint64))


def _beside(path: Path) -> Path:
    return path.with_suffix(".npz")


def _kept(item: Item, plan: Cut, cache: Path) -> tuple[Path, int, np.uint64]:
    name = hashlib.sha256(str(item.path).encode()).hexdigest()[:8]
    path = cache / f"{plan.digest}-{item.seed:08x}-{name}.npy"
    if path.exists():
        kept = read_cuttings(path)
        return path, int(kept.counts[0]), kept.hashes[0]
    picture = load(item.path)
    crops, view, hashed = (
        np.zeros((0, plan.side, plan.side, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.uint64(0),
    )
    if picture is not None:
        crops = _cut(picture, plan, np.random.default_rng((plan.seed, item.seed)))
        # No picture's hash is 0 here: that says that a file could not be read.
        view, hashed = bounded(picture, VIEW), max(difference_hash(picture), np.uint64(1))
    with atomic_output(_beside(path), overwrite=True) as file:
        np.savez(file, allow_pickle=False, view=view, hash=hashed)
    with atomic_output(path, overwrite=True) as file:
        np.save(file, crops, allow_pickle=False)
    return path, len(crops), hashed


def _cut(picture: Samples, plan: Cut, rng: Rng) -> Crops:
    found = [_drawn(bounded(picture, most), plan, rng) for most in (MOST_SIDE, SHARED)]
    return np.concatenate(found)


def _drawn(picture: Samples, plan: Cut, rng: Rng) -> Crops:
    """Return cuttings at random places that have something to tell."""
    height, width = picture.shape[:2]
    if min(height, width) < plan.side:
        return np.zeros((0, plan.side, plan.side, 3), np.uint8)
    boxes = [
        Box(
            int(rng.integers(0, width - plan.side + 1)),
            int(rng.integers(0, height - plan.side + 1)),
            plan.side,
            plan.side,
        )
        for _ in range(TRIES * plan.each)
    ]
    crops = cut(picture, boxes)
    return crops[telling(crops)][: plan.each]
