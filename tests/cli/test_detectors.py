"""Detectors through ``assay verify``, ``assay detect`` and ``assay plugins``: real pictures, and what may go wrong."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from lxml import etree
from PIL import Image
from scipy.ndimage import gaussian_filter

from ..studio import encode

PICTURES = (
    "fake_gpt4o_mix",
    "fake_pixart",
    "fake_comfy_multi",
    "real_clothing",
    "real_bsds500",
    "real_kodak",
)


def reported(answer):
    return [json.loads(line) for line in answer.out.splitlines()]


def flat(text):
    """Undo wrapping and frames."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


def heard(report):
    (item,) = [e for e in report["evidence"] if e["check"] == "detector:image"]
    return item


def settle(terminal, line):
    """Put a line at the front of the workspace's settings, in the place of what they say of detectors."""
    path = terminal.home / "assay.toml"
    kept = [row for row in path.read_text().splitlines() if not row.startswith("detectors")]
    path.write_text("\n".join([line, *kept]) + "\n")


@pytest.fixture
def large(desk):
    """A picture that the shipped detector has an opinion of."""
    rng = np.random.default_rng(2)
    smooth = gaussian_filter(rng.normal(size=(600, 900, 3)), (5, 5, 0)) * 250 + 120
    pixels = np.clip(smooth + rng.normal(scale=4, size=smooth.shape), 0, 255).astype(np.uint8)
    return desk.file(encode(Image.fromarray(pixels), quality=92))


def test_pictures_of_the_corpus_are_judged_and_no_verdict_moves(terminal, corpus):
    folder = corpus / "detect" / "image"
    files = [sorted((folder / source).iterdir())[1] for source in PICTURES]
    with_it = reported(terminal("verify", *files, "--json", "--checks", "metadata,detector:image", expect=3))
    without = reported(terminal("verify", *files, "--json", "--checks", "metadata", expect=3))
    spoke = 0
    for one, other in zip(with_it, without, strict=True):
        item = heard(one)
        assert one["verdict"] == other["verdict"]
        assert one["headline"] == other["headline"]
        if item["status"] == "absent":
            assert item["details"]["reason"] == "not-applicable"
            assert item["details"]["why"]
            continue
        spoke += 1
        score, ratio = item["details"]["score"], item["llr"]
        assert item["status"] == "pass"
        assert score == pytest.approx(1 / (1 + 10**ratio), abs=1e-3)
        assert one["score"] == pytest.approx(1 - score, abs=1e-3)
        assert abs(ratio) <= item["details"]["calibration"]["bound"]
        leaning = "ai" if ratio <= -0.3 else "captured" if ratio >= 0.3 else "none"
        assert (item["details"]["leaning"], one["leaning"]) == (leaning, leaning)
        assert leaning != "ai" or "Of 1,000 real photographs" in item["summary"]
        assert len(item["details"]["opinion"]["spectrum"]["picture"]) == 24
    assert spoke >= 2


def test_the_page_shows_map_and_spectrum_and_asks_nothing_of_the_network(terminal, desk, large):
    out = desk.folder / "report.html"
    terminal("verify", large, "--checks", "metadata,detector:image", "--report", out, expect=3)
    text = out.read_text()
    assert "its examined parts tinted" in text
    assert len(re.findall(r'<img src="data:image/png;base64,', text)) == 1
    assert text.count('class="spectrum"') == 1
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert all(s.startswith(("data:image/", "#")) for s in sources)
    assert "url(" not in text


def test_the_terminal_says_sentence_score_and_what_it_is_worth(terminal, large):
    said = flat(terminal("-v", "verify", large, "--checks", "detector:image", expect=3).out)
    assert "Detector of pictures:" in said
    assert "0.5 says nothing" in said
    assert "A detector can be wrong about any one picture" in said


def test_a_switched_off_detector_is_not_asked_and_the_report_says_so(terminal, large):
    settle(terminal, "detectors = []")
    checks = "metadata,detector:image"
    (report,) = reported(terminal("verify", large, "--json", "--checks", checks, expect=3))
    assert not [e for e in report["evidence"] if e["check"].startswith("detector:")]
    assert report["score"] is None
    assert "neural detector: none was asked" in " ".join(
        terminal("-v", "verify", large, expect=3).out.split()
    )


def test_a_misspelt_detector_is_not_silent(terminal, large):
    settle(terminal, 'detectors = ["imgae"]')
    (report,) = reported(terminal("verify", large, "--json", "--checks", "detector:imgae", expect=3))
    (item,) = [e for e in report["evidence"] if e["check"].startswith("detector:")]
    assert (item["check"], item["status"]) == ("detector:imgae", "absent")
    assert item["summary"].startswith("Not looked: assay.detectors has no 'imgae'")
    assert item["reasons"] == ["there is: film, image, speech"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"type": "assay.detector-panel/v1"}',
        b"[1, 2]",
        b"\x80\x04pickle",
        b'{"type": "assay.detector-panel/v1", "kind": "image", "id": "x", "weights": {"gone": 1}, "intercept": 0, '
        b'"lines": {}, "alarms": []}',
    ],
)
def test_a_broken_panel_is_named_and_the_other_witnesses_are_heard(terminal, large, content):
    (terminal.home / "models").mkdir()
    (terminal.home / "models" / "panel.json").write_bytes(content)
    (report,) = reported(terminal("verify", large, "--json", "--checks", "metadata,detector:image", expect=3))
    item = heard(report)
    assert item["status"] in ("error", "absent")
    assert "panel of detectors cannot be read" in item["summary"] or "no model 'gone'" in item["summary"]
    assert [e["status"] for e in report["evidence"] if e["check"] == "metadata"] == ["absent"]


def crafted():
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (256, 300, 3), dtype=np.uint8)
    stripes = np.zeros((240, 240, 3), np.uint8)
    stripes[:, ::2] = 255
    yield "line.png", Image.new("RGB", (20_000, 1)), {}
    yield "dot.png", Image.new("RGB", (1, 1)), {}
    yield "long.png", Image.fromarray(rng.integers(0, 256, (200, 9000, 3), dtype=np.uint8)), {}
    yield "noise.png", Image.fromarray(noise), {}
    yield "stripes.png", Image.fromarray(stripes), {}
    yield "white.jpg", Image.new("RGB", (600, 400), "white"), {}
    yield "grey.jpg", Image.fromarray(noise[..., 0]), {"quality": 95}
    yield "cmyk.jpg", Image.fromarray(noise).convert("CMYK"), {"quality": 90}
    yield "worst.jpg", Image.fromarray(noise), {"quality": 1}
    yield "deep.png", Image.fromarray(noise[..., 0].astype(np.uint16) * 257), {}
    yield "clear.png", Image.merge("RGBA", [*Image.fromarray(noise).split(), Image.new("L", (300, 256))]), {}
    yield (
        "moving.gif",
        Image.fromarray(noise),
        {"save_all": True, "append_images": [Image.fromarray(stripes)]},
    )


def test_crafted_pictures_crash_nothing(terminal, desk):
    files = []
    for name, image, options in crafted():
        memory = io.BytesIO()
        image.save(memory, name.rsplit(".")[-1].replace("jpg", "jpeg"), **options)
        files.append(desk.file(memory.getvalue(), name))
    page = desk.folder / "crafted.html"
    answer = terminal("verify", *files, "--json", "--checks", "detector:image", "--report", page, expect=None)
    assert answer.code in (3, 4)
    reports = reported(answer)
    assert len(reports) == len(files)
    for report in reports:
        item = heard(report)
        assert item["status"] in ("pass", "absent"), item["summary"]
        assert item["status"] == "pass" or item["details"]["why"]


def test_a_file_that_is_no_picture_loads_no_detector(desk, terminal):
    note = desk.file(b"%PDF-1.4\n%nothing\n", "note.pdf")
    code = (
        "import json, sys\nfrom assay.provenance.workspace import Workspace\n"
        "report = Workspace.open(sys.argv[1]).verify(sys.argv[2])\n"
        "print(json.dumps([report.evidence[-1].summary, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, terminal.home, note], capture_output=True, check=True, text=True
    )
    summary, loaded = json.loads(done.stdout)
    assert summary.startswith("No opinion: there is no detector for document")
    assert not {"onnxruntime", "assay.detect.plugin"} & set(loaded)


def test_plugins_lists_the_detectors(nowhere):
    rows = reported(nowhere("plugins", "--json"))
    assert ("assay.detectors", "image") in {(row["group"], row["name"]) for row in rows}


def test_explain_writes_a_map_and_a_plot(terminal, desk, large):
    png, svg = desk.folder / "map.png", desk.folder / "plot.svg"
    answer = terminal("detect", "explain", large, "-o", png, "--spectrum", svg, "--json")
    (found,) = reported(answer)
    assert len(found["spectrum"]["usual"]) == len(found["spectrum"]["picture"]) == 24
    with Image.open(png) as drawn:
        assert drawn.size == (640, 427)
    tree = etree.fromstring(svg.read_bytes())
    assert len(tree.findall("{*}path")) == 3
    before = svg.read_bytes()
    terminal("detect", "explain", large, "--spectrum", svg, expect=2)
    assert svg.read_bytes() == before


def test_explain_says_where_there_is_nothing_to_plot(terminal, desk):
    small, svg = desk.picture(size=(120, 90)), desk.folder / "plot.svg"
    answer = terminal("detect", "explain", small, "--spectrum", svg)
    assert "no spectrum to plot: too small" in answer.err
    assert not svg.exists()
