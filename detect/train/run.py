"""One training from recipe to model: allowed pictures, vectors, judges, what they say held out, weights, card."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.detect.calibrate import COARSE, FINE, SMALL
from assay.detect.card import VECTORS, Calibration, Card, Input, Source, Weights
from assay.detect.fuse import Fusion, fuse
from assay.detect.panels import write_fusion
from assay.detect.statistics import names
from assay.detect.train.data import Item, allowed, capped, condition_of, is_reserved, read_reserved
from assay.detect.train.export import export_judges
from assay.detect.train.recipe import Recipe
from assay.detect.train.statistics_run import Tell, Trained, train, write_held_out
from assay.detect.train.vectors import STANDARD, gathered
from assay.provenance.errors import UsageError
from assay.provenance.files.atomic import atomic_output

CROPS = 9
"""Most crops of a picture that the finished detector looks at."""
ENCODED = {"q90": FINE, "q75": COARSE}
"""Conditions at the end of the standard journeys that encode."""
FEWEST = 20
"""Pictures of either label below which nothing is trained."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished training: its card, the fusion of it alone, and how many pictures were left out for which reason."""

    card: Card
    fusion: Fusion
    items: int
    left_out: Counter[str]


def run(
    recipe: Recipe,
    items: Sequence[Item],
    reserved: Path | None,
    into: Path,
    *,
    licences: dict[str, tuple[str, str, str]],
    made: dt.date,
    jobs: int,
    tell: Tell,
) -> Made:
    """Train a detector by statistics into a folder: weights.onnx, card.json, panel.json, reference.npy,
    held-out.csv, and vectors/ to go on from.

    ``licences`` gives repository, commit and licence by source. Raises UsageError on too few pictures or sources.
    """
    if recipe.architecture != "statistics":
        raise UsageError(
            f"there is no training of {recipe.architecture!r} yet", hint='architecture = "statistics"'
        )
    into.mkdir(parents=True, exist_ok=True)
    kept, left = allowed(items)
    kept = capped(kept, recipe.most)
    vectors, hashes = gathered(
        kept, recipe.vectors, into / "vectors", jobs, lambda n: tell("vectors", n, len(kept))
    )
    near = is_reserved(hashes, read_reserved(reserved)) if reserved else np.zeros(len(kept), np.bool_)
    there = np.bincount(vectors.item, minlength=len(kept)) > 0
    left["within 5 bits of a reserved picture"] += int(near.sum())
    left["not readable, too small, or flat"] += int((~there & ~near).sum())
    chosen = np.flatnonzero(there & ~near)
    kept, vectors = [kept[n] for n in chosen], vectors.of(chosen)
    counts = Counter(item.fake for item in kept)
    if min(counts[False], counts[True]) < FEWEST:
        raise UsageError(
            f"{counts[False]} real and {counts[True]} generated pictures are too few to learn from",
            hint=f"give at least {FEWEST} of each, of several sources",
        )
    trained = train(kept, vectors, recipe, tell)
    write_held_out(into / "held-out.csv", kept, trained)
    export_judges(trained.bench, into / "weights.onnx")
    np.save(into / "reference.npy", trained.mean)
    fusion = _fused(recipe, kept, trained)
    write_fusion(into / "panel.json", fusion)
    card = _card(recipe, kept, fusion, (into / "weights.onnx").read_bytes(), licences, made)
    with atomic_output(into / "card.json", overwrite=True) as file:
        file.write(card.to_bytes())
    return Made(card, fusion, len(kept), left)


def _fused(recipe: Recipe, items: Sequence[Item], trained: Trained) -> Fusion:
    """Return the calibration of what was said held out, by condition, over the standard journeys."""
    logits, fake, sources, conditions = [], [], [], []
    for item, said in zip(items, trained.held_out, strict=True):
        for journey, logit in zip(STANDARD, said, strict=False):
            if np.isnan(logit):
                continue
            condition = condition_of(item.path, STANDARD[journey].most)
            if journey != "raw" and condition != SMALL:
                condition = ENCODED[journey]
            logits.append(logit)
            fake.append(item.fake)
            sources.append(item.source)
            conditions.append(condition)
    return fuse(
        f"{recipe.name}-{recipe.seed}", {recipe.name: np.array(logits)}, np.array(fake), sources, conditions
    )


def _card(
    recipe: Recipe,
    items: Sequence[Item],
    fusion: Fusion,
    weights: bytes,
    licences: dict[str, tuple[str, str, str]],
    made: dt.date,
) -> Card:
    counted: dict[str, Counter[bool]] = defaultdict(Counter)
    for item in items:
        counted[item.source][item.fake] += 1
    sources = tuple(
        Source(name, *licences.get(name, ("", "", "")), real=count[False], fake=count[True])
        for name, count in sorted(counted.items())
    )
    return Card(
        name=recipe.name,
        version=f"{made:%Y.%m.%d}",
        kind="image",
        family="statistics",
        architecture=recipe.architecture,
        settings={"hidden": recipe.course.hidden, "judges": recipe.folds},
        weights=Weights("weights.onnx", "onnx", hashlib.sha256(weights).hexdigest(), len(weights)),
        input=Input(VECTORS, recipe.vectors.side, CROPS, recipe.vectors.side, length=len(names())),
        calibration=Calibration(fusion.id, fusion.lines),
        sources=sources,
        licence="Apache-2.0",
        fails=(),
        measured=(),
        made=f"{made:%Y-%m-%d}",
    )
