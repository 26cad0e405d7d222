"""Train the detector by statistics: a judge a fold, heard on the sources it does not know, and all of them as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.card import NATIVE, VECTORS, Figure, Input
from assay.detect.networks.export import Run, figure
from assay.detect.statistics import Vector
from assay.detect.train.augment import STANDARD
from assay.detect.train.cuttings import gathered
from assay.detect.train.data import Item, weights
from assay.detect.train.export import export_judges
from assay.detect.train.folds import folds
from assay.detect.train.judge import Bench, Judge, taught
from assay.detect.train.recipe import Recipe
from assay.detect.train.standard import SQUARES
from assay.detect.train.vectors import Vectors, vectors_of
from assay.detect.train.way import Tell, Told, Way, tell_fold
from assay.detect.vectors import named
from assay.provenance.errors import UsageError

COMPARED = 64
"""Vectors on which what was written is compared with torch."""
CROPS = 6
"""Most crops of a picture that the finished detector looks at."""


class StatisticsWay(Way):
    """Pictures become vectors; judges learn from these; what they say is the mean over a picture's crops."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.family = "statistics" if recipe.vectors.scale == NATIVE else "view"
        self._vectors: Vectors | None = None
        self._judges: tuple[Judge, ...] = ()

    def gather(
        self, items: Sequence[Item], into: Path, jobs: int, tell: Callable[[int], None]
    ) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Cut all pictures and describe their crops; one without any that has something to tell is left out."""
        cuttings = gathered(items, self.recipe.cut, into / "cuttings", jobs, tell)
        self._vectors = vectors_of(cuttings, self.recipe.vectors, into / "vectors", jobs, tell)
        return np.bincount(self._vectors.item, minlength=len(items)) > 0, cuttings.hashes

    def train(self, items: Sequence[Item], chosen: NDArray[np.intp], into: Path, tell: Tell) -> Told:
        """Train one judge a fold on the sources of the other folds."""
        if self._vectors is None:
            raise UsageError("nothing was gathered to train on")
        recipe, vectors = self.recipe, self._vectors.of(chosen)
        number = folds(items, recipe.folds, recipe.seed)
        fake, each = np.array([item.fake for item in items]), weights(items)
        count = np.bincount(vectors.item, minlength=len(items))
        said = np.full((len(items), max(len(STANDARD), int(vectors.journey.max()) + 1)), np.nan)
        judges = []
        for fold in range(recipe.folds):
            mine = number[vectors.item] != fold
            weight = (each / np.maximum(count, 1))[vectors.item] * mine
            course = replace(recipe.course, seed=recipe.seed * 1000 + fold)
            told = partial(tell_fold, tell, fold, recipe.folds, course.steps)
            judge = taught(vectors.values, fake[vectors.item], weight, course, told)
            judges.append(judge)
            logits = judge.logits(vectors.values[~mine])
            _averaged(said, logits, vectors.item[~mine], vectors.journey[~mine])
        self._judges = tuple(judges)
        np.save(into / "reference.npy", self.mean)
        return Told(said[:, : len(STANDARD)], number)

    @property
    def mean(self) -> Vector:
        """The mean vector, as the judges saw it."""
        means: Vector = np.mean([judge.mean.numpy() for judge in self._judges], 0, dtype=np.float32)
        return means

    def export(self, path: Path) -> None:
        """Write all judges as one network."""
        export_judges(Bench(self._judges), path)

    def agreement(self, run: Run, command: str) -> Figure:
        """Compare the judges with what was written on vectors of training."""
        if self._vectors is None:
            raise UsageError("nothing was gathered to compare on")
        few = self._vectors.values[:COMPARED]
        expected = np.mean([judge.logits(few) for judge in self._judges], 0)
        found = np.abs(run(few) - expected) / np.maximum(1, np.abs(expected))
        return figure(float(found.max()), "vectors of training", command)

    def input(self) -> Input:
        """Return vectors of crops at the picture's own scale, or of squares of the whole of it."""
        plan = self.recipe.vectors
        most = CROPS if plan.scale == NATIVE else SQUARES
        length = len(named(plan.scale))
        return Input(VECTORS, plan.side, most, plan.side, plan.scale, length, plan.quality)

    def settings(self) -> dict[str, bool | float | str]:
        """Return the judges' width and how many there are."""
        return {"hidden": self.recipe.course.hidden, "judges": self.recipe.folds}


def _averaged(
    into: NDArray[np.float64], logits: NDArray[np.float64], item: NDArray[np.intp], journey: NDArray[np.intp]
) -> None:
    place = item * into.shape[1] + journey
    total, count = (np.bincount(place, w, into.size) for w in (logits, np.ones_like(logits)))
    mean = np.divide(total, count, out=np.full(into.size, np.nan), where=count > 0).reshape(into.shape)
    into[~np.isnan(mean)] = mean[~np.isnan(mean)]
