"""``assay watermark bench`` as a person and as a script call it."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from ..studio import photo

QUICK = ("--megapixels", "0", "--against", "", "--scheme", "dwtdctsvd", "--jobs", "1")


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("astronaut", "chelsea"):
        photo(name, (320, 256)).save(folder / f"{name}.png")
    return folder


def test_attacks_are_listed_without_photographs(nowhere):
    answer = nowhere("watermark", "bench", "--list-attacks", "--json")
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert len(rows) >= 53
    assert {"name", "group", "told", "goal"} == set(rows[0])
    table = nowhere("watermark", "bench", "--list-attacks", "--attacks", "crops").out
    assert "crop25back" in table
    assert "jpeg50" not in table


def test_a_script_gets_everything_and_a_person_the_tables(nowhere, photographs):
    words = ("watermark", "bench", photographs, "--attacks", "none,jpeg75", *QUICK)
    found = json.loads(nowhere(*words, "--json", "-o", "result.md").out)
    assert found["type"] == "assay.watermark-trial/v1"
    assert found["photographs"] == 2
    assert found["summaries"][0]["rates"]["jpeg75"]["exact"] == 2
    assert found["summaries"][0]["psnr"][0] > 40
    assert "| jpeg75 | 100 (34.2–100.0) | 99.5 |" in (nowhere.folder / "result.md").read_text("utf-8")
    answer = nowhere(*words, "-o", "result.json")
    assert "PSNR mean (least), dB" in answer.out
    assert "result.json" in answer.err
    assert json.loads((nowhere.folder / "result.json").read_text()) == found


def test_a_broken_photograph_is_named_and_the_exit_code_says_so(nowhere, photographs):
    (photographs / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    answer = nowhere("watermark", "bench", photographs, "--attacks", "none", *QUICK, "--json", expect=4)
    assert json.loads(answer.out)["summaries"][0]["photographs"] == 2
    assert "broken.jpg" in answer.err


def test_negatives_give_false_alarms_beside_the_rates(nowhere, photographs, tmp_path):
    others = tmp_path / "others"
    others.mkdir()
    photo("coffee", (300, 240)).save(others / "coffee.png")
    words = (
        "watermark",
        "bench",
        photographs,
        "--attacks",
        "none",
        *QUICK,
        "--negatives",
        others,
        "--crops",
        "4",
    )
    assert "0 of 4" in nowhere(*words).out
    (alarms,) = json.loads(nowhere(*words, "--json").out)["false_alarms"]
    assert alarms["counts"] == {
        "whole": {"reads": 1, "found": 0},
        "foreign": {"reads": 1, "found": 0},
        "crop": {"reads": 4, "found": 0},
    }


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "name photographs"),
        (("missing",), 4, "missing"),
        (("photographs", "--attacks", "jpeg5000"), 2, "jpeg5000"),
        (("photographs", "--against", "sesame"), 2, "sesame"),
        (("photographs", "--scheme", "sesame"), 2, "sesame"),
        (("photographs", "-o", "result.xlsx"), 2, ".json or .md"),
        (("photographs", "--crops", "5"), 2, "--negatives"),
    ],
)
def test_mistakes_are_said_before_anything_is_tried(nowhere, photographs, words, code, said):
    answer = nowhere("watermark", "bench", *words, expect=code)
    assert said in answer.err
    assert not answer.out


def test_a_small_picture_that_a_scheme_refuses_is_counted_as_lost(nowhere, tmp_path):
    Image.new("RGB", (64, 64), (90, 120, 30)).save(tmp_path / "small.png")
    found = json.loads(
        nowhere("watermark", "bench", tmp_path / "small.png", "--attacks", "none", *QUICK, "--json").out
    )
    assert found["summaries"][0]["refused"] == 1
    assert found["summaries"][0]["rates"]["none"] == {
        "exact": 0,
        "of": 1,
        "interval": [0.0, pytest.approx(0.7935, abs=1e-3)],
    }
    assert found["summaries"][0]["psnr"] == [None, None]
