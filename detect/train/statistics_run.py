"""Train the detector by statistics: a judge a fold, heard on the sources it does not know, and all of them as one."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.statistics import Vector
from assay.detect.train.data import Item, weights
from assay.detect.train.folds import folds
from assay.detect.train.judge import Bench, Judge, taught
from assay.detect.train.recipe import Recipe
from assay.detect.train.vectors import STANDARD, Vectors

Tell = Callable[[str, int, int], None]
"""Told what is being done, the step and how many there are."""


@dataclass(frozen=True)
class Trained:
    """The judges, one a fold, and each picture's mean logit (items, journeys) by the one that never saw its source.

    Not a number where a picture had no crop with anything to tell.
    """

    judges: tuple[Judge, ...]
    held_out: NDArray[np.float64]
    fold: NDArray[np.intp]

    @property
    def mean(self) -> Vector:
        """The mean vector, as the judges saw it."""
        means: Vector = np.mean([judge.mean.numpy() for judge in self.judges], 0, dtype=np.float32)
        return means

    @property
    def bench(self) -> Bench:
        """All judges, whose mean is the detector."""
        return Bench(self.judges)


def train(items: Sequence[Item], vectors: Vectors, recipe: Recipe, tell: Tell) -> Trained:
    """Train one judge a fold on the sources of the other folds."""
    number = folds(items, recipe.folds, recipe.seed)
    fake = np.array([item.fake for item in items])
    each = weights(items)
    count = np.bincount(vectors.item, minlength=len(items))
    journeys = int(vectors.journey.max()) + 1
    held_out = np.full((len(items), journeys), np.nan)
    judges = []
    for fold in range(recipe.folds):
        mine = number[vectors.item] != fold
        weight = (each / np.maximum(count, 1))[vectors.item] * mine
        course = replace(recipe.course, seed=recipe.seed * 1000 + fold)
        told = partial(_told, tell, fold, recipe.folds, course.steps)
        judge = taught(vectors.values, fake[vectors.item], weight, course, told)
        judges.append(judge)
        said = judge.logits(vectors.values[~mine])
        _averaged(held_out, said, vectors.item[~mine], vectors.journey[~mine])
    return Trained(tuple(judges), held_out, number)


def _told(tell: Tell, fold: int, folds: int, steps: int, step: int, loss: float) -> None:
    tell(f"fold {fold + 1}, loss {loss:.3f}", fold * steps + step, folds * steps)


def _averaged(
    into: NDArray[np.float64], logits: NDArray[np.float64], item: NDArray[np.intp], journey: NDArray[np.intp]
) -> None:
    place = item * into.shape[1] + journey
    total, count = (np.bincount(place, w, into.size) for w in (logits, np.ones_like(logits)))
    mean = np.divide(total, count, out=np.full(into.size, np.nan), where=count > 0).reshape(into.shape)
    into[~np.isnan(mean)] = mean[~np.isnan(mean)]


def write_held_out(path: Path, items: Sequence[Item], trained: Trained) -> None:
    """Write what each picture's judge said: path, label, source, generator, fold, and a column a standard journey."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "source", "generator", "fold", *STANDARD])
        for item, fold, logits in zip(items, trained.fold, trained.held_out, strict=True):
            said = ["" if np.isnan(v) else f"{v:.4f}" for v in logits[: len(STANDARD)]]
            rows.writerow(
                [item.path, "fake" if item.fake else "real", item.source, item.generator, fold, *said]
            )
