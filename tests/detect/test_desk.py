"""A desk's own calibration: false alarms counted by lines that did not know the source, refusals where it has few."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assay.detect.archive import Heard, archive
from assay.detect.calibrate import FEWEST_SOURCES
from assay.detect.desk import calibrated
from assay.detect.fuse import MOST_KEPT, fuse
from assay.detect.measure.collection import Sample
from assay.detect.panels import open_panel, read_fusion, write_fusion
from assay.detect.store import SHIPPED, Store
from assay.provenance.errors import ConfigurationError, InputError, MalformedError, UsageError

from .weights import card, network

SHA = {"good": "a" * 64, "more": "b" * 64}


def drawn(sources, each, mean=0.0, *, fake=False, seed=0, condition="fine", **others):
    """What a detector that is right by 1.5 units hears of so many pictures of so many sources."""
    rng = np.random.default_rng(seed)
    word = "f" if fake else "r"
    return [
        Heard(
            Sample(Path(f"{word}{s}/{n}.jpg"), fake, f"{word}{s}"),
            condition,
            {
                "good": float(rng.normal(mean + 1.5 * fake)),
                **{k: float(rng.normal(v)) for k, v in others.items()},
            },
        )
        for s in range(sources)
        for n in range(each)
    ]


def shipped(**changes):
    """A panel of one detector, calibrated on 30 sources of either kind in two conditions."""
    heard = [
        h
        for n, condition in enumerate(("fine", "small"))
        for fake in (False, True)
        for h in drawn(30, 60, fake=fake, seed=10 * n + fake, condition=condition)
    ]
    fusion = fuse(
        "shipped",
        {"good": np.array([h.logits["good"] for h in heard])},
        np.array([h.sample.synthetic for h in heard]),
        [h.sample.source for h in heard],
        [h.condition for h in heard],
    )
    return replace(fusion, **changes)


@pytest.fixture(scope="module")
def base():
    return shipped()


def test_an_archive_that_looks_generated_no_longer_does(base):
    """Photographs that the detector finds 1 unit too generated: false alarms fall to what the shipped sources had."""
    found = calibrated(drawn(12, 40, 1.0, seed=5), base, "desk", {"good": SHA["good"]})
    before, after = (np.mean([getattr(row, side)[0.3] for row in found.rows]) for side in ("before", "after"))
    assert before > 300
    assert after < 0.5 * before
    assert all(row.weighed_after == row.copies == 40 for row in found.rows)
    assert found.fusion.alarm(0.3).per_1000 == pytest.approx(after)
    assert not found.has_more_alarms
    assert found.fusion.weights == base.weights
    assert found.fusion.lines["fine"].real_sources == 12
    assert found.fusion.lines["fine"].bound == pytest.approx(np.log10(13))
    assert found.fusion.digests == {"good": SHA["good"]}


def test_false_alarms_are_counted_by_lines_that_did_not_know_the_source(base):
    """One odd source among few moves the line that it is part of: that line may not judge it."""
    heard = drawn(4, 40, seed=5) + [
        replace(h, sample=replace(h.sample, source="odd")) for h in drawn(1, 40, 2.5, seed=6)
    ]
    found = calibrated(heard, base, "desk", {"good": SHA["good"]})
    odd = next(row for row in found.rows if row.source == "odd")
    line = found.fusion.lines["fine"]
    knowing = 1000 * np.mean([line.log10(h.logits["good"]) >= 0.3 for h in heard if h.sample.source == "odd"])
    assert odd.after[0.3] > knowing
    assert found.fusion.alarm(0.3).worst_source == "odd"
    assert found.fusion.alarm(0.3).worst_per_1000 == pytest.approx(odd.after[0.3])


def test_an_archive_that_looks_more_real_gets_more_alarms_and_is_told_so(base):
    """The same scores now tell more for generated: that costs false alarms, which are counted and said."""
    found = calibrated(drawn(12, 40, -1.0, seed=5), base, "desk", {"good": SHA["good"]})
    before, after = (sum(getattr(row, side)[0.3] for row in found.rows) for side in ("before", "after"))
    assert after > before
    assert found.has_more_alarms


def test_what_is_kept_of_generated_pictures_stands_for_all_of_them(base):
    assert all(len(v) == MOST_KEPT for by in base.synthetic.values() for v in by.values())
    again = calibrated(drawn(30, 60, seed=0), base, "again", {"good": SHA["good"]}).fusion.lines["fine"]
    assert again.slope == pytest.approx(base.lines["fine"].slope, rel=0.05)
    assert again.intercept == pytest.approx(base.lines["fine"].intercept, abs=0.05)


def test_a_condition_with_too_few_sources_stays_as_it_was_and_says_no_false_alarms(base):
    heard = drawn(FEWEST_SOURCES, 30, seed=1) + drawn(FEWEST_SOURCES - 1, 30, 1.0, seed=2, condition="small")
    fusion = calibrated(heard, base, "desk", {"good": SHA["good"]}).fusion
    assert fusion.inherited == ("small",)
    assert fusion.lines["small"] == base.lines["small"]
    assert fusion.lines["fine"] != base.lines["fine"]


def test_detectors_of_one_s_own_are_fused_where_both_sides_are_given(base):
    real, fake = (drawn(8, 40, fake=f, seed=f, more=2.0 * f, noise=0.0) for f in (False, True))
    digests = {**SHA, "noise": "c" * 64}
    fusion = calibrated(real + fake, base, "desk", digests).fusion
    assert fusion.weights["more"] > fusion.weights["good"] > 10 * fusion.weights["noise"]
    assert fusion.lines["fine"].fake_sources == 8
    assert fusion.inherited == ()  # lines of the shipped panel are of another logit
    assert fusion.digests == digests


def test_silence_of_one_detector_is_silence_and_is_counted(base):
    real, fake = (drawn(8, 40, fake=f, seed=f, more=2.0 * f) for f in (False, True))
    quiet = [replace(h, logits={"good": h.logits["good"]}) for h in real[:20]] + real[20:]
    found = calibrated(quiet + fake, base, "desk", SHA)
    first = found.rows[0]
    assert (first.copies, first.weighed_before, first.weighed_after) == (40, 40, 20)


@pytest.mark.parametrize(
    ("heard", "says"),
    [
        ([], "photographs of 0 sources are too few"),
        (drawn(3, 40), "photographs of 3 sources are too few to calibrate on: 4 are needed"),
        (drawn(8, 10) + drawn(3, 10, fake=True), "generated pictures of 3 sources are too few"),
        (
            drawn(8, 10, condition="lossless"),
            "sources of photographs: lossless 8, of generated pictures: fine 30, small 30",
        ),
        ([replace(h, logits={}) for h in drawn(8, 10)], "none that all detectors speak of"),
        (
            drawn(8, 10) + [replace(h, logits={}) for h in drawn(8, 10, fake=True)],
            "that all detectors speak of of 0",
        ),
        (drawn(8, 40, 9.0), "that the detectors tell apart"),
    ],
)
def test_what_cannot_carry_a_calibration_is_refused_in_words(base, heard, says):
    with pytest.raises(UsageError, match=says) as caught:
        calibrated(heard, base, "desk", {"good": SHA["good"]})
    assert caught.value.hint


def test_a_panel_that_keeps_nothing_of_generated_pictures_needs_some(base):
    with pytest.raises(UsageError, match="does not say what its detectors made of generated"):
        calibrated(drawn(8, 10), replace(base, synthetic={}), "desk", {"good": SHA["good"]})


# ---------------------------------------------------------------------------------------------- the file


def test_a_panel_is_read_as_it_was_written(base, tmp_path):
    desk = calibrated(drawn(8, 30), base, "desk", {"good": SHA["good"]}).fusion
    for fusion in (base, desk):
        write_fusion(tmp_path / "panel.json", fusion)
        assert read_fusion(tmp_path / "panel.json") == fusion
    assert "synthetic" not in (tmp_path / "panel.json").read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"inherited": ["lossless"]},
        {"synthetic": {"fine": [1, 2]}},
        {"synthetic": {"fine": {"x": ["a"]}}},
        {"more": 1},
    ],
)
def test_a_panel_that_says_what_it_cannot_is_refused(base, tmp_path, change):
    path = tmp_path / "panel.json"
    write_fusion(path, base)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigurationError, match="panel of detectors cannot be read"):
        read_fusion(path)


def test_a_calibration_is_of_these_weights_and_no_others(base, tmp_path):
    store = Store(tmp_path / "models", tmp_path / "shipped")
    data, other = network(), network(scale=2.0)
    store.add(card(data, name="good"), data)
    fusion = replace(base, digests={"good": store.find("good").card.weights.sha256})
    write_fusion(store.folder / "panel.json", fusion)
    assert open_panel(store, lambda: 0.0).fusion == fusion
    store.add(card(other, name="good"), other, replace=True)
    with pytest.raises(ConfigurationError, match="calibrated with other weights of good") as caught:
        open_panel(store, lambda: 0.0)
    assert "assay detect calibrate" in caught.value.hint


def test_the_shipped_panel_says_what_it_was_told_of_generated_pictures():
    fusion = read_fusion(SHIPPED / "panel.json")
    assert fusion.synthetic.keys() == fusion.lines.keys()
    for condition, line in fusion.lines.items():
        assert len(fusion.synthetic[condition]) == line.fake_sources


# -------------------------------------------------------------------------------------------- the archive


@pytest.fixture
def folder(tmp_path):
    for name in ("anna/1.jpg", "anna/deep/2.JPG", "anna/3.png", "ben/1.jpg", "loose.jpg", "notes.txt"):
        (tmp_path / "desk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "desk" / name).write_bytes(b"")
    return tmp_path / "desk"


def sources(samples):
    return [s.source for s in samples]


def test_a_folder_s_sub_folders_are_its_sources(folder):
    samples = archive(folder, synthetic=False)
    assert sources(samples) == ["anna"] * 3 + ["ben", "desk"]
    assert not any(s.synthetic for s in samples)
    assert all(s.synthetic for s in archive(folder, synthetic=True))
    assert sources(archive(folder, synthetic=False, limit=1)) == ["anna", "ben", "desk"]


def test_a_csv_says_what_it_names_and_by_which_column_it_is_grouped(folder):
    file = io.StringIO()
    rows = [
        ["path", "label", "source", "camera"],
        ["a.jpg", "real", "anna", "X1"],
        ["b.jpg", "fake", "flux", "none"],
    ]
    csv.writer(file).writerows(rows)
    index = folder / "index.csv"
    index.write_text(file.getvalue())
    assert [(s.source, s.synthetic) for s in archive(index, synthetic=False)] == [
        ("anna", False),
        ("flux", True),
    ]
    assert sources(archive(index, synthetic=False, column="camera")) == ["X1", "none"]
    assert sources(archive(index, synthetic=False, column="source")) == ["anna", "flux"]
    with pytest.raises(MalformedError, match="no photographer"):
        archive(index, synthetic=False, column="photographer")


def test_an_empty_archive_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(InputError) as caught:
            archive(path, synthetic=False)
        assert caught.value.path == str(path)
