"""Train a crop network: one a fold, heard on the sources it does not know, and all of them as one detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.card import CROPS, NATIVE, WHOLE, Figure, Input
from assay.detect.crops import Crops, equalised
from assay.detect.networks.autoencoder import Autoencoder
from assay.detect.networks.blocks import Ensemble, Witness
from assay.detect.networks.export import Run, agreed, export
from assay.detect.train.augment import STANDARD
from assay.detect.train.cuttings import Cuttings, gathered
from assay.detect.train.data import Item, weights
from assay.detect.train.folds import folds
from assay.detect.train.loop import Lesson, drilled, logits
from assay.detect.train.recipe import Recipe
from assay.detect.train.reconstruct import Pairs
from assay.detect.train.standard import SQUARES, heard
from assay.detect.train.way import Tell, Told, Way, tell_fold
from assay.provenance.errors import UsageError

PAIRED = 2
"""Cuttings of a real picture that have a reconstruction, where autoencoders are given."""
LOOKED = 6
"""Most crops of a picture that the finished detector looks at."""


class CropWay(Way):
    """Pictures become cuttings; networks learn from journeys of these; what they say is the mean over cuttings."""

    def __init__(self, recipe: Recipe, family: str, autoencoders: Sequence[Autoencoder] = ()) -> None:
        self.recipe = recipe
        self.autoencoders = autoencoders
        self.family = family
        self._cuttings: Cuttings | None = None
        self._members: tuple[Witness, ...] = ()

    def gather(
        self, items: Sequence[Item], into: Path, jobs: int, tell: Callable[[int], None]
    ) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Cut all pictures."""
        self._cuttings = gathered(items, self.recipe.cut, into / "cuttings", jobs, tell)
        return self._cuttings.usable(self.recipe.drill.draw.scale), self._cuttings.hashes

    def train(self, items: Sequence[Item], chosen: NDArray[np.intp], into: Path, tell: Tell) -> Told:
        """Train a network a fold and hear it on the sources of that fold."""
        if self._cuttings is None:
            raise UsageError("nothing was gathered to train on")
        recipe, cuttings = self.recipe, self._cuttings.of(chosen)
        number = folds(items, recipe.folds, recipe.seed)
        draw = recipe.drill.draw
        pairs = Pairs(cuttings, self.autoencoders, PAIRED, recipe.seed) if self.autoencoders else None
        fake, each = np.array([item.fake for item in items]), weights(items)
        said, members = np.full((len(items), len(STANDARD)), np.nan), []
        for fold in range(recipe.folds):
            drill = replace(recipe.drill, seed=recipe.seed * 1000 + fold)
            told = partial(tell_fold, tell, fold, recipe.folds, drill.steps)
            lesson = Lesson(cuttings, fake, each * (number != fold), pairs)
            checkpoint = into / f"fold{fold}.safetensors"
            network = drilled(recipe.architecture, recipe.settings, lesson, drill, checkpoint, told)
            members.append(network)
            for item in np.flatnonzero(number == fold).tolist():
                said[item] = [self._said(network, c) for c in heard(cuttings, item, self._side, draw.scale)]
        self._members = tuple(members)
        return Told(said, number)

    def _said(self, network: Witness, crops: Crops) -> float:
        quality = self.recipe.drill.draw.quality
        return float(logits(network, equalised(crops, quality) if quality else crops).mean())

    def export(self, path: Path) -> None:
        """Write all networks as one."""
        export(self._whole, self._side, path)

    def agreement(self, run: Run, command: str) -> Figure:
        """Compare the networks with what was written on random crops."""
        return agreed(self._whole, self._side, run, command)

    @property
    def _side(self) -> int:
        return self.recipe.drill.draw.side if self._sees_whole else self.recipe.cut.side

    @property
    def _whole(self) -> Witness:
        return self._members[0] if len(self._members) == 1 else Ensemble(self._members)

    @property
    def _sees_whole(self) -> bool:
        return self.recipe.drill.draw.scale == WHOLE

    def input(self) -> Input:
        """Return crops at the picture's own scale, or squares of the whole of it, as they were learned from."""
        return Input(
            CROPS,
            self._side,
            SQUARES if self._sees_whole else LOOKED,
            self._side,
            scale=WHOLE if self._sees_whole else NATIVE,
            quality=self.recipe.drill.draw.quality,
        )

    def settings(self) -> dict[str, bool | float | str]:
        """Return the network's own settings, and how many are averaged."""
        return {**self.recipe.settings, "members": len(self._members)}
