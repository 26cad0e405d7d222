"""Figures of a detector from its scores: pure functions on arrays, and the bootstrap over sources.

Scores are float64, one a file, higher = more synthetic. Weights of evidence are float64 log10 likelihood ratios,
P(evidence | authentic) / P(evidence | synthetic), so that a negative one speaks for synthetic. A figure of nothing
is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

BINS = 10
"""Bins of equal width of the calibration error."""
ROUNDS = 1000
"""Resamples of a bootstrap."""
TAILS = (2.5, 97.5)
"""Percentiles between which a 95 % interval lies."""
Z95 = 1.959964
"""The normal distribution's 97.5th percentile."""
_BITS = math.log2(10.0)


# ------------------------------------------------------------------------------------------ discrimination


def auc(real: Floats, fake: Floats) -> float:
    """Return the chance that a random fake scores above a random real, ties counted as half; 0..1."""
    if not len(real) or not len(fake):
        return math.nan
    ordered = np.sort(real)
    below, upto = np.searchsorted(ordered, fake, "left"), np.searchsorted(ordered, fake, "right")
    return float((below + upto).mean() / (2 * len(real)))


def tpr_at(real: Floats, fake: Floats, fpr: float) -> float:
    """Return the share of fakes above the lowest threshold that at most a share ``fpr`` of the reals exceeds."""
    if not len(real) or not len(fake):
        return math.nan
    allowed = math.floor(fpr * len(real) + 1e-9)
    if allowed >= len(real):
        return 1.0
    threshold = np.sort(real)[len(real) - 1 - allowed]
    return float((fake > threshold).mean())


def eer(real: Floats, fake: Floats) -> float:
    """Return the error rate where false alarms and misses are equally frequent, on the ROC's straight pieces."""
    if not len(real) or not len(fake):
        return math.nan
    thresholds = np.unique(np.concatenate((real, fake)))
    alarms = 1 - np.searchsorted(np.sort(real), thresholds, "left") / len(real)
    misses = np.searchsorted(np.sort(fake), thresholds, "left") / len(fake)
    alarms, misses = np.append(alarms, 0.0), np.append(misses, 1.0)
    after = int(
        np.argmax(misses >= alarms)
    )  # the first threshold has no miss, the one past the last no alarm
    if after == 0 or misses[after] == alarms[after]:
        return float(misses[after])
    before = after - 1
    gap = alarms[before] - misses[before]
    share = gap / (gap + misses[after] - alarms[after])
    return float(misses[before] + share * (misses[after] - misses[before]))


def roc(real: Floats, fake: Floats) -> tuple[Floats, Floats]:
    """Return false alarms and hits, both float64 from 0 to 1, at every threshold from the highest down."""
    if not len(real) or not len(fake):
        return np.empty(0), np.empty(0)
    levels, place = np.unique(-np.concatenate((real, fake)), return_inverse=True)
    counts = [np.bincount(part, minlength=len(levels)) for part in np.split(place, [len(real)])]
    alarms, hits = (np.append(0.0, np.cumsum(count) / count.sum()) for count in counts)
    return alarms, hits


# --------------------------------------------------------------------------------------------- calibration


def probability(llr: Floats) -> Floats:
    """Return P(synthetic) that a weight of evidence gives where both are equally likely beforehand; 0..1."""
    return np.asarray(1 / (1 + 10.0 ** np.clip(llr, -300, 300)), np.float64)


def ece(real: Floats, fake: Floats, bins: int = BINS) -> float:
    """Return the expected calibration error of P(synthetic) in [0, 1], both labels weighing one half (Guo 2017).

    Few files make it large by chance alone: its interval says how much of it to believe.
    """
    if not len(real) or not len(fake):
        return math.nan
    given, share, weight = reliability(real, fake, bins)
    return float((weight * np.abs(given - share)).sum())


def reliability(real: Floats, fake: Floats, bins: int = BINS) -> tuple[Floats, Floats, Floats]:
    """Return for each bin that holds a file: the mean P(synthetic) given, the share of fakes, and its weight.

    Both labels weigh one half in all, so that the weights add up to 1.
    """
    given = np.concatenate((real, fake))
    truth = np.repeat((0.0, 1.0), (len(real), len(fake)))
    each = np.where(truth > 0, 0.5 / max(1, len(fake)), 0.5 / max(1, len(real)))
    place = np.minimum((given * bins).astype(np.intp), bins - 1)
    weight, means, shares = (np.bincount(place, each * what, bins) for what in (1.0, given, truth))
    filled = weight > 0
    total = np.asarray(weight[filled], np.float64)
    return means[filled] / total, shares[filled] / total, total


def cllr(real: Floats, fake: Floats) -> float:
    """Return the cost in bits of believing these weights of evidence (Brümmer and du Preez 2006).

    0 is perfect, 1 what saying nothing costs; above 1 the weights mislead.
    """
    if not len(real) or not len(fake):
        return math.nan
    return float(np.logaddexp2(0, -real * _BITS).mean() + np.logaddexp2(0, fake * _BITS).mean()) / 2


def coverage_error(real: Floats, fake: Floats, files: int) -> tuple[Floats, Floats]:
    """Return coverage and error among the decided, one pair for each weight at which one may stop deciding.

    Files are decided in the order of their weight's size, equal sizes together; a weight of 0 decides nothing.
    ``files`` counts all, those without a weight included: coverage is a share of these. Both float64, by rising
    coverage.
    """
    size = np.abs(np.concatenate((real, fake)))
    wrong = np.concatenate((real < 0, fake > 0))
    levels, place = np.unique(-size[size > 0], return_inverse=True)
    decided = np.cumsum(np.bincount(place, minlength=len(levels)))
    errors = np.cumsum(np.bincount(place, wrong[size > 0], len(levels)))
    return decided / max(1, files), errors / np.maximum(1, decided)


def error_at(real: Floats, fake: Floats, files: int, coverage: float) -> float:
    """Return the error among the decided where at least this share of all files is decided; NaN if never."""
    shares, errors = coverage_error(real, fake, files)
    reached = np.flatnonzero(shares >= coverage - 1e-9)
    return float(errors[reached[0]]) if len(reached) else math.nan


# ----------------------------------------------------------------------------------------------- intervals


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate after Wilson (1927), which holds near 0 and 1 too."""
    if not of:
        return 0.0, 1.0
    share, spread = hits / of, Z95**2 / of
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def by_source(sources: Sequence[str], chosen: NDArray[np.bool_]) -> list[Indices]:
    """Return the places of the chosen files, those of one source together."""
    groups: dict[str, list[int]] = {}
    for place in np.flatnonzero(chosen).tolist():
        groups.setdefault(sources[place], []).append(place)
    return [np.array(groups[name], np.intp) for name in sorted(groups)]


def bootstrap(
    measure: Callable[[Indices, Indices], Sequence[float]],
    real: Sequence[Indices],
    fake: Sequence[Indices],
    seed: int = 0,
    rounds: int = ROUNDS,
) -> NDArray[np.float64]:
    """Return 95 % intervals, float64 (figures, 2), of what ``measure`` says of real and of fake files.

    Each round draws real sources and fake sources with replacement, then files of each drawn source: files of
    one source are alike, so that a thousand of them are not a thousand witnesses. One source alone has its
    files resampled, which says nothing of other sources.
    """
    rng = np.random.default_rng(seed)
    seen = np.array([measure(_draw(real, rng), _draw(fake, rng)) for _ in range(rounds)], np.float64)
    found = np.full((seen.shape[1], 2), math.nan)
    for number, column in enumerate(seen.T):
        known = column[np.isfinite(column)]
        if len(known):
            found[number] = np.percentile(known, TAILS)
    return found


def _draw(groups: Sequence[Indices], rng: np.random.Generator) -> Indices:
    if not groups:
        return np.empty(0, np.intp)
    drawn = (groups[number] for number in rng.integers(0, len(groups), len(groups)))
    return np.concatenate([group[rng.integers(0, len(group), len(group))] for group in drawn])
