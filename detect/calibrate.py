"""From a logit to a likelihood ratio: Platt's line per condition, bounded by what the calibration data can carry.

Platt 1999, with the weights of labels and sources equal, so that the line gives a likelihood ratio and no posterior
(Brümmer, du Preez 2006, Computer Speech & Language 20); the bound is that of a rule that errs once in the
number of independent sources plus one (after Vergeer et al. 2016, Science & Justice 56).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOSSLESS, FINE, COARSE, SMALL = "lossless", "fine", "coarse", "small"
"""Conditions: no lossy encoder to be seen; JPEG of quality 90 and more or the like; less; few pixels."""
CONDITIONS = (LOSSLESS, FINE, COARSE, SMALL)
FEWEST_SOURCES = 4
"""Sources of either label below which a condition has no line of its own, and a witness is silent in it."""
MOST_LOG10 = 1.5
"""Bound of log10 LR however many sources there are: sources are not the world."""
RIDGE = 1e-3
"""Weight of the squared slope, so that separable data still give a finite one."""
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Line:
    """log LR (natural, for synthetic against authentic) = ``slope`` * logit + ``intercept``, within ``bound`` log10.

    ``real_sources`` and ``fake_sources`` are the independent sources behind it, ``n`` the pictures.
    """

    slope: float
    intercept: float
    bound: float
    real_sources: int
    fake_sources: int
    n: int

    def log10(self, logit: float) -> float:
        """Return log10 P(evidence | synthetic) / P(evidence | authentic)."""
        value = (self.slope * logit + self.intercept) / math.log(10)
        # A smooth bound keeps the order of strong opinions.
        return self.bound * math.tanh(value / self.bound)


def fitted(
    logits: NDArray[np.float64],
    fake: NDArray[np.bool_],
    sources: Sequence[str],
    fewest: int = FEWEST_SOURCES,
) -> Line | None:
    """Fit a line to logits that a model gave of sources it had not learned from; None where sources are too few.

    Each label weighs one half, each source within it the same; ``fewest`` sources of either are needed.
    """
    counted = Counter(zip(fake.tolist(), sources, strict=True))
    reals, fakes = (sum(1 for label, _ in counted if label is kind) for kind in (False, True))
    if min(reals, fakes) < fewest:
        return None
    share = {False: 0.5 / reals, True: 0.5 / fakes}
    weight = np.array([share[f] / counted[f, s] for f, s in zip(fake.tolist(), sources, strict=True)])
    slope, intercept = _logistic(np.asarray(logits, np.float64), fake.astype(np.float64), weight)
    bound = min(MOST_LOG10, math.log10(min(reals, fakes) + 1))
    return Line(max(0.0, slope), intercept, bound, reals, fakes, len(logits))


def _logistic(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """Return slope and intercept of weighted logistic regression, by Newton's method with halved steps."""
    design = np.stack([x, np.ones_like(x)], 1)
    ridge = np.array([RIDGE, 0.0])

    def loss(theta: NDArray[np.float64]) -> float:
        margin = design @ theta
        return float((weight * (np.logaddexp(0, margin) - y * margin)).sum() + 0.5 * (ridge * theta**2).sum())

    theta = np.zeros(2)
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-design @ theta))
        gradient = design.T @ (weight * (p - y)) + ridge * theta
        curve = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag(ridge) + 1e-12 * np.eye(2)
        step = np.linalg.solve(curve, gradient)
        while loss(theta - step) > loss(theta) and np.abs(step).max() > 1e-9:
            step /= 2
        theta = theta - step
        if np.abs(step).max() < 1e-9:
            break
    return float(theta[0]), float(theta[1])
