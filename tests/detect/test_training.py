"""A training, whole: what is reserved stays out, no source is split, and the written network says what torch says."""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.ndimage import gaussian_filter

pytest.importorskip("torch")

from assay.cli.main import assay
from assay.detect.card import Card
from assay.detect.panels import open_panel, read_fusion
from assay.detect.store import Store, read_card
from assay.detect.train.data import Item, difference_hash, weights
from assay.detect.train.folds import folds
from assay.provenance.errors import UsageError
from assay.provenance.subject import Subject

RECIPE = """
name = "tiny"
architecture = "statistics"
folds = 3
[vectors]
journeys = 1
[course]
steps = 120
batch = 64
"""
SOURCES = 5
EACH = 6


def camera(rng):
    """Smooth scenes with the noise of a sensor."""
    scene = gaussian_filter(rng.normal(size=(260, 300, 3)), (5, 5, 0)) * 250 + 120
    return np.clip(scene + rng.normal(scale=5, size=scene.shape), 0, 255).astype(np.uint8)


def generator(rng):
    """The same at half the size, enlarged: what a decoder's upsampling leaves."""
    small = Image.fromarray(camera(rng)[:130, :150])
    return np.asarray(small.resize((300, 260), Image.Resampling.BILINEAR))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(11)
    rows = []
    for label, make in (("real", camera), ("fake", generator)):
        for source in range(SOURCES):
            for n in range(EACH):
                path = folder / f"{label}{source}-{n}.png"
                Image.fromarray(make(rng)).save(path)
                rows.append(
                    [
                        path.name,
                        label,
                        f"{label}{source}",
                        "Midjourney v6" if (label, source, n) == ("fake", 0, 0) else "",
                    ]
                )
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "source", "generator"], *rows])
    reserved = difference_hash(np.asarray(Image.open(folder / "real1-2.png")))
    (folder / "reserved.json").write_text(json.dumps({"dhash": [f"{int(reserved) ^ 0b101:016x}"]}))
    (folder / "recipe.toml").write_text(RECIPE)
    arguments = [
        "detect",
        "train",
        str(folder / "recipe.toml"),
        "--data",
        str(folder / "index.csv"),
        "--json",
    ]
    arguments += ["--into", str(folder / "out"), "--reserved", str(folder / "reserved.json"), "--jobs", "1"]
    result = CliRunner().invoke(assay, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


def test_what_is_reserved_is_left_out(trained):
    folder, said = trained
    assert said["items"] == 2 * SOURCES * EACH - 2
    assert said["left_out"]["of a generator reserved for measuring"] == 1
    assert said["left_out"]["within 5 bits of a reserved picture"] == 1
    assert "real1-2.png" not in (folder / "out" / "held-out.csv").read_text()


def test_no_source_is_split_and_unknown_ones_are_told_apart(trained):
    folder, _ = trained
    with (folder / "out" / "held-out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    of = defaultdict(set)
    for row in rows:
        of[row["source"]].add(row["fold"])
    assert all(len(numbers) == 1 for numbers in of.values())
    real, fake = ([float(r["raw"]) for r in rows if r["label"] == label] for label in ("real", "fake"))
    assert np.mean([f > r for f in fake for r in real]) > 0.95


def test_the_card_says_what_it_was_made_of_and_the_network_runs(trained, tmp_path):
    folder, _ = trained
    card, data = read_card(folder / "out" / "card.json")
    assert isinstance(card, Card)
    assert {s.name: (s.real, s.fake) for s in card.sources}["real1"] == (EACH - 1, 0)
    assert card.calibration.lines["small"].bound == pytest.approx(np.log10(SOURCES + 1))
    store = Store(tmp_path)
    store.add(card, data)
    (tmp_path / "panel.json").write_bytes((folder / "out" / "panel.json").read_bytes())
    panel = open_panel(store, lambda: 0.0)
    scores = {}
    for name in ("real3-1.png", "fake3-1.png"):
        with Subject.open(folder / name) as subject:
            opinion = panel.examine(subject.picture())
        scores[name] = opinion.score
        assert opinion.llr == pytest.approx(-np.log10(opinion.score / (1 - opinion.score)), abs=1e-6)
    assert scores["real3-1.png"] < 0.4 < 0.6 < scores["fake3-1.png"]
    assert read_fusion(folder / "out" / "panel.json").alarms


NETWORK = """
name = "residual-tiny"
architecture = "residual"
folds = 2
[settings]
width = 4
depth = 1
[cut]
side = 96
each = 2
[drill]
steps = 4
batch = 4
[draw]
side = 64
quality = 90
"""


def test_a_network_is_trained_by_the_same_command_and_trainings_are_fused(trained, tmp_path):
    folder, _ = trained
    (tmp_path / "network.toml").write_text(NETWORK)
    train = ["detect", "train", str(tmp_path / "network.toml"), "--data", str(folder / "index.csv"), "--json"]
    result = CliRunner().invoke(
        assay, [*train, "--into", str(tmp_path / "network"), "--jobs", "1"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    card, _ = read_card(tmp_path / "network" / "card.json")
    assert (card.family, card.settings["members"], card.input.quality) == ("residual", 2, 90)
    assert card.measured[0].value < 1e-4
    panel = tmp_path / "panel.json"
    both = [str(folder / "out"), str(tmp_path / "network")]
    result = CliRunner().invoke(
        assay, ["detect", "fuse", *both, "--into", str(panel), "--name", "both"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    fusion = read_fusion(panel)
    assert fusion.id == "both"
    assert set(fusion.weights) == {"tiny", "residual-tiny"}
    # What learned nothing in four steps gets less say than what did.
    assert fusion.weights["tiny"] > fusion.weights["residual-tiny"] >= 0
    assert fusion.digests["residual-tiny"] == card.weights.sha256
    assert "worst source" in result.stdout


def test_trainings_of_other_pictures_are_not_fused(trained, tmp_path):
    folder, _ = trained
    other = tmp_path / "other"
    shutil.copytree(folder / "out", other)
    text = (other / "held-out.csv").read_text()
    (other / "held-out.csv").write_text(text.replace(str(folder), "/elsewhere"))
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps({**card, "name": "other"}))
    result = CliRunner().invoke(
        assay, ["detect", "fuse", str(folder / "out"), str(other), "--into", str(tmp_path / "p.json")]
    )
    assert isinstance(result.exception, UsageError)
    assert "no pictures in common" in str(result.exception)


def test_folds_hold_both_labels_and_weights_are_even():
    items = [
        Item(None, fake, f"{fake}{s}") for fake in (False, True) for s in range(7) for _ in range(10 * s + 1)
    ]
    number = folds(items, 3)
    for fold in range(3):
        assert {items[n].fake for n in np.flatnonzero(number == fold)} == {False, True}
    each = weights(items)
    assert each.sum() == pytest.approx(1)
    assert each[[i.fake for i in items]].sum() == pytest.approx(0.5)
    alone, crowd = (
        sum(w for w, i in zip(each, items, strict=True) if i.source == f"True{s}") for s in (0, 6)
    )
    assert alone * 61**0.5 == pytest.approx(crowd)
