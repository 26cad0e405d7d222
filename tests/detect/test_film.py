"""What the detector of films looks at, what it is silent about, and what can be learned from its numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from assay.detect.calibrate import Line
from assay.detect.film.bursts import APART, MOST, seen
from assay.detect.film.detector import CHANGES_MODEL, CONDITION, open_films
from assay.detect.film.features import CHANGES, changes
from assay.detect.panels import read_fusion, write_fusion
from assay.detect.store import SHIPPED, Store
from assay.provenance.errors import ConfigurationError
from assay.provenance.media import Kind, Media
from assay.provenance.opinion import Answered

RATE = 24


def texture(seed=0, side=(200, 260)):
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(*side, 3)), (4, 4, 0)) * 300 + 120
    return np.clip(smooth + rng.normal(scale=3, size=smooth.shape), 0, 255).astype(np.uint8)


def moving(seconds=3.0, step=2, seed=0, rate=RATE):
    """Return a film of a texture that moves by ``step`` pixels a frame."""
    whole = texture(seed)
    frames = [
        (Fraction(n, rate), np.ascontiguousarray(np.roll(whole, n * step, 1)))
        for n in range(int(seconds * rate))
    ]
    return Media.film(frames, Fraction(rate))


def test_bursts_are_spread_over_the_film_and_their_frames_lie_apart():
    film = moving(6.0, step=1)
    found = seen(film)
    assert not found.reason
    assert len(found.bursts) == MOST
    assert [b.start for b in found.bursts] == sorted(b.start for b in found.bursts)
    assert found.bursts[0].start == 0
    assert found.bursts[-1].stop == pytest.approx(6.0)
    times = {frame.tobytes(): float(at) for at, frame in film.timed()}
    for burst in found.bursts:
        first, second, third = (times[frame.tobytes()] for frame in burst.frames)
        assert second - first >= APART
        assert third - second >= APART
        assert burst.start <= second <= burst.stop


def test_a_film_is_looked_at_in_its_own_rate_only_where_that_is_slow():
    slow = seen(moving(3.0, rate=6)).bursts[0].frames
    fast = seen(moving(3.0, rate=48)).bursts[0].frames
    assert np.array_equal(slow[1], np.roll(slow[0], 2, 1))
    assert np.array_equal(fast[1], np.roll(fast[0], 12, 1))


@pytest.mark.parametrize(
    ("film", "code"),
    [
        (moving(0.5), "too-short"),
        (moving(3.0, step=0), "still"),
        (
            Media.film([(Fraction(n, RATE), texture(side=(100, 260))) for n in range(60)], Fraction(RATE)),
            "too-small",
        ),
        (
            Media(Kind.VIDEO, lambda start, stop: iter(()), Fraction(RATE), Fraction(4), (200, 260, 3)),
            "no-frames",
        ),
    ],
    ids=["short", "still", "small", "empty"],
)
def test_what_cannot_be_judged_has_a_reason(film, code):
    found = seen(film)
    assert found.bursts == ()
    assert found.reason.startswith(f"{code}: ")


def test_every_number_is_finite_on_odd_frames():
    rng = np.random.default_rng(1)
    odd = [
        np.zeros((3, 128, 128, 3), np.uint8),
        np.full((3, 128, 900, 3), 255, np.uint8),
        rng.integers(0, 256, (3, 131, 129, 3)).astype(np.uint8),
        np.stack([np.zeros((128, 128, 3)), np.full((128, 128, 3), 255), np.zeros((128, 128, 3))]).astype(
            np.uint8
        ),
    ]
    for frames in odd:
        values = changes(frames)
        assert values.dtype == np.float32
        assert values.shape == (len(CHANGES),)
        assert np.isfinite(values).all()


def test_changes_tell_steady_motion_from_flicker():
    whole = texture(3)
    rng = np.random.default_rng(0)
    steady = np.stack([np.roll(whole, 2 * n, 1) for n in range(3)])
    shake = np.stack([whole, np.roll(whole, 5, 0), whole])
    boil = np.clip(whole + rng.normal(scale=25, size=(3, *whole.shape)), 0, 255).astype(np.uint8)
    one, two, three = (dict(zip(CHANGES, changes(f).tolist(), strict=True)) for f in (steady, shake, boil))
    assert two["bend"] < one["bend"]  # back to where it was: the path turns round
    assert two["second over first"] > one["second over first"]
    assert one["left by a shift"] < three["left by a shift"]
    assert three["noise stays"] < 0.3


def boiling(seed, boil):
    """Return a burst of a moving texture, with coarse blotches that change from frame to frame."""
    rng = np.random.default_rng(seed)
    whole = texture(seed, (128, 160))
    frames = np.stack([np.roll(whole, 2 * n, 1) for n in range(3)]).astype(float)
    blotches = gaussian_filter(rng.normal(size=frames.shape), (0, 5, 5, 0)) * 12 / 0.06
    return np.clip(frames + boil * blotches, 0, 255).astype(np.uint8)


def test_ridge_learns_what_sources_have_in_common():
    pytest.importorskip("torch")
    from assay.detect.film.lesson import held_out

    fake = np.array([n % 2 == 1 for n in range(48)])
    sources = [f"s{n % 8}" for n in range(48)]
    values = np.stack([changes(boiling(n, 0.5 * f)) for n, f in enumerate(fake)])
    said = held_out(values, fake, sources, 1.0)
    assert np.mean(said[fake][:, None] > said[~fake]) > 0.9
    rng = np.random.default_rng(0)
    noise = held_out(rng.normal(size=(48, 400)), fake, sources, 1.0)
    assert 0.2 < np.mean(noise[fake][:, None] > noise[~fake]) < 0.8  # nothing is learned from nothing


def test_the_network_learns_films_that_flicker():
    torch = pytest.importorskip("torch")
    from assay.detect.film.lesson import Drill, taught

    rng = np.random.default_rng(0)
    fake = np.arange(24) % 2 == 1
    films = np.repeat(rng.integers(60, 200, (24, 1, 32, 32, 3)), 3, 1)
    films[fake] += rng.integers(-50, 50, (12, 3, 32, 32, 3))
    losses = []
    model = taught(
        films.astype(np.uint8),
        fake,
        np.ones(24),
        Drill(steps=160, batch=16, width=4, hidden=8, rate=1e-2),
        lambda _, v: losses.append(v),
    )
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    with torch.no_grad():
        said = model(torch.from_numpy(films.astype(np.float32)).permute(0, 1, 4, 2, 3) / 255).numpy()
    assert np.mean(said[fake][:, None] > said[~fake]) > 0.9


@pytest.fixture(scope="module")
def panel():
    return open_films(Store(), lambda: 0.0)


def test_an_opinion_of_a_film_is_bounded_and_resolved_in_time(panel):
    opinion = panel.examine_media(moving(6.0, step=1))
    assert {part.detector for part in opinion.parts} == {CHANGES_MODEL, "view"}
    assert opinion.conditions["bursts"] == MOST
    if opinion.answered is Answered.OK:
        line = panel.fusion.lines[opinion.conditions["condition"]]
        assert abs(opinion.llr) <= line.bound
        assert opinion.calibration.bound == line.bound
        assert opinion.says
    else:
        assert opinion.reason
    starts = [moment.start for moment in opinion.moments]
    assert starts == sorted(starts)
    assert all(0 <= moment.score <= 1 for moment in opinion.moments)
    assert opinion.to_json()["moments"] == [moment.to_json() for moment in opinion.moments]


def test_a_film_of_another_kind_of_file_than_calibrated_or_too_short_is_answered_with_silence(panel):
    short = panel.examine_media(moving(0.5))
    assert short.answered is Answered.NOT_APPLICABLE
    assert short.reason.startswith("too-short")
    assert short.llr is None
    bare = replace(panel, fusion=replace(panel.fusion, lines={}))
    assert "not calibrated" in bare.examine_media(moving(3.0)).reason


def test_parts_that_contradict_each_other_are_no_opinion(panel):
    film = halves()
    logits = panel.follower.run(np.stack([changes(b.frames) for b in seen(film).bursts])).astype(float)
    assert (
        logits[: MOST // 2].max() < logits[MOST // 2 :].min()
        or logits[: MOST // 2].min() > logits[MOST // 2 :].max()
    )
    sharp = replace(
        panel.fusion,
        weights={CHANGES_MODEL: 100.0},
        intercept=-100.0 * float(logits.mean()),
        lines={CONDITION: Line(1.0, 0.0, 1.0, 9, 9, 99)},
    )
    opinion = replace(panel, fusion=sharp).examine_media(film)
    assert opinion.answered is Answered.NOT_APPLICABLE
    assert opinion.reason == "its parts disagree"
    assert opinion.score is None
    assert len(opinion.moments) == MOST


def halves():
    """Return 6 seconds: first a texture that moves calmly, then noise."""
    whole = texture(1, (128, 160))
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (12, 128, 160, 3)).astype(np.uint8)
    frames = [np.roll(whole, n // 2, 1) if n < 72 else noise[n % 12] for n in range(144)]
    return Media.film([(Fraction(n, RATE), frame) for n, frame in enumerate(frames)], Fraction(RATE))


def test_a_panel_of_other_weights_or_of_pictures_is_refused(tmp_path):
    fusion = read_fusion(SHIPPED / "film.json", "video")
    write_fusion(tmp_path / "other.json", replace(fusion, digests={CHANGES_MODEL: "0" * 64}), "video")
    with pytest.raises(ConfigurationError, match="other weights"):
        open_films(Store(), lambda: 0.0, tmp_path / "other.json")
    with pytest.raises(ConfigurationError, match="for video"):
        open_films(Store(), lambda: 0.0, SHIPPED / "panel.json")
