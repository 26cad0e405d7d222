"""Likelihood ratios: right on data that have one, bounded by sources, silent where these are too few."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.detect.calibrate import FEWEST_SOURCES, MOST_LOG10, fitted
from assay.detect.fuse import fuse

RNG = np.random.default_rng(3)


def drawn(sources, each, shift=1.5):
    """Logits of normal real and fake pictures, one unit wide and ``shift`` apart: the true log LR is known."""
    fake = np.repeat([False, True], sources * each)
    names = [
        f"{'f' if f else 'r'}{n // each}"
        for f, n in zip(fake, np.tile(np.arange(sources * each), 2), strict=True)
    ]
    return RNG.normal(size=len(fake)) + shift * fake, fake, names


def test_the_line_is_that_of_two_normal_distributions():
    logits, fake, names = drawn(20, 300)
    line = fitted(logits, fake, names)
    assert line.slope == pytest.approx(1.5, abs=0.1)
    assert line.intercept == pytest.approx(-(1.5**2) / 2, abs=0.1)
    assert line.log10(0.75) == pytest.approx(0, abs=0.05)


def test_the_ratio_is_bounded_by_the_sources():
    logits, fake, names = drawn(5, 50, shift=8)
    line = fitted(logits, fake, names)
    assert line.bound == pytest.approx(math.log10(6))
    assert line.log10(1e9) == line.bound
    assert line.log10(-1e9) == -line.bound
    many, label, groups = drawn(200, 3, shift=8)
    assert fitted(many, label, groups).bound == MOST_LOG10


def test_one_large_source_does_not_outvote_many_small_ones():
    logits, fake, names = drawn(10, 20)
    strange = np.full(20_000, 3.0)
    line = fitted(
        np.append(logits, strange), np.append(fake, np.zeros(20_000, bool)), [*names, *["odd"] * 20_000]
    )
    assert line.slope > 0.5


def test_too_few_sources_give_no_line():
    logits, fake, names = drawn(FEWEST_SOURCES - 1, 100)
    assert fitted(logits, fake, names) is None


def test_a_detector_that_knows_nothing_gets_no_say():
    logits, fake, names = drawn(20, 50)
    noise = RNG.normal(size=len(fake))
    fusion = fuse("t", {"good": logits, "noise": noise, "wrong": -logits}, fake, names, ["fine"] * len(fake))
    assert fusion.weights["good"] > 0.8
    assert fusion.weights["noise"] < 0.15
    assert fusion.weights["wrong"] == pytest.approx(0, abs=0.15)
    assert set(fusion.lines) == {"fine"}
    assert fusion.logit({"good": 1.0, "noise": 0.0}) is None


def test_alarms_name_the_worst_source():
    logits, fake, names = drawn(20, 50)
    logits = logits + 3 * np.array([n == "r7" for n in names])
    fusion = fuse("t", {"good": logits}, fake, names, ["fine"] * len(fake))
    alarm = fusion.alarm(0.31)
    assert alarm.worst_source == "r7"
    assert alarm.worst_per_1000 > 3 * alarm.per_1000
    assert fusion.alarm(0.1) is None
    shares = [a.per_1000 for a in fusion.alarms]
    assert shares == sorted(shares, reverse=True)
