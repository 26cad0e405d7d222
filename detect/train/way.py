"""What every kind of detector does on its way from pictures to weights, and the journeys all are heard on."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.calibrate import COARSE, FINE, SMALL
from assay.detect.card import Figure, Input
from assay.detect.networks.export import Run
from assay.detect.train.augment import STANDARD
from assay.detect.train.data import Item, condition_of
from assay.provenance.errors import InputError, MalformedError

ENCODED = {"q90": FINE, "q75": COARSE}
"""Conditions at the end of the standard journeys that encode."""
COLUMNS = ["path", "label", "source", "generator", "fold"]

Tell = Callable[[str, int, int], None]
"""Told what is being done, the step and how many there are."""


def tell_fold(tell: Tell, fold: int, folds: int, steps: int, step: int, loss: float) -> None:
    """Tell how far the training of all folds is, from a step of one."""
    tell(f"fold {fold + 1}, loss {loss:.3f}", fold * steps + step, folds * steps)


@dataclass(frozen=True)
class Told:
    """What a network that never saw a picture's source said of it, (items, journeys) logits, and each item's fold.

    Not a number where the picture had no crop with anything to tell.
    """

    logits: NDArray[np.float64]
    fold: NDArray[np.intp]


class Way(ABC):
    """One kind of detector in training. Its methods are called once each, in this order."""

    family: str

    @abstractmethod
    def gather(
        self, items: Sequence[Item], into: Path, jobs: int, tell: Callable[[int], None]
    ) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Prepare all pictures; return which can be learned from, and their difference hashes."""

    @abstractmethod
    def train(self, items: Sequence[Item], chosen: NDArray[np.intp], into: Path, tell: Tell) -> Told:
        """Train on ``items``, which are the ``chosen`` ones of those gathered, a fold at a time."""

    @abstractmethod
    def export(self, path: Path) -> None:
        """Write the weights as ONNX."""

    @abstractmethod
    def agreement(self, run: Run, command: str) -> Figure:
        """Return how far the logits of what was written are from torch's; raises MalformedError where too far."""

    @abstractmethod
    def input(self) -> Input:
        """Return what the finished detector is given."""

    @abstractmethod
    def settings(self) -> dict[str, bool | float | str]:
        """Return what its architecture is built with."""


@dataclass(frozen=True)
class HeldOut:
    """What one training said held out, a row for each picture and standard journey that was heard."""

    logit: dict[tuple[str, str], float]
    fake: dict[str, bool]
    source: dict[str, str]
    condition: dict[tuple[str, str], str]


def write_held_out(path: Path, items: Sequence[Item], told: Told) -> None:
    """Write a line a picture: path, label, source, generator, fold; each standard journey's logit and condition."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*COLUMNS, *STANDARD, *(f"{name} condition" for name in STANDARD)])
        for item, fold, logits in zip(items, told.fold, told.logits, strict=True):
            said = ["" if np.isnan(v) else f"{v:.4f}" for v in logits[: len(STANDARD)]]
            label = "fake" if item.fake else "real"
            conditions = [journey_condition(item, name) for name in STANDARD]
            rows.writerow([item.path, label, item.source, item.generator, fold, *said, *conditions])


def journey_condition(item: Item, name: str) -> str:
    """Return the condition in which a picture is after a standard journey."""
    found = condition_of(item.path, STANDARD[name].most)
    return found if found == SMALL else ENCODED.get(name, found)


def read_held_out(path: Path) -> HeldOut:
    """Read what ``write_held_out`` wrote; raises InputError, MalformedError."""
    found = HeldOut({}, {}, {}, {})
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                key = row["path"]
                found.fake[key], found.source[key] = row["label"] == "fake", row["source"]
                for name in STANDARD:
                    if row[name]:
                        found.logit[key, name] = float(row[name])
                        found.condition[key, name] = row[f"{name} condition"]
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    except (KeyError, ValueError, TypeError, UnicodeDecodeError, csv.Error) as error:
        raise MalformedError(
            "is not what a training said held out", hint="assay detect train writes it", path=path
        ) from error
    return found
