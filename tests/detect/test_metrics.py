"""Figures against scipy, against definitions worked out by hand, and against what chance alone must give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from assay.detect.measure import metrics

RNG = np.random.default_rng(5)
SCORES = [
    (RNG.normal(0, 1, 200), RNG.normal(1, 1, 150)),
    (RNG.integers(0, 6, 90).astype(float), RNG.integers(1, 8, 70).astype(float)),  # many ties
    (np.zeros(20), np.zeros(30)),
    (np.array([0.1, 0.2]), np.array([0.8, 0.9])),
    (np.array([0.8, 0.9]), np.array([0.1, 0.2])),
]


@pytest.mark.parametrize(("real", "fake"), SCORES)
def test_auc_is_the_statistic_of_mann_and_whitney_and_the_area_under_the_roc(real, fake):
    wanted = stats.mannwhitneyu(fake, real).statistic / (len(real) * len(fake))
    assert metrics.auc(real, fake) == pytest.approx(wanted)
    alarms, hits = metrics.roc(real, fake)
    assert np.trapezoid(hits, alarms) == pytest.approx(wanted)
    assert (alarms[0], hits[0], alarms[-1], hits[-1]) == (0, 0, 1, 1)


@pytest.mark.parametrize(("real", "fake"), SCORES)
@pytest.mark.parametrize("level", [0.0, 0.01, 0.05, 0.3, 1.0])
def test_hits_are_counted_at_the_lowest_threshold_that_keeps_the_false_alarms(real, fake, level):
    cuts = [*np.unique(real), -math.inf]
    allowed = [(fake > cut).mean() for cut in cuts if (real > cut).mean() <= level]
    assert metrics.tpr_at(real, fake, level) == pytest.approx(max(allowed))


def test_equal_errors_of_two_gaussians_lie_where_theory_says():
    grid = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    for distance in (0.0, 1.0, 2.5):
        assert metrics.eer(grid, grid + distance) == pytest.approx(stats.norm.cdf(-distance / 2), abs=1e-3)


@pytest.mark.parametrize(
    ("real", "fake", "wanted"),
    [
        ([1, 2], [3, 4], 0.0),
        ([3, 4], [1, 2], 1.0),
        ([1, 1], [1, 1], 0.5),
        ([1, 2, 3, 4], [2.5, 3.5, 4.5, 5.5], 0.25),
    ],
)
def test_equal_errors_of_a_few_scores(real, fake, wanted):
    assert metrics.eer(np.array(real, float), np.array(fake, float)) == pytest.approx(wanted)


def test_weights_cost_what_information_theory_says():
    say_nothing = np.zeros(4)
    assert metrics.cllr(say_nothing, say_nothing) == pytest.approx(1)
    three_to_one = np.full(9, math.log10(3))
    assert metrics.cllr(three_to_one, -three_to_one) == pytest.approx(math.log2(4 / 3))
    assert metrics.cllr(-three_to_one, three_to_one) == pytest.approx(math.log2(4))
    sure = np.full(3, 400.0)  # beyond what a float's power of ten can say
    assert metrics.cllr(sure, -sure) == pytest.approx(0)
    assert metrics.cllr(-sure, sure) == pytest.approx(400 * math.log2(10))
    # Three times as many files of one label do not make its errors three times as dear.
    assert metrics.cllr(np.tile(three_to_one, 3), three_to_one) == pytest.approx(
        metrics.cllr(three_to_one, three_to_one)
    )


def test_probability_is_even_where_nothing_is_said():
    given = metrics.probability(np.array([0.0, 1.0, -1.0, 500.0, -500.0]))
    assert given == pytest.approx([0.5, 1 / 11, 10 / 11, 0, 1])


def test_calibration_error_sees_overconfidence_and_not_the_number_of_files():
    # 0.9 is said of every file, and half of them are generated: 0.4 too much.
    assert metrics.ece(np.full(10, 0.9), np.full(10, 0.9)) == pytest.approx(0.4)
    assert metrics.ece(np.full(10, 0.9), np.full(1000, 0.9)) == pytest.approx(0.4)
    # 0.25 and 0.75, each right as often as it says.
    right = np.array([0.25] * 3 + [0.75])
    assert metrics.ece(right, 1 - right) == pytest.approx(0)
    assert metrics.ece(np.zeros(5), np.ones(5)) == pytest.approx(0)


def test_coverage_goes_by_weight_and_equal_weights_go_together():
    real, fake = np.array([2.0, 1.0, -1.0]), np.array([-2.0, 1.0, 0.0])
    shares, errors = metrics.coverage_error(real, fake, files=10)
    assert shares == pytest.approx([0.2, 0.5])  # a weight of 0 decides nothing; four files were silent
    assert errors == pytest.approx([0.0, 2 / 5])
    assert metrics.error_at(real, fake, 10, 0.2) == pytest.approx(0.0)
    assert metrics.error_at(real, fake, 10, 0.3) == pytest.approx(0.4)
    assert math.isnan(metrics.error_at(real, fake, 10, 0.6))
    again = metrics.coverage_error(real[::-1], fake[::-1], files=10)
    assert again[1] == pytest.approx(errors)


def test_figures_of_nothing_are_no_numbers():
    nothing, some = np.empty(0), np.array([0.5])
    for real, fake in ((nothing, some), (some, nothing), (nothing, nothing)):
        found = [f(real, fake) for f in (metrics.auc, metrics.eer, metrics.ece, metrics.cllr)]
        assert all(map(math.isnan, [*found, metrics.tpr_at(real, fake, 0.05)]))
        assert math.isnan(metrics.error_at(nothing, nothing, 3, 0.3))
    assert metrics.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "of"), [(0, 7), (7, 7), (3, 50), (499, 1000)])
def test_rates_have_wilson_s_interval(hits, of):
    wanted = stats.binomtest(hits, of).proportion_ci(0.95, "wilson")
    assert metrics.wilson(hits, of) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


# ----------------------------------------------------------------------------------------------- bootstrap


def interval(values, real, fake, seed=0, rounds=300):
    def measure(r, f):
        return [metrics.auc(values[r], values[f])]

    return metrics.bootstrap(measure, real, fake, seed, rounds)[0]


def test_files_of_one_source_are_no_independent_witnesses():
    """Scores that hang on the source: as many files tell far less than from as many sources."""
    rng = np.random.default_rng(1)
    each = 40
    shift = np.concatenate((rng.normal(0, 1, 6), rng.normal(0.8, 1, 6)))
    values = np.repeat(shift, each) + rng.normal(0, 0.3, 12 * each)
    sources = [str(n // each) for n in range(12 * each)]
    fake = np.arange(12 * each) >= 6 * each
    clustered = interval(values, metrics.by_source(sources, ~fake), metrics.by_source(sources, fake))
    apart = [str(n) for n in range(len(sources))]
    loose = interval(values, metrics.by_source(apart, ~fake), metrics.by_source(apart, fake))
    assert clustered[1] - clustered[0] > 3 * (loose[1] - loose[0])
    assert clustered[0] < loose[0] < loose[1] < clustered[1]


def test_intervals_move_with_the_seed_alone():
    values = RNG.normal(0, 1, 60)
    groups = [np.arange(n, n + 10) for n in range(0, 60, 10)]
    first = interval(values, groups[:3], groups[3:], seed=7)
    assert (first == interval(values, groups[:3], groups[3:], seed=7)).all()
    assert (first != interval(values, groups[:3], groups[3:], seed=8)).any()


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    """Of 60 worlds with 12 + 12 sources, in at least 48 the interval holds the true AUC of such sources."""
    truth = stats.norm.cdf(1 / math.sqrt(2 * (0.5**2 + 1)))
    held = 0
    for world in range(60):
        rng = np.random.default_rng(world)
        shift = np.repeat(rng.normal(0, 0.5, 24), 8)
        values = shift + rng.normal(0, 1, 192) + np.repeat((0.0, 1.0), 96)
        groups = [np.arange(n, n + 8) for n in range(0, 192, 8)]
        low, high = interval(values, groups[:12], groups[12:], rounds=80)
        held += low <= truth <= high
    assert held >= 48


def test_a_bootstrap_of_no_files_has_no_interval():
    assert np.isnan(interval(np.zeros(3), [], [np.arange(3)])).all()
