"""The enemy is strong enough to mean something: it forges and erases a plain periodic mark, from one picture."""

from __future__ import annotations

import numpy as np
import pytest

from assay.watermark.trial import forgery
from assay.watermark.trial.attacks import generator
from assay.watermark.trial.changes import covering, plane_to_size
from assay.watermark.trial.filters import luma, psnr

PERIOD = 64


class Plain:
    """One keyed tile, the same everywhere: what the facts call trivially forged."""

    def __init__(self, shape):
        from scipy import ndimage

        tile = ndimage.gaussian_filter(
            np.random.default_rng(7).normal(size=(PERIOD, PERIOD)), 1.2, mode="wrap"
        )
        whole = np.tile(tile / tile.std(), (16, 16))
        self.mark = (forgery.NOISE * whole[: shape[0], : shape[1]]).astype(np.float32)

    def embed(self, picture):
        return forgery.added(picture, self.mark, 1, generator(b"", "embed"))

    def score(self, picture):
        """Standard deviations by which the mark stands out of a picture."""
        seen = forgery.suspected(picture)
        return float((seen * self.mark).sum() / (seen.std() * np.linalg.norm(self.mark)))

    def reads(self, picture):
        return self.score(picture) > 8


@pytest.fixture(scope="module")
def pictures(photo):
    return [covering(photo(name), 900, 600) for name in ("coffee.png", "chelsea.png", "rocket.jpg")]


@pytest.fixture(scope="module")
def plain(pictures):
    return Plain(forgery.suspected(pictures[0]).shape)


def test_the_plain_mark_is_a_mark(plain, pictures):
    for picture in pictures:
        assert plain.reads(plain.embed(picture))
        assert not plain.reads(picture)
        assert 44 < psnr(picture, plain.embed(picture)) < 47


def test_the_period_of_a_plain_mark_is_found(plain, pictures):
    for picture in pictures:
        assert forgery.likely_period(forgery.suspected(plain.embed(picture))) in (
            PERIOD,
            2 * PERIOD,
            3 * PERIOD,
        )
        assert forgery.likely_period(forgery.suspected(picture)) not in (PERIOD, 2 * PERIOD)


def test_folding_forges_a_plain_mark_from_one_picture(plain, pictures):
    source, target = plain.embed(pictures[0]), pictures[1]
    tile = forgery.folded(forgery.suspected(source), PERIOD)
    forged = forgery.added(target, tile, forgery.NOISE / tile.std(), generator(b"", "forge"))
    assert plain.reads(forged)
    assert psnr(target, forged) > 42
    wrong = forgery.folded(forgery.suspected(source), PERIOD + 3)
    assert not plain.reads(forgery.added(target, wrong, forgery.NOISE / wrong.std(), generator(b"", "forge")))


def test_folding_erases_a_plain_mark_for_little(plain, pictures):
    original = pictures[0]
    marked = plain.embed(original)
    tile = forgery.folded(forgery.suspected(marked), PERIOD)
    rng = generator(b"", "remove")
    unit = forgery.NOISE / tile.std()
    cheap = forgery.removed(
        marked, original, lambda g: forgery.added(marked, tile, -g * unit, rng), plain.reads
    )
    assert cheap.gain is not None
    assert cheap.cost > psnr(original, marked) - 3
    noise = rng.standard_normal(tile.shape, np.float32) * forgery.NOISE
    dear = forgery.removed(marked, original, lambda g: forgery.added(marked, noise, g, rng), plain.reads)
    assert dear.gain is None or dear.cost < cheap.cost - 6


def test_hidden_lines_are_found_and_taken_out(pictures):
    original = pictures[2]
    height, width = forgery.suspected(original).shape
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    rng = np.random.default_rng(5)
    places = [(int(rng.integers(-200, 200)), int(rng.integers(60, 200))) for _ in range(60)]
    tones = sum(np.cos(2 * np.pi * (r * rows + c * columns) / 1024 + rng.uniform(0, 6)) for r, c in places)
    tones = (forgery.NOISE * tones / tones.std()).astype(np.float32)
    marked = forgery.added(original, tones, 1, generator(b"", "tones"))
    found = forgery.lines(forgery.suspected(marked))
    assert np.corrcoef(found.ravel(), tones.ravel())[0, 1] > 0.5
    assert abs(np.corrcoef(forgery.lines(forgery.suspected(original)).ravel(), tones.ravel())[0, 1]) < 0.1


def test_a_transplant_moves_every_sample_of_the_change(pictures):
    source, target = pictures[0], np.clip(pictures[1], 30, 220)
    marked = np.clip(
        source.astype(int) + np.random.default_rng(1).integers(-3, 4, source.shape), 0, 255
    ).astype(np.uint8)
    forged = forgery.transplanted(target, marked, source, 2)
    assert np.array_equal(forged.astype(int) - target, 2 * (marked.astype(int) - source))


def test_what_was_added_is_seen_exactly_by_who_has_the_original(plain, pictures):
    seen = forgery.exact(plain.embed(pictures[0]), pictures[0])
    assert np.corrcoef(seen.ravel(), plain.mark.ravel())[0, 1] > 0.9
    averaged = forgery.mean(forgery.exact(plain.embed(p), p) for p in pictures)
    assert (
        np.corrcoef(averaged.ravel(), plain.mark.ravel())[0, 1]
        > np.corrcoef(seen.ravel(), plain.mark.ravel())[0, 1]
    )


@pytest.mark.parametrize("enough", [0.5, 1, 3, 8, 16])
def test_removal_finds_the_least_gain_that_is_enough(pictures, enough):
    original = pictures[0]
    tried = []

    def attack(gain):
        tried.append(gain)
        return np.clip(original.astype(int) + round(2 * gain), 0, 255).astype(np.uint8)

    limit = luma(attack(enough)).mean() - 0.1
    tried.clear()
    found = forgery.removed(original, original, attack, lambda p: luma(p).mean() < limit)
    assert found.gain == enough
    assert found.cost == pytest.approx(psnr(original, attack(enough)))
    assert len(tried) <= 6
    never = forgery.removed(original, original, attack, lambda p: True, gains=(1, 2))
    assert never.gain is None
    assert never.cost == pytest.approx(psnr(original, attack(2)))


def test_planes_keep_their_fractions_through_sizes():
    plane = np.random.default_rng(2).normal(0, 0.3, (30, 40)).astype(np.float32)
    there = plane_to_size(plane_to_size(plane, 60, 80), 30, 40)
    assert np.corrcoef(there.ravel(), plane.ravel())[0, 1] > 0.95
    assert plane_to_size(plane, 30, 40) == pytest.approx(plane)
