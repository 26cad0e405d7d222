"""Blocks of evidence: what a file's structure weighs, the rules of its calibration, and how blocks are joined."""

from __future__ import annotations

import datetime as dt
import importlib.util
import io
import json
import math
import sys
from dataclasses import replace
from itertools import chain, combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assay.detect.measure.metrics import cllr
from assay.detect.measure.witnesses import panel
from assay.provenance.asset import Asset, Digest
from assay.provenance.blocks import (
    CORRELATED,
    DETECTORS,
    METADATA,
    MOST_METADATA,
    BlockCalibration,
    Pair,
    read_blocks,
    shipped,
    write_blocks,
)
from assay.provenance.checks.metadata import MetadataCheck
from assay.provenance.decide import decide
from assay.provenance.errors import ConfigurationError
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.files.camera import AS_TAKEN, AT_ODDS, GENERATOR_SIZE, PLAIN, REWRITTEN, camera_record
from assay.provenance.leaning import block_words
from assay.provenance.limits import DEFAULT_LIMITS
from assay.provenance.media import Kind
from assay.provenance.opinion import LEANS, Answered
from assay.provenance.policy import NEWSROOM
from assay.provenance.subject import Subject
from assay.provenance.weighing import Block, joined, weigh

ROOT = Path(__file__).resolve().parents[2]
NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
ASSET = Asset(Path("photo.jpg"), Kind.IMAGE, "image/jpeg", 9, Digest.of(b"a picture"))


def bench():
    spec = importlib.util.spec_from_file_location("bench_blocks", ROOT / "bench" / "blocks.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


calibrating = bench()


# ------------------------------------------------------------------------------------------------ structure


def jpeg(width=400, height=300, **options):
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 255, (height, width, 3), np.uint8))
    out = io.BytesIO()
    picture.save(out, "JPEG", **options)
    return out.getvalue()


def exif(width=400, height=300, **changed):
    """Return the EXIF of a camera; a field that is None is left out."""
    fields = {
        "make": "Maker", "time": 0.01, "number": 2.0, "iso": 200, "tv": 6.64, "av": 2.0,
        "note": b"note" * 64, "width": width, "height": height, **changed,
    }  # fmt: skip
    tags = {
        "make": 271, "time": 0x829A, "number": 0x829D, "iso": 0x8827, "tv": 0x9201, "av": 0x9202,
        "note": 0x927C, "width": 0xA002, "height": 0xA003,
    }  # fmt: skip
    made = Image.Exif()
    for name, value in fields.items():
        if value is not None:
            (made if name == "make" else made.get_ifd(0x8769))[tags[name]] = value
    return made.tobytes()


def taken(data=None, record=None):
    """Return a JPEG as a camera writes it: EXIF in the place of the encoder's own first segment."""
    data = jpeg() if data is None else data
    body = exif() if record is None else record
    assert data[2:4] == b"\xff\xe0"
    after = 4 + int.from_bytes(data[4:6], "big")
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[after:]


def png():
    out = io.BytesIO()
    Image.new("RGB", (400, 300), "green").save(out, "PNG", exif=exif())
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (taken(), AS_TAKEN),
        (jpeg(exif=exif()), REWRITTEN),  # an encoder that was given the record writes its own segment first
        (taken(record=exif(note=None)), REWRITTEN),
        (taken(record=exif(note=b"short")), REWRITTEN),
        (taken(record=exif(width=4000, height=3000)), REWRITTEN),  # made smaller since
        (taken(record=exif(width=None)), REWRITTEN),
        (taken(record=exif(tv=0.01)), AT_ODDS),  # some phones write seconds where a logarithm belongs
        (taken(record=exif(number=0.0, av=None)), AT_ODDS),
        (taken(record=exif(make=None)), PLAIN),
        (taken(record=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff"), PLAIN),
        (taken(record=b"Exif\0\0"), PLAIN),
        (jpeg(), PLAIN),
        (jpeg(512, 512), GENERATOR_SIZE),
        (jpeg(512, 500), PLAIN),
        (jpeg(2112, 64), PLAIN),
        (jpeg()[:300], PLAIN),
        (png(), REWRITTEN),
    ],
)
def test_the_class_of_a_structure(data, found):
    media_type = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
    assert camera_record(io.BytesIO(data), media_type, DEFAULT_LIMITS).found == found


def test_a_camera_s_file_with_a_thumbnail_of_something_else_is_at_odds():
    found = camera_record(io.BytesIO(taken()), "image/jpeg", DEFAULT_LIMITS, ("thumbnail",))
    assert found.found == AT_ODDS


def examined(path, data):
    path.write_bytes(data)
    with Subject.open(path) as subject:
        return MetadataCheck()(subject, ())


def test_a_camera_s_file_weighs_a_little_and_never_leans(tmp_path):
    seen = examined(tmp_path / "a.jpg", taken())
    assert 0 < seen.llr <= MOST_METADATA < LEANS
    report = decide(ASSET, (seen,), NEWSROOM, now=NOW)
    assert report.leaning == "none"
    assert report.score.band == "no support either way"
    said = {b.name: b.reason for b in report.score.blocks}
    assert said == {"detectors": "not-asked", "watermark": "not-asked", "metadata": ""}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (jpeg(), "no-camera-record"),
        (jpeg(exif=exif()), "rewritten"),
        (jpeg(512, 512), "worst-source"),
        (png(), "misleads"),
        (taken(record=exif(make="Adobe Firefly")), "claims-ai"),
    ],
)
def test_what_was_stripped_rewritten_or_claims_ai_says_nothing(tmp_path, data, reason):
    seen = examined(tmp_path / "a.jpg", data)
    assert seen.llr is None
    assert seen.details["silence"] == reason
    assert decide(ASSET, (seen,), NEWSROOM, now=NOW).score is None
    beside = Evidence("detector:image", "1", Status.PASS, "", -0.5)
    block = decide(ASSET, (seen, beside), NEWSROOM, now=NOW).score.blocks[-1]
    assert (block.name, block.log10_lr, block.reason) == (METADATA, 0.0, reason)
    assert not any(reason in words for words in block_words((block,)))


def test_what_a_fact_decided_metadata_do_not_touch():
    built = Evidence("metadata", "2", Status.PASS, "", 0.29)
    marked = Evidence("known-marks", "1", Status.PASS, "", -3.0, facts=frozenset({Fact.MARKED_AI}))
    with_it, without = (decide(ASSET, seen, NEWSROOM, now=NOW).score for seen in ((built, marked), (marked,)))
    assert with_it.log10_lr == without.log10_lr == -3.0
    assert {b.name: b.reason for b in with_it.blocks}[METADATA] == "outweighed"


def test_no_mark_counts_for_nothing():
    pixels = Evidence("detector:image", "1", Status.PASS, "", -0.5)
    looked = [Evidence(name, "1", Status.ABSENT, "none") for name in ("mark", "known-marks")]
    score = decide(ASSET, (pixels, *looked), NEWSROOM, now=NOW).score
    assert score.log10_lr == -0.5
    assert {b.name: b.reason for b in score.blocks}["watermark"] == "no-mark-found"


# ----------------------------------------------------------------------------------------- calibration's rules


def rows(**sources):
    """Return rows by source: ``real_a="as-taken 3, plain 7"``."""
    found = []
    for name, text in sources.items():
        for part in text.split(", "):
            kind, count = part.split()
            row = calibrating.Row("", kind, "jpeg", name.startswith("fake"), name)
            found += [row] * int(count)
    return found


def some(label, count, text):
    return {f"{label}_{n}": text for n in range(count)}


def weighed(**sources):
    return calibrating.weighed(rows(**sources))["jpeg"]


def test_a_class_that_holds_over_sources_weighs_within_its_bound():
    found = weighed(**some("real", 20, "as-taken 15, plain 15"), **some("fake", 20, "plain 30"))
    assert found.classes[AS_TAKEN].log10_lr == MOST_METADATA
    assert found.classes[PLAIN].log10_lr == 0
    assert found.cllr < 1
    assert not found.off


def test_few_sources_can_carry_little_whatever_they_say():
    found = weighed(**some("real", 5, "as-taken 30"), **some("fake", 5, "plain 30"))
    assert found.classes[AS_TAKEN].log10_lr == pytest.approx(math.log10(5 / 3), abs=1e-4)


@pytest.mark.parametrize(
    ("real", "fake", "reason"),
    [
        (
            {**some("real", 3, "as-taken 30"), **some("realp", 20, "plain 30")},
            some("fake", 20, "plain 30"),
            "few-sources",
        ),
        (some("real", 20, "as-taken 30"), {**some("fake", 20, "plain 30"), "fake_x": "as-taken 30"}, "worst-source"),
        (
            {"real_x": "as-taken 1", **some("real", 9, "as-taken 1, plain 9")},
            some("fake", 10, "as-taken 3, plain 16"),
            "one-source",
        ),
    ],
)  # fmt: skip
def test_a_class_that_does_not_hold_over_sources_weighs_nothing(real, fake, reason):
    found = weighed(**real, **fake).classes[AS_TAKEN]
    assert (found.log10_lr, found.reason) == (0.0, reason)


def test_a_format_in_which_weights_mislead_is_off():
    """One source shows what a class is worth; without it the class is believed, and that source is misjudged."""
    sources = {
        **some("real", 8, "plain 30"),
        "real_x": "generator-size 30",
        **some("fake", 6, "generator-size 30"),
    }
    found = weighed(**sources)
    assert found.classes[GENERATOR_SIZE].reason == "worst-source"
    assert found.cllr > 1
    assert found.off == "misleads"
    calibration = BlockCalibration("x", {"jpeg": found})
    assert calibration.structure(AS_TAKEN, "jpeg") == (0.0, "misleads")


def test_a_format_of_too_few_sources_is_left_out():
    assert calibrating.weighed(rows(real_a="plain 9", fake_a="plain 9")) == {}
    assert shipped().structure(AS_TAKEN, "") == (0.0, "format-not-calibrated")


def test_what_is_shipped_reads_and_writes_the_same():
    data = (ROOT / "provenance/data/blocks.json").read_bytes()
    assert write_blocks(read_blocks(data, "here")) == data
    weights = [w.log10_lr for f in shipped().formats.values() for w in f.classes.values()]
    assert max(map(abs, weights)) <= MOST_METADATA
    assert min(weights) == 0  # nothing that a file lacks speaks for a generator


def changed(**values):
    document = json.loads((ROOT / "provenance/data/blocks.json").read_text("utf-8"))
    for path, value in values.items():
        place = document
        *way, last = path.split("__")
        for name in way:
            place = place[int(name) if name.isdigit() else name.replace("_", "-")]
        place[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{" * 1000,
        b" " * (1 << 17),
        changed(type="assay.blocks/v2"),
        changed(more=1),
        changed(metadata__jpeg__cllr=1.2),
        changed(metadata__jpeg__classes__as_taken__log10_lr=0.5),
        changed(metadata__jpeg__classes__as_taken__log10_lr=0),
        changed(metadata__jpeg__classes__as_taken__log10_lr="NaN"),
        changed(pairs__0__r=0.5),
        changed(pairs__0__weights=[1, -1]),
        changed(pairs__0__between=["metadata", "metadata"]),
    ],
    ids=lambda data: ascii(data[-12:]),
)
def test_a_calibration_is_read_strictly(data):
    with pytest.raises(ConfigurationError):
        read_blocks(data, "here")


# -------------------------------------------------------------------------------------------------- joining

SMALL = Pair((DETECTORS, METADATA), 0.1, 900, 40)
LARGE = Pair((DETECTORS, METADATA), 0.8, 900, 40, (0.6, 0.6))
KNOWN = {
    "small": BlockCalibration("t", {}, (SMALL,)),
    "large": BlockCalibration("t", {}, (LARGE,)),
    "none": BlockCalibration("t"),
}
ratios = st.floats(-3, 3, allow_nan=False)
named = st.sampled_from((DETECTORS, METADATA, "watermark", "other"))
several = st.dictionaries(named, ratios, max_size=4)
calibrations = st.builds(
    lambda r, a, b, c: BlockCalibration("t", {}, (Pair((DETECTORS, METADATA), r, 9, 9, (a, b), c),)),
    st.floats(-1, 1, allow_nan=False), st.floats(0, 3), st.floats(0, 3), st.floats(-2, 2),
)  # fmt: skip


def total(blocks, calibration):
    return joined([Block(name, value, 3.0) for name, value in blocks.items()], calibration)[0]


def both(calibration, one=1.0, other=0.5):
    seen = (
        Evidence("detector:image", "1", Status.PASS, "", one),
        Evidence("metadata", "2", Status.PASS, "", other),
    )
    return decide(ASSET, seen, NEWSROOM, now=NOW, blocks=calibration).score.log10_lr


def test_decide_adds_what_is_uncorrelated_and_nothing_else():
    assert both(KNOWN["small"]) == 1.5
    assert both(KNOWN["large"]) == 1.0  # .6 + .3, and no less than the stronger of two that agree
    assert both(KNOWN["large"], 1.0, 0.9) == 1.14
    assert both(KNOWN["none"]) == 1.0
    assert both(KNOWN["large"], 1.0, -0.5) == 0.3
    edge = replace(LARGE, r=CORRELATED)
    assert both(BlockCalibration("t", {}, (edge,)), 1.0, 0.9) == 1.14
    assert both(BlockCalibration("t", {}, (replace(edge, r=CORRELATED - 1e-9),)), 1.0, 0.9) == 1.9


def test_two_detectors_are_one_block():
    seen = [Evidence(f"detector:{n}", "1", Status.PASS, "", w) for n, w in (("a", -0.9), ("b", -0.8))]
    assert decide(ASSET, seen, NEWSROOM, now=NOW).score.log10_lr == -0.9


def test_joining_what_is_correlated_beats_adding_it():
    """Two witnesses of d' 1.2 whose noise is correlated by 0.8, calibrated by the command's own code."""
    rng = np.random.default_rng(7)
    n, distance = 3000, 1.2
    fake = np.arange(n) % 2 == 0
    noise = rng.multivariate_normal((0, 0), ((1, 0.8), (0.8, 1)), n)
    seen = noise + distance * (~fake)[:, None]
    table = (distance * seen - distance**2 / 2) / math.log(10)  # each one's own exact ratio
    sources = [f"s{i // 20}" for i in range(n)]
    learned, judged = slice(0, n // 2), slice(n // 2, n)
    pair = calibrating.pair((DETECTORS, METADATA), table[learned], fake[learned], sources[learned])
    assert pair.r == pytest.approx(0.8, abs=0.05)
    calibration = BlockCalibration("t", {}, (pair,))
    fused = np.array([total({DETECTORS: a, METADATA: b}, calibration) for a, b in table[judged]])
    added = table[judged].sum(1)
    truth = fake[judged]
    assert cllr(fused[~truth], fused[truth]) < cllr(added[~truth], added[truth]) - 0.05


@given(several, st.sampled_from(sorted(KNOWN)))
def test_the_order_of_blocks_does_not_matter(blocks, name):
    made = [Block(n, v, 3.0) for n, v in blocks.items()]
    assert len({joined(order, KNOWN[name]) for order in permutations(made)}) == 1


@given(several, named, ratios, calibrations)
def test_more_for_one_side_never_moves_to_the_other(blocks, name, more, calibration):
    before = total(blocks, calibration)
    raised = {**blocks, name: blocks.get(name, 0.0) + abs(more)}
    assert total(raised, calibration) >= before - 1e-9
    lowered = {**blocks, name: blocks.get(name, 0.0) - abs(more)}
    assert total(lowered, calibration) <= before + 1e-9


@given(several, calibrations)
def test_what_is_joined_stays_within_its_bound(blocks, calibration):
    made = [Block(n, v, abs(v)) for n, v in blocks.items()]
    ratio, bound = joined(made, calibration)
    assert abs(ratio) <= bound + 1e-9


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_set_of_blocks_has_an_answer(name):
    checks = {"detector:image": -0.7, "known-marks": -3.0, "metadata": 0.2}
    for chosen in chain.from_iterable(combinations(checks, n) for n in range(len(checks) + 1)):
        for lost in (Status.ABSENT, Status.ERROR):
            seen = [
                Evidence(c, "1", Status.PASS if c in chosen else lost, "", checks[c] if c in chosen else None)
                for c in checks
            ]
            found = weigh(seen, 3.0, KNOWN[name], decided=False)
            assert (found is None) is not bool(chosen)
            assert found is None or [bool(b.reason) for b in found.blocks] == [
                c not in chosen for c in checks
            ]


# ------------------------------------------------------------------------------------------ real photographs


def test_encoding_a_camera_s_photograph_again_moves_the_score_less_than_a_band(corpus, tmp_path):
    folder = corpus / "detect" / "image"
    paths = [
        p for source in ("real_imagenet", "real_deepface") for p in sorted((folder / source).glob("*.jpg"))
    ]
    ask, check = panel(Path())(), MetadataCheck()

    def score(data):
        path = tmp_path / "photo.jpg"
        path.write_bytes(data)
        with Subject.open(path) as subject:
            built, opinion = check(subject, ()), ask(subject.picture())
        llr = opinion.llr if opinion.answered is Answered.OK else None
        pixels = Evidence("detector:image", "1", Status.ABSENT if llr is None else Status.PASS, "", llr)
        found = decide(ASSET, (built, pixels), NEWSROOM, now=NOW).score
        return built.llr, found.log10_lr if found else 0.0

    moved = []
    for path in paths:
        with Image.open(path) as image:
            picture = image.convert("RGB")
        plain, again = io.BytesIO(), io.BytesIO()
        picture.save(plain, "JPEG", quality=95, subsampling=0)
        first = taken(plain.getvalue(), exif(*picture.size))
        with Image.open(io.BytesIO(first)) as image:
            image.save(again, "JPEG", quality=90)
        (weight, before), (stripped, after) = score(first), score(again.getvalue())
        assert weight == shipped().structure(AS_TAKEN, "jpeg")[0]
        assert stripped is None
        moved.append(abs(before - after))
        if len(moved) == 10:
            break
    assert len(moved) == 10
    assert max(moved) < 1.0
