"""The attacks do what their names say, to the picture they are given and to no other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import UsageError
from assay.watermark.trial.attacks import ATTACKS, chosen
from assay.watermark.trial.changes import covering
from assay.watermark.trial.filters import luma, psnr, ssim

SEED = b"photograph 1"
RANDOM = {"crop50", "crop10", "noise5", "overlay10", "jpeg_x10", "vae_like", "bright1.2+crop50+jpeg50"}


@pytest.fixture(scope="module")
def small(photo):
    return np.asarray(Image.fromarray(photo("astronaut.png")).resize((201, 150)))


def did(name, picture, seed=SEED):
    return ATTACKS[name](picture, seed)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_gives_a_picture_spares_its_input_and_repeats_itself(name, small):
    before = small.copy()
    after = did(name, small)
    assert after.dtype == np.uint8
    assert after.ndim == 3
    assert after.shape[2] == 3
    assert np.array_equal(small, before)
    assert np.array_equal(after, did(name, small))
    assert name == "none" or after.shape != small.shape or psnr(small, after) < 60
    assert "," not in name


def test_chance_is_a_photograph_s_own_and_an_attack_s_own(small):
    for name in RANDOM:
        assert not np.array_equal(did(name, small), did(name, small, b"photograph 2")), name
    assert not np.array_equal(did("crop50", small), did("hflip+crop50+jpeg75", small)[:, ::-1])


def test_what_platforms_and_editors_do_is_in_the_table():
    must = {f"jpeg{q}" for q in (90, 75, 50, 30, 20, 15)} | {"webp80", "webp50", "avif50"}
    must |= {f"resize{s}" for s in ("0.33", "0.5", "0.75", "1.5", "2")} | {
        "aspect0.9",
        "aspect1.1",
        "downup0.5",
    }
    must |= {f"crop{s}" for s in (75, 50, 25, 10)} | {"crop50back", "crop25back"}
    must |= {f"rot{a}" for a in (1, 2, 3, 5, 10, 17, 33, 45, 90, 137, 180)}
    must |= {f"rot{a}in" for a in (1, 2, 3, 5, 10, 17, 33, 45, 137)}
    must |= {"hflip", "vflip", "hflip+rot90", "gray", "blur1", "noise10", "median3", "sharpen", "overlay10"}
    must |= {f"{kind}{f}" for kind in ("bright", "contrast", "sat", "gamma") for f in (0.7, 1.3)}
    must |= {"screenshot", "screen_ui", "social", "social_hard"}
    must |= {"crop50+resize0.7+jpeg60", "rot3in+jpeg75", "rot3+jpeg75", "bright1.2+crop50+jpeg50"}
    assert {name for name, row in ATTACKS.items() if row.goal} == must | {"none", "noise5"} | {
        f"resize{s}" for s in ("0.4", "0.61", "0.9", "1.25")
    }
    assert len(ATTACKS) >= 53


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("resize0.5", 0.25),
        ("resize2", 4.0),
        ("aspect1.1", 1.1),
        ("crop25", 0.25),
        ("crop10", 0.1),
        ("crop25back", 1),
    ],
)
def test_sizes_and_crops_keep_the_area_they_name(name, area, small):
    after = did(name, small)
    assert after.shape[0] * after.shape[1] == pytest.approx(small.shape[0] * small.shape[1] * area, rel=0.04)
    if area <= 1 and "crop" in name:
        assert after.shape[1] / after.shape[0] == pytest.approx(201 / 150, rel=0.03)


def test_a_crop_is_a_part_of_the_picture(small):
    after = did("crop50", small)
    height, width = after.shape[:2]
    places = np.lib.stride_tricks.sliding_window_view(small, (height, width, 3))
    assert any(np.array_equal(place, after) for place in places.reshape(-1, height, width, 3))


@pytest.mark.parametrize("angle", [1, 2, 3, 5, 10, 17, 33, 45, 137])
def test_the_inscribed_part_of_a_turn_has_no_corner_and_is_as_large_as_can_be(angle):
    white = np.full((300, 400, 3), 255, np.uint8)
    assert did(f"rot{angle}", white)[0, 0].max() == 0
    inside = did(f"rot{angle}in", white)
    assert inside.min() >= 250
    turn = math.radians(angle)
    c, s = abs(math.cos(turn)), abs(math.sin(turn))
    best = min(400 / (400 * c + 300 * s), 300 / (400 * s + 300 * c))
    assert inside.shape[1] >= int(400 * best) - 1


def test_turns_turn_the_way_their_angle_says(small):
    """Bicubic turns agree with OpenCV's about the same centre, inside."""
    cv2 = pytest.importorskip("cv2")
    height, width = small.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 10, 1)
    theirs = cv2.warpAffine(small, matrix, (width, height), flags=cv2.INTER_CUBIC)
    inner = slice(40, -40)
    assert psnr(did("rot10", small)[inner, inner], theirs[inner, inner]) > 40
    assert np.array_equal(did("rot180", small), small[::-1, ::-1])
    assert np.array_equal(did("rot90", small), np.rot90(small))


def test_filters_agree_with_opencv(small):
    cv2 = pytest.importorskip("cv2")
    inner = slice(10, -10)
    pairs = {
        "blur1": cv2.GaussianBlur(small, (0, 0), 1.0),
        "blur2": cv2.GaussianBlur(small, (0, 0), 2.0),
        "median3": cv2.medianBlur(small, 3),
        "median5": cv2.medianBlur(small, 5),
        "sharpen": cv2.addWeighted(small, 1.6, cv2.GaussianBlur(small, (0, 0), 1.5), -0.6, 0),
    }
    for name, theirs in pairs.items():
        difference = np.abs(did(name, small)[inner, inner].astype(int) - theirs[inner, inner])
        assert difference.max() <= 2, name


def test_strips_leave_no_seams(photo):
    """A picture of several strips is filtered as if it were one."""
    from scipy import ndimage

    tall = np.asarray(Image.fromarray(photo("chelsea.png")).resize((60, 1100)))
    whole = ndimage.gaussian_filter(tall.astype(np.float32), (2, 2, 0), radius=8)
    assert np.abs(did("blur2", tall) - whole).max() <= 0.51
    for name in ("nlm", "bilateral"):
        part = did(name, np.ascontiguousarray(tall[400:]))
        assert np.array_equal(did(name, tall)[500:], part[100:]), name


def test_light_and_colour_change_what_they_name(small):
    grey = did("gray", small)
    assert (grey == grey[..., :1]).all()
    assert np.abs(luma(did("sat0.7", small)) - luma(small)).mean() < 1
    assert luma(did("bright0.7", small)).mean() == pytest.approx(0.7 * luma(small).mean(), rel=0.01)
    assert luma(did("contrast0.7", small)).std() == pytest.approx(0.7 * luma(small).std(), rel=0.01)
    assert luma(did("gamma0.7", small)).mean() > luma(small).mean() > luma(did("gamma1.3", small)).mean()
    noisy = did("noise10", np.full((200, 200, 3), 128, np.uint8)).astype(float)
    assert noisy.std() == pytest.approx(10, rel=0.03)


def test_denoisers_remove_noise_and_keep_edges():
    clean = np.full((120, 120, 3), 60, np.uint8)
    clean[:, 60:] = 190
    noisy = np.clip(clean + np.random.default_rng(1).normal(0, 4, clean.shape), 0, 255).astype(np.uint8)
    for name, gain in (("nlm", 4.0), ("bilateral", 4.0)):
        assert psnr(clean, did(name, noisy)) > psnr(clean, noisy) + gain
    assert psnr(clean, did("nlm", noisy)) > psnr(clean, did("blur1", noisy)) + 3


def test_lower_quality_is_lower(photo):
    picture = photo("chelsea.png")
    steps = [psnr(picture, did(f"jpeg{q}", picture)) for q in (90, 75, 50, 30, 20, 15)]
    assert steps == sorted(steps, reverse=True)
    assert psnr(picture, did("webp50", picture)) < psnr(picture, did("webp80", picture))


def test_platforms_shrink_only_what_is_wider(small, photo):
    assert did("social", small).shape == small.shape
    wide = np.asarray(Image.fromarray(photo("chelsea.png")).resize((1500, 1000)))
    assert did("social", wide).shape == (720, 1080, 3)
    assert did("social_hard", wide).shape == (480, 720, 3)


def test_ssim_and_psnr_are_scikit_image_s(photo):
    metrics = pytest.importorskip("skimage.metrics")
    tall = np.asarray(Image.fromarray(photo("coffee.png")).resize((173, 1201)))
    for picture in (tall, photo("chelsea.png")):
        for name in ("jpeg30", "noise10", "bright0.7"):
            other = did(name, picture)
            planes = [p.astype(np.float64) @ (0.299, 0.587, 0.114) for p in (picture, other)]
            theirs = metrics.structural_similarity(
                *planes, data_range=255.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
            assert ssim(picture, other) == pytest.approx(theirs, abs=1e-6)
            assert psnr(picture, other) == pytest.approx(
                metrics.peak_signal_noise_ratio(picture, other), abs=1e-3
            )
    assert ssim(tall, tall) == pytest.approx(1)
    assert math.isinf(psnr(tall, tall))
    assert math.isnan(ssim(tall[:8], tall[:8]))


def test_covering_fills_the_frame_without_stretching(photo):
    picture = photo("astronaut.png")
    wide = covering(picture, 300, 100)
    assert wide.shape == (100, 300, 3)
    middle = picture[171:341]
    assert psnr(wide, np.asarray(Image.fromarray(middle).resize((300, 100), Image.Resampling.LANCZOS))) > 25


def test_lists_of_attacks_name_groups_and_beginnings():
    assert chosen("") == tuple(ATTACKS)
    assert chosen("jpeg50, none") == ("jpeg50", "none")
    assert set(chosen("crops")) == {"crop75", "crop50", "crop25", "crop10", "crop50back", "crop25back"}
    assert "jpeg_x10" in chosen("jpeg*")
    assert chosen("jpeg50,jpeg50") == ("jpeg50",)
    with pytest.raises(UsageError, match="jpeg51"):
        chosen("jpeg51")
