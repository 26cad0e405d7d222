"""Crop networks: what is cut, what a journey leaves, and a training that goes on where it was stopped."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

pytest.importorskip("torch")

from assay.detect.card import WHOLE
from assay.detect.train import loop
from assay.detect.train.cuttings import Cut, gathered
from assay.detect.train.data import Item, weights
from assay.detect.train.lesson import Draw, batches, travelled
from assay.detect.train.loop import Drill, Lesson, drilled
from assay.detect.train.reconstruct import Pairs
from assay.provenance.errors import InputError

DRILL = Drill(steps=5, batch=4, half=False, seed=3, draw=Draw(side=64))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng, items = np.random.default_rng(2), []
    for number in range(4):
        scene = gaussian_filter(rng.normal(size=(300, 320, 3)), (3, 3, 0)) * 200 + 120
        path = folder / f"{number}.png"
        Image.fromarray(np.clip(scene + rng.normal(scale=4, size=scene.shape), 0, 255).astype(np.uint8)).save(
            path
        )
        items.append(Item(path, number % 2 == 1, f"source{number}"))
    narrow = folder / "narrow.png"
    Image.new("RGB", (600, 130), (90, 90, 90)).save(narrow)
    items.append(Item(narrow, False, "narrow"))
    return items


@pytest.fixture(scope="module")
def cuttings(pictures, tmp_path_factory):
    return gathered(pictures, Cut(side=128, each=2), tmp_path_factory.mktemp("cache"), 1, lambda number: None)


@pytest.fixture
def lesson(pictures, cuttings):
    return Lesson(
        cuttings, np.array([i.fake for i in pictures]), weights(pictures) * cuttings.usable("native")
    )


def test_a_picture_smaller_than_a_cutting_has_none_and_still_a_view(cuttings):
    assert cuttings.counts.tolist() == [4, 4, 4, 4, 0]
    assert cuttings.usable("native").tolist() == [True] * 4 + [False]
    assert cuttings.usable(WHOLE).all()
    assert max(cuttings.view(4).shape) == 288


def test_what_is_cut_is_cut_once(pictures, cuttings):
    folder = cuttings.paths[0].parent
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    again = gathered(pictures, Cut(side=128, each=2), folder, 1, lambda number: None)
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before
    assert (again.hashes == cuttings.hashes).all()
    assert (again.all(1) == cuttings.all(1)).all()


def test_one_journey_is_the_same_for_a_picture_and_its_reconstruction(cuttings):
    cutting = cuttings.one(0, 0)
    draws = [travelled(cutting, DRILL.draw, np.random.default_rng(n)) for n in (1, 1, 2)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()
    assert draws[0].shape == (64, 64, 3)


def test_a_reconstruction_follows_its_picture_and_only_real_ones_have_one(cuttings, lesson):
    asked = []

    def again(item, number):
        asked.append(item)
        return cuttings.one(item, number)

    found = list(batches(cuttings, lesson.fake, lesson.weight, DRILL.draw, 6, (1,), 0, 3, again))
    assert asked
    assert not lesson.fake[asked].any()
    for batch in found:
        real = np.flatnonzero(batch.labels == 0)
        for place in real[real < len(batch.labels) - 1]:
            assert batch.labels[place + 1] == 1
            assert (batch.crops[place] == batch.crops[place + 1]).all()


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "EVERY", 2)

    def stop(step, loss):
        if step == 3:
            raise KeyboardInterrupt

    settings = {"width": 4, "depth": 1}
    whole = drilled(
        "residual", settings, lesson, DRILL, tmp_path / "whole.safetensors", lambda step, loss: None
    )
    with pytest.raises(KeyboardInterrupt):
        drilled("residual", settings, lesson, DRILL, tmp_path / "part.safetensors", stop)
    steps = []
    part = drilled(
        "residual",
        settings,
        lesson,
        DRILL,
        tmp_path / "part.safetensors",
        lambda step, loss: steps.append(step),
    )
    assert steps == [3, 4, 5]
    for one, other in zip(whole.state_dict().values(), part.state_dict().values(), strict=True):
        assert np.allclose(one.numpy(), other.numpy(), atol=1e-6)
    assert (tmp_path / "part.jsonl").read_text().count("loss") == 3


def test_a_checkpoint_of_another_training_is_refused(lesson, tmp_path):
    place, quiet = tmp_path / "one.safetensors", lambda step, loss: None
    drilled("residual", {"width": 4, "depth": 1}, lesson, DRILL, place, quiet)
    with pytest.raises(InputError, match="of another training"):
        drilled("residual", {"width": 8, "depth": 1}, lesson, DRILL, place, quiet)


def test_a_pair_is_made_once_and_only_the_first_cuttings_have_one(cuttings):
    calls = []

    class Darker:
        """Stands where an autoencoder does; the real ones are in test_reconstruct.py."""

        def reconstructed(self, batch):
            calls.append(len(batch))
            return batch // 2

    pairs = Pairs(cuttings, [Darker()], 1, seed=5)
    one, other = pairs(2, 0), pairs(2, 0)
    assert calls == [1]
    assert (one == other).all()
    assert (one == cuttings.one(2, 0) // 2).all()
    assert pairs(2, 1) is None
