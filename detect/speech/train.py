"""Train the detector of speech: files become passages, a regression learns, what it says held out is weighed."""

from __future__ import annotations

import datetime as dt
import hashlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from assay.detect.calibrate import fitted
from assay.detect.card import VECTORS, Calibration, Card, Input, Source, Weights
from assay.detect.fuse import Fusion, counted
from assay.detect.networks.export import OPSET, figure
from assay.detect.panels import write_fusion
from assay.detect.runtime import Session
from assay.detect.speech.features import Vector
from assay.detect.speech.kernel import Kernel, Likeness, learned
from assay.detect.speech.plugin import MODEL
from assay.detect.speech.witness import LEAST, MOST, SECONDS, WIDE, heard
from assay.detect.train.data import Item, capped, weights
from assay.detect.train.folds import folds
from assay.detect.train.recipe import Recipe
from assay.provenance.errors import AssayError, UsageError
from assay.provenance.files.atomic import atomic_output
from assay.provenance.subject import Subject

ARCHITECTURE = "likeness"
"""What a recipe for speech calls it."""
COMMAND = "assay detect train"
PASSAGES = 3
"""Most passages of a file that are learned from."""
FEWEST = 10
"""Files of either label below which nothing is trained."""
COMPARED = 64
"""Vectors on which what was written is compared with torch."""
Licences = dict[str, tuple[str, str, str]]


def gathered(items: Sequence[Item], tell: Callable[[int], None]) -> tuple[Vector, NDArray[np.intp]]:
    """Return the vectors of files, (n, length), and which file each is of; what is silent or unreadable has none."""
    values, places = [], []
    for number, item in enumerate(items):
        try:
            with Subject.open(item.path) as subject:
                fit = [p.vector for p in heard(subject.media(), PASSAGES) if p.vector is not None]
        except AssayError:
            fit = []
        values += fit
        places += [number] * len(fit)
        tell(number + 1)
    if not values:
        raise UsageError("none of the files holds speech", hint="give recordings of two seconds and more")
    return np.stack(values), np.array(places, np.intp)


def run_speech(
    recipe: Recipe,
    items: Sequence[Item],
    into: Path,
    licences: Licences,
    made: dt.date,
    tell: Callable[[str, int, int], None],
) -> tuple[Card, Fusion, int]:
    """Train into a folder: weights.onnx, card.json, panel.json; return card, fusion and how many files were used."""
    kept = capped(items, recipe.most)
    values, places = gathered(kept, lambda n: tell("recordings", n, len(kept)))
    card, fusion = taught(recipe, kept, values, places, into, licences, made)
    return card, fusion, len(np.unique(places))


def taught(
    recipe: Recipe,
    items: Sequence[Item],
    values: Vector,
    places: NDArray[np.intp],
    into: Path,
    licences: Licences,
    made: dt.date,
) -> tuple[Card, Fusion]:
    """Learn from vectors (n, length) of the items at ``places``; folds leave whole repositories out where one is known.

    Raises UsageError on too few files or sources.
    """
    into.mkdir(parents=True, exist_ok=True)
    there = np.unique(places)
    labels = Counter(items[n].fake for n in there)
    if min(labels[False], labels[True]) < FEWEST:
        raise UsageError(
            f"{labels[False]} real and {labels[True]} synthetic recordings are too few to learn from",
            hint=f"give at least {FEWEST} of each, of several sources",
        )
    kernel = _kernel(recipe)
    fake = np.array([item.fake for item in items])
    each = weights(items) / np.maximum(np.bincount(places, minlength=len(items)), 1)
    grouped = [replace(i, source=licences.get(i.source, ("",))[0] or i.source) for i in items]
    fold = folds(grouped, recipe.folds, recipe.seed)[places]
    said = np.zeros(len(values))
    for number in range(recipe.folds):
        mine = fold != number
        if mine.all():
            continue
        judge = learned(values[mine], fake[places[mine]], each[places[mine]], kernel)
        said[~mine] = judge.logits(values[~mine])
    whole = learned(values, fake[places], each[places], kernel)
    _export(whole, into / "weights.onnx")
    data = (into / "weights.onnx").read_bytes()
    weights_ = Weights("weights.onnx", "onnx", hashlib.sha256(data).hexdigest(), len(data))
    fusion = _weighed(recipe, items, there, said, places, weights_.sha256)
    card = _card(recipe, [items[n] for n in there], values.shape[1], fusion, weights_, licences, made)
    run = Session.of(card, data).run
    expected = whole.logits(values[:COMPARED])
    found = np.abs(run(values[:COMPARED]) - expected) / np.maximum(1, np.abs(expected))
    card = replace(card, measured=(figure(float(found.max()), "vectors of training", COMMAND),))
    write_fusion(into / "panel.json", fusion, "audio")
    with atomic_output(into / "card.json", overwrite=True) as file:
        file.write(card.to_bytes())
    return card, fusion


def _kernel(recipe: Recipe) -> Kernel:
    """Return the settings of a recipe; raises UsageError for one that is not known."""
    known = {field.name for field in fields(Kernel)}
    if set(recipe.settings) - known or not all(
        isinstance(v, int | float) and v > 0 for v in recipe.settings.values()
    ):
        raise UsageError(
            f"settings are {', '.join(sorted(known))}: numbers above 0", hint="change the recipe"
        )
    numbers = {name: float(value) for name, value in recipe.settings.items()}
    return Kernel(**(numbers | {"components": int(numbers.get("components", Kernel().components))}))  # type: ignore[arg-type]


def _weighed(
    recipe: Recipe,
    items: Sequence[Item],
    there: NDArray[np.intp],
    said: NDArray[np.float64],
    places: NDArray[np.intp],
    digest: str,
) -> Fusion:
    """Fit the line to what was said held out of files, and count false alarms by it."""
    logits = np.array([said[places == n].mean() for n in there])
    fake = np.array([items[n].fake for n in there])
    sources = [items[n].source for n in there]
    line = fitted(logits, fake, sources)
    if line is None or not line.slope > 0:
        raise UsageError(
            "too few sources to calibrate on", hint="give recordings of four sources of either label"
        )
    ratios = np.array([line.log10(float(v)) for v in logits[~fake]])
    alarms = counted(ratios, [s for s, f in zip(sources, fake.tolist(), strict=True) if not f])
    return Fusion(
        f"{recipe.name}-{recipe.seed}", {MODEL: 1.0}, 0.0, {WIDE: line}, alarms, digests={MODEL: digest}
    )


def _export(judge: Likeness, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the older exporter says that it is the older one; the newer needs onnxscript
        torch.onnx.export(
            judge.eval(),
            (torch.zeros(2, len(judge.mean)),),
            str(path),
            input_names=[VECTORS],
            output_names=["logit"],
            dynamic_axes={VECTORS: {0: "n"}, "logit": {0: "n"}},
            opset_version=OPSET,
            do_constant_folding=False,  # it would write the centres in double precision
            dynamo=False,
        )


def _card(
    recipe: Recipe,
    items: Sequence[Item],
    length: int,
    fusion: Fusion,
    weights_: Weights,
    licences: Licences,
    made: dt.date,
) -> Card:
    count: dict[str, Counter[bool]] = defaultdict(Counter)
    for item in items:
        count[item.source][item.fake] += 1
    return Card(
        name=recipe.name,
        version=f"{made:%Y.%m.%d}",
        kind="audio",
        family="statistics",
        architecture=ARCHITECTURE,
        settings=dict(recipe.settings),
        weights=weights_,
        input=Input(VECTORS, LEAST, MOST, SECONDS, length=length),
        calibration=Calibration(fusion.id, fusion.lines),
        sources=tuple(
            Source(name, *licences.get(name, ("", "", "")), real=c[False], fake=c[True])
            for name, c in sorted(count.items())
        ),
        licence="Apache-2.0",
        fails=recipe.fails,
        measured=(),
        made=f"{made:%Y-%m-%d}",
    )
