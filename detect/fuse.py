"""All detectors of one kind as one block: one logistic fusion, one line a condition, and what false alarms cost.

Detectors that look at the same pixels are not independent: their ratios are never multiplied. Their logits enter one
logistic regression (Brümmer, du Preez 2006), fitted on what each said of sources it had not learned from, and the
fused logit is calibrated and bounded like a single one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assay.detect.calibrate import CONDITIONS, FEWEST_SOURCES, Line, fitted

RIDGE = 1e-3
"""Weight of the squared weights."""
STEPS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
"""log10 likelihood ratios for synthetic at which false alarms are counted."""
FEWEST_PICTURES = 20
"""Opinions of one real source from which it can be the worst."""
MOST_KEPT = 16
"""Fused logits kept of one synthetic source in one condition: of more, evenly spaced ones by rank stand for all."""

Scores = Mapping[str, Mapping[str, tuple[float, ...]]]
"""Fused logits by condition and source."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """How many of 1,000 real photographs reach a log10 ratio for synthetic: the mean over sources, and the worst."""

    log10: float
    per_1000: float
    worst_per_1000: float
    worst_source: str


@dataclass(frozen=True, slots=True)
class Fusion:
    """``weights`` of each detector's logit and an ``intercept``; ``lines`` by condition; ``alarms`` by ratio.

    ``synthetic`` is what was said of generated pictures, with which others can calibrate anew. ``inherited`` names the
    conditions whose lines are another panel's, for which ``alarms`` were not counted. ``digests`` are the SHA-256 of
    the weights that were asked, by detector; a detector that is not among them may have any.
    """

    id: str
    weights: Mapping[str, float]
    intercept: float
    lines: Mapping[str, Line]
    alarms: tuple[Alarm, ...]
    synthetic: Scores = field(default_factory=dict)
    inherited: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)

    def logit(self, logits: Mapping[str, float]) -> float | None:
        """Return the fused logit, None where a detector that has a weight is silent."""
        if any(name not in logits for name in self.weights):
            return None
        return self.intercept + sum(weight * logits[name] for name, weight in self.weights.items())

    def alarm(self, log10: float) -> Alarm | None:
        """Return the false alarms at the highest counted ratio that is reached, None below the lowest."""
        return next((a for a in reversed(self.alarms) if log10 >= a.log10 - 1e-9), None)


def fuse(
    id: str,
    logits: Mapping[str, NDArray[np.float64]],
    fake: NDArray[np.bool_],
    sources: Sequence[str],
    conditions: Sequence[str],
) -> Fusion:
    """Fit a fusion to what detectors said of pictures of sources they had not learned from.

    ``logits`` by detector, each (n,), ``fake``, ``sources`` and ``conditions`` (n,). Each label weighs a half, each
    source within it the same.
    """
    names = sorted(logits)
    table = np.stack([np.asarray(logits[name], np.float64) for name in names], 1)
    weight = _weights(fake, sources)
    theta = _regressed(table, fake, weight) if len(names) > 1 else np.array([1.0, 0.0])
    fused = table @ theta[:-1] + theta[-1]
    lines = lined(fused, fake, sources, conditions)
    ratios = ratios_of(lines, fused, conditions)
    real = [s for s, f in zip(sources, fake.tolist(), strict=True) if not f]
    return Fusion(
        id,
        dict(zip(names, theta[:-1].tolist(), strict=True)),
        float(theta[-1]),
        lines,
        counted(ratios[~fake], real),
        _kept(fused, fake, sources, conditions),
    )


def lined(
    fused: NDArray[np.float64],
    fake: NDArray[np.bool_],
    sources: Sequence[str],
    conditions: Sequence[str],
    fewest: int = FEWEST_SOURCES,
) -> dict[str, Line]:
    """Return a line for each condition that has ``fewest`` sources of either label and a slope."""
    lines = {}
    for condition in CONDITIONS:
        mine = np.array([c == condition for c in conditions], np.bool_)
        theirs = [s for s, m in zip(sources, mine, strict=True) if m]
        line = fitted(fused[mine], fake[mine], theirs, fewest)
        if line is not None and line.slope > 0:
            lines[condition] = line
    return lines


def ratios_of(
    lines: Mapping[str, Line], fused: NDArray[np.float64], conditions: Sequence[str]
) -> NDArray[np.float64]:
    """Return the log10 ratio of each fused logit, 0 where its condition has no line."""
    return np.array(
        [lines[c].log10(v) if c in lines else 0.0 for c, v in zip(conditions, fused, strict=True)], np.float64
    )


def _kept(
    fused: NDArray[np.float64], fake: NDArray[np.bool_], sources: Sequence[str], conditions: Sequence[str]
) -> Scores:
    """Return what stands for all fused logits of generated pictures, by condition and source."""
    every: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for value, is_fake, source, condition in zip(
        fused.tolist(), fake.tolist(), sources, conditions, strict=True
    ):
        if is_fake:
            every[condition][source].append(value)
    return {c: {s: _spread(v) for s, v in sorted(by.items())} for c, by in sorted(every.items())}


def _spread(values: list[float]) -> tuple[float, ...]:
    """Return all values in order, or, of more than MOST_KEPT, those at the middle of as many equal parts."""
    few = min(len(values), MOST_KEPT)
    ranked = sorted(values)
    return tuple(round(ranked[(2 * n + 1) * len(ranked) // (2 * few)], 4) for n in range(few))


def _weights(fake: NDArray[np.bool_], sources: Sequence[str]) -> NDArray[np.float64]:
    counted: dict[tuple[bool, str], int] = defaultdict(int)
    for key in zip(fake.tolist(), sources, strict=True):
        counted[key] += 1
    labels = {label: sum(1 for f, _ in counted if f is label) for label in (False, True)}
    return np.array([0.5 / labels[f] / counted[f, s] for f, s in zip(fake.tolist(), sources, strict=True)])


def _regressed(
    table: NDArray[np.float64], fake: NDArray[np.bool_], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return weights and an intercept of logistic regression; a detector gets no negative say."""
    from scipy.optimize import minimize  # which takes longer to load than all else that an opinion needs

    design = np.column_stack([table, np.ones(len(table))])
    ridge = np.append(np.full(table.shape[1], RIDGE), 0.0)

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = design @ theta
        value = (weight * (np.logaddexp(0, margin) - fake * margin)).sum() + 0.5 * (ridge * theta**2).sum()
        slope: NDArray[np.float64] = design.T @ (weight * (1 / (1 + np.exp(-margin)) - fake)) + ridge * theta
        return float(value), slope

    bounds = [(0.0, None)] * table.shape[1] + [(None, None)]
    found: NDArray[np.float64] = minimize(
        loss, np.zeros(len(bounds)), jac=True, bounds=bounds, method="L-BFGS-B"
    ).x
    return found


def counted(ratios: NDArray[np.float64], sources: Sequence[str]) -> tuple[Alarm, ...]:
    """Return the false alarms at each of STEPS among the log10 ratios of real photographs."""
    by_source: dict[str, list[float]] = defaultdict(list)
    for ratio, source in zip(ratios.tolist(), sources, strict=True):
        by_source[source].append(ratio)
    found = []
    for step in STEPS:
        shares = {s: 1000 * float(np.mean(np.array(v) >= step)) for s, v in by_source.items()}
        if shares:
            # The worst of many small sources is the unluckiest: of fewer pictures a rate of one in twenty is unseen.
            counts = {s: len(v) for s, v in by_source.items() if len(v) >= FEWEST_PICTURES}
            worst = max(counts or shares, key=lambda s: shares[s])
            found.append(Alarm(step, float(np.mean(list(shares.values()))), shares[worst], worst))
    return tuple(found)


def share(log10: float) -> float:
    """Return a log10 ratio for synthetic as a score 0..1, 0.5 where it says nothing."""
    return 1 / (1 + math.pow(10, -log10))
