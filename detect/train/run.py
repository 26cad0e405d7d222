"""One training from recipe to model: allowed pictures, vectors, judges, what they say held out, weights, card."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from assay.detect.card import WHOLE, Calibration, Card, Source, Weights
from assay.detect.fuse import Fusion, fuse
from assay.detect.networks.registry import build
from assay.detect.panels import write_fusion
from assay.detect.runtime import Session
from assay.detect.speech.train import ARCHITECTURE as SPEECH
from assay.detect.speech.train import run_speech
from assay.detect.train.crops_run import CropWay
from assay.detect.train.data import Item, allowed, capped, is_reserved, read_reserved
from assay.detect.train.recipe import Recipe
from assay.detect.train.reconstruct import read_autoencoders
from assay.detect.train.statistics_run import StatisticsWay
from assay.detect.train.way import HeldOut, Tell, Way, read_held_out, write_held_out
from assay.provenance.errors import UsageError
from assay.provenance.files.atomic import atomic_output

COMMAND = "assay detect train"
HELD_OUT = "held-out.csv"
"""What networks said of pictures whose sources they never saw."""
FAMILIES = {"residual": "residual", "npr": "residual", "frequency": "frequency"}
"""Families of architectures that look at traces alone."""
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
    autoencoders: Path | None = None,
) -> Made:
    """Train a detector into a folder: weights.onnx, card.json, panel.json, held-out.csv, and what it can go on from.

    ``autoencoders`` is a folder of tiny autoencoders, with which a network learns from pairs too. ``licences`` gives
    repository, commit and licence by source. Raises UsageError on too few pictures or sources.
    """
    into.mkdir(parents=True, exist_ok=True)
    if recipe.architecture == SPEECH:
        card, fusion, count = run_speech(recipe, items, into, licences, made, tell)
        return Made(card, fusion, count, Counter({"not readable, or no speech": len(items) - count}))
    way = _way(recipe, autoencoders)
    kept, left = allowed(items)
    kept = capped(kept, recipe.most)
    there, hashes = way.gather(kept, into, jobs, lambda n: tell("pictures", n, len(kept)))
    near = is_reserved(hashes, read_reserved(reserved)) if reserved else np.zeros(len(kept), np.bool_)
    left["within 5 bits of a reserved picture"] += int(near.sum())
    left["not readable, too small, or flat"] += int((~there & ~near).sum())
    chosen = np.flatnonzero(there & ~near)
    kept = [kept[n] for n in chosen]
    counts = Counter(item.fake for item in kept)
    if min(counts[False], counts[True]) < FEWEST:
        raise UsageError(
            f"{counts[False]} real and {counts[True]} generated pictures are too few to learn from",
            hint=f"give at least {FEWEST} of each, of several sources",
        )
    told = way.train(kept, chosen, into, tell)
    write_held_out(into / HELD_OUT, kept, told)
    way.export(into / "weights.onnx")
    fusion = fused(f"{recipe.name}-{recipe.seed}", {recipe.name: read_held_out(into / HELD_OUT)})
    write_fusion(into / "panel.json", fusion)
    weights = (into / "weights.onnx").read_bytes()
    card = _card(recipe, way, kept, fusion, weights, licences, made)
    card = replace(card, measured=(way.agreement(Session.of(card, weights).run, COMMAND),))
    with atomic_output(into / "card.json", overwrite=True) as file:
        file.write(card.to_bytes())
    return Made(card, fusion, len(kept), left)


def _way(recipe: Recipe, autoencoders: Path | None) -> Way:
    """Raises UsageError for an architecture that is none, or that learns from no pairs."""
    if autoencoders and (recipe.architecture == "statistics" or recipe.drill.draw.scale == WHOLE):
        raise UsageError(
            "only networks over crops learn from reconstructions", hint="leave --autoencoders out"
        )
    if recipe.architecture == "statistics":
        return StatisticsWay(recipe)
    build(recipe.architecture, **recipe.settings)
    family = "semantic" if recipe.drill.draw.scale == WHOLE else FAMILIES.get(recipe.architecture, "network")
    return CropWay(recipe, family, read_autoencoders(autoencoders) if autoencoders else ())


def fused(name: str, trainings: dict[str, HeldOut]) -> Fusion:
    """Weigh what several trainings said held out of the same pictures as one; raises UsageError where none are."""
    first = next(iter(trainings.values()))
    keys = [k for k in first.logit if all(k in t.logit for t in trainings.values())]
    if not keys:
        raise UsageError("these trainings have no pictures in common", hint="train them on one index")
    logits = {name: np.array([t.logit[k] for k in keys]) for name, t in trainings.items()}
    fake = np.array([first.fake[path] for path, _ in keys])
    sources = [first.source[path] for path, _ in keys]
    return fuse(name, logits, fake, sources, [first.condition[k] for k in keys])


def _card(
    recipe: Recipe,
    way: Way,
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
        family=way.family,
        architecture=recipe.architecture,
        settings=way.settings(),
        weights=Weights("weights.onnx", "onnx", hashlib.sha256(weights).hexdigest(), len(weights)),
        input=way.input(),
        calibration=Calibration(fusion.id, fusion.lines),
        sources=sources,
        licence="Apache-2.0",
        fails=recipe.fails,
        measured=(),
        made=f"{made:%Y-%m-%d}",
    )
