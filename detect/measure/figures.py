"""From answers to figures: each witness under each condition, with intervals, and by group of files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.detect.measure import metrics
from assay.detect.measure.collection import Sample
from assay.detect.measure.metrics import Floats, Indices, probability
from assay.detect.measure.run import Answer, Result
from assay.detect.measure.speed import Speed
from assay.provenance.opinion import Answered

COVERAGE = 0.3
"""Share of all files that are decided where the error among the decided is stated."""
FEW_ROUNDS = 200
"""Resamples of an interval of one group of files."""
EVEN = 0.5
"""Score of a file of which a witness says nothing."""

FALSE_ALARMS = 0.05
"""Share of unattacked reals above the threshold at which an attack's hits are counted."""

FIGURES = {
    "auc": "AUC",
    "auc_all": "AUC, silence even",
    "tpr1": "TPR at 1 % FPR",
    "tpr5": "TPR at 5 % FPR",
    "eer": "EER",
    "cllr": "Cllr",
    "cllr_all": "Cllr, silence even",
    "ece": "ECE",
    "error": f"error at {COVERAGE:.0%} coverage",
}
"""The figures of a witness under a condition: their keys in JSON, and their names."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Value:
    """A figure and its 95 % interval; NaN where there is nothing to tell."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Rate:
    """How often of how many, with the interval after Wilson."""

    hits: int
    of: int

    @property
    def value(self) -> Value:
        """Return the rate, 0..1; NaN of nothing."""
        return Value(self.hits / self.of if self.of else math.nan, *metrics.wilson(self.hits, self.of))


@dataclass(frozen=True, slots=True)
class Group:
    """One group of files before one witness under one condition.

    ``auc`` is of its fakes against all reals, of its reals against all fakes, or, where it has both, of its own.
    ``alarms`` are its reals, ``hits`` its fakes, of all of them, that lean to synthetic; ``decided`` its files that
    lean either way.
    """

    name: str
    real: int
    fake: int
    answered: Rate
    auc: Value
    alarms: Rate
    hits: Rate
    decided: Rate


class Column:
    """The answers of one witness under one condition as arrays, one place a file.

    ``score`` float64, ``llr`` float64, both NaN where it was silent; ``synthetic`` and ``answered`` bool.
    """

    def __init__(self, samples: Sequence[Sample], answers: Sequence[Answer], seed: int = 0) -> None:
        self.samples = samples
        self.answers = answers
        self.seed = seed
        self.synthetic = np.array([s.synthetic for s in samples], np.bool_)
        self.sources = [s.source for s in samples]
        self.score = _floats([a.score for a in answers])
        self.llr = _floats([a.llr for a in answers])
        self.answered = ~np.isnan(self.score)
        self.weighs = bool((~np.isnan(self.llr)).any())

    @cached_property
    def ai(self) -> Mask:
        """Which files lean to synthetic."""
        return np.array([a.leaning == "ai" for a in self.answers], np.bool_)

    @cached_property
    def captured(self) -> Mask:
        """Which files lean to authentic."""
        return np.array([a.leaning == "captured" for a in self.answers], np.bool_)

    def silences(self) -> dict[str, int]:
        """Return how many files were not answered, by reason, the most frequent first.

        Numbers in a reason are left out, so that "too small: 90 pixels" is counted with "too small: 91 pixels".
        """
        reasons = Counter(
            " ".join("…" if any(c.isdigit() for c in word) else word for word in a.reason.split()) or a.status
            for a, answered in zip(self.answers, self.answered, strict=True)
            if not answered
        )
        return dict(reasons.most_common())

    def errors(self) -> int:
        """Return how many files the witness failed on."""
        return sum(a.status is Answered.ERROR for a in self.answers)

    def headline(self, rounds: int) -> dict[str, Value]:
        """Return FIGURES over all files, with intervals from a bootstrap over sources."""
        everyone = np.ones(len(self.samples), np.bool_)
        return self._values(everyone, tuple(FIGURES), rounds)

    def hit_rate(self) -> Value:
        """Return the share of all fakes above what FALSE_ALARMS of the answered reals exceed; silence is no hit."""
        fakes = self.score[self.synthetic]
        found = metrics.tpr_at(
            self.score[self.answered & ~self.synthetic], np.nan_to_num(fakes, nan=-math.inf), FALSE_ALARMS
        )
        return Rate(0, 0).value if math.isnan(found) else Rate(round(found * len(fakes)), len(fakes)).value

    def curve(self) -> tuple[Floats, Floats]:
        """Return coverage and error among the decided; both empty where nothing is weighed."""
        known = ~np.isnan(self.llr)
        return metrics.coverage_error(
            self.llr[known & ~self.synthetic], self.llr[known & self.synthetic], len(self.samples)
        )

    def groups(self, names: Sequence[str], rounds: int) -> list[Group]:
        """Return one Group for each name in ``names``, which has one a file, by name; files with '' are in none."""
        members: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            if name:
                members.setdefault(name, []).append(place)
        return [
            self._group(name, np.array(places, np.intp), rounds) for name, places in sorted(members.items())
        ]

    def _group(self, name: str, places: Indices, rounds: int) -> Group:
        own = np.zeros(len(self.samples), np.bool_)
        own[places] = True
        real, fake = own & ~self.synthetic, own & self.synthetic
        against = (
            own if real.any() and fake.any() else own | (self.synthetic if real.any() else ~self.synthetic)
        )
        return Group(
            name,
            int(real.sum()),
            int(fake.sum()),
            Rate(int((own & self.answered).sum()), len(places)),
            self._values(against, ("auc",), rounds)["auc"],
            Rate(int((real & self.ai).sum()), int(real.sum())),
            Rate(int((fake & self.ai).sum()), int(fake.sum())),
            Rate(int((own & (self.ai | self.captured)).sum()), len(places)),
        )

    def _values(self, chosen: Mask, names: Sequence[str], rounds: int) -> dict[str, Value]:
        def measure(real: Indices, fake: Indices) -> list[float]:
            return [self._figure(name, real, fake) for name in names]

        real, fake = np.flatnonzero(chosen & ~self.synthetic), np.flatnonzero(chosen & self.synthetic)
        groups = [
            metrics.by_source(self.sources, chosen & kind) for kind in (~self.synthetic, self.synthetic)
        ]
        ends = metrics.bootstrap(measure, groups[0], groups[1], self.seed, rounds)
        return {
            name: Value(value, float(low), float(high))
            for name, value, (low, high) in zip(names, measure(real, fake), ends, strict=True)
        }

    def _figure(self, name: str, real: Indices, fake: Indices) -> float:
        if name in ("ece", "cllr", "cllr_all", "error") and not self.weighs:
            return math.nan
        if name == "auc_all":
            return metrics.auc(*(np.nan_to_num(self.score[part], nan=EVEN) for part in (real, fake)))
        if name == "cllr_all":
            return metrics.cllr(*(np.nan_to_num(self.llr[part]) for part in (real, fake)))
        if name in ("auc", "tpr1", "tpr5", "eer"):
            r, f = (self.score[part][self.answered[part]] for part in (real, fake))
            levels = {"tpr1": 0.01, "tpr5": 0.05}
            if name in levels:
                return metrics.tpr_at(r, f, levels[name])
            return metrics.auc(r, f) if name == "auc" else metrics.eer(r, f)
        r, f = (self.llr[part][~np.isnan(self.llr[part])] for part in (real, fake))
        if name == "error":
            return metrics.error_at(r, f, len(real) + len(fake), COVERAGE)
        return metrics.cllr(r, f) if name == "cllr" else metrics.ece(probability(r), probability(f))


@dataclass(frozen=True, slots=True)
class Findings:
    """All figures of a result: FIGURES by (witness, condition), groups by division and (witness, condition).

    Groups are made under the conditions that belong to no curve; ``hits`` are those of attacks, the condition of
    strength 0 included. ``speeds`` are as measured, if they were.
    """

    result: Result
    columns: Mapping[tuple[str, str], Column]
    headline: Mapping[tuple[str, str], Mapping[str, Value]]
    groups: Mapping[str, Mapping[tuple[str, str], Sequence[Group]]]
    hits: Mapping[tuple[str, str], Value]
    speeds: tuple[Speed, ...] = ()


def findings(result: Result, speeds: tuple[Speed, ...] = (), rounds: int = metrics.ROUNDS) -> Findings:
    """Work out all figures; a result with no readable file of either label gives NaN.

    ``rounds`` resamples make the intervals of all files; those of groups and of curves have at most FEW_ROUNDS.
    """
    few = min(rounds, FEW_ROUNDS)
    plan = result.plan
    columns = {key: Column(result.samples, answers, plan.seed) for key, answers in result.answers.items()}
    single = {c.name for c in plan.conditions if c.level is None}
    attacks = {c.name for c in plan.conditions if c.is_attack}
    return Findings(
        result,
        columns,
        {key: column.headline(rounds if key[1] in single else few) for key, column in columns.items()},
        {
            title: {key: column.groups(names, few) for key, column in columns.items() if key[1] in single}
            for title, names in divisions(result.samples).items()
        },
        {key: column.hit_rate() for key, column in columns.items() if key[1] in attacks},
        speeds,
    )


def divisions(samples: Sequence[Sample]) -> Mapping[str, list[str]]:
    """Return how the files can be grouped: the title, and each file's group or ''; only divisions that divide.

    Generators hold fakes, real sources reals; kinds and recorded attributes hold both.
    """
    found = {
        "generator": [s.generator if s.synthetic else "" for s in samples],
        "fake source": [s.source if s.synthetic else "" for s in samples],
        "real source": ["" if s.synthetic else s.source for s in samples],
        "kind": [s.kind for s in samples],
    }
    if found["generator"] == found["fake source"]:
        del found["fake source"]
    names = sorted({name for s in samples for name in s.attributes})
    found |= {name: [s.attributes.get(name, "") for s in samples] for name in names}
    return {title: names for title, names in found.items() if any(names)}


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], np.float64)
