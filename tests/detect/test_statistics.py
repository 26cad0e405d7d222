"""Statistics see how pixels were made, not what they show."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from assay.detect.statistics import describe, names


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(7)
    smooth = gaussian_filter(rng.normal(size=(192, 192, 3)), (6, 6, 0)) * 300 + 120
    return np.clip(smooth + rng.normal(scale=4, size=smooth.shape), 0, 255).astype(np.uint8)


def value(picture, name):
    return float(describe(picture[None])[0][names().index(name)])


def test_each_number_has_a_name_and_none_is_lost(scene):
    assert len(names()) == len(set(names())) == describe(scene[None]).shape[1]
    assert describe(scene[:0, :0][None][:0]).shape == (0, len(names()))


@pytest.mark.parametrize("picture", [np.zeros((64, 64, 3), np.uint8), np.full((64, 80, 3), 255, np.uint8)])
def test_nothing_is_infinite_on_flat_pictures(picture):
    assert np.isfinite(describe(picture[None])).all()


def test_mirrored_and_inverted_noise_counts_the_same(scene):
    """The classes of triples join what is read backwards and what is negative."""
    chosen = [n for n, name in enumerate(names()) if name.startswith("light") and "#" in name]
    one, other = describe(np.stack([scene, scene[:, ::-1]]))[:, chosen]
    assert np.abs(one - other).max() < 0.01


def test_an_enlarged_picture_lacks_fine_detail(scene):
    big = np.asarray(Image.fromarray(scene[:96, :96]).resize((192, 192), Image.Resampling.BICUBIC))
    assert value(big, "light ring 24") < value(scene, "light ring 24") - 1
    assert value(big, "doubled") < value(scene, "doubled")


def test_the_blocks_of_jpeg_are_seen_and_only_where_they_are(scene):
    memory = io.BytesIO()
    Image.fromarray(scene).save(memory, "JPEG", quality=30)
    coded = np.asarray(Image.open(memory))
    assert value(coded, "blocks of columns") > value(scene, "blocks of columns") + 0.2
    assert value(np.roll(coded, 3, 1), "blocks of columns") < value(coded, "blocks of columns") - 0.2


def test_nearest_enlargement_leaves_a_peak(scene):
    doubled = scene[:96, :96].repeat(2, 0).repeat(2, 1)
    assert value(doubled, "noise lag 0,1") > value(scene, "noise lag 0,1") + 0.3
