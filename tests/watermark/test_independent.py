"""docs/formats/mark.md is enough: a reader written from the page alone reads what Assay's writer wrote."""

from __future__ import annotations

import importlib.util
import re
import sys
from math import log
from pathlib import Path

import numpy as np
import pytest

from assay.provenance.media import Media
from assay.watermark.hallmark.scheme import Hallmark

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "mark.md"
SECRET = b"a deployment's own secret"


def load():
    """The reader, from its file: it is no module of Assay's, and of no package."""
    spec = importlib.util.spec_from_file_location("independent", Path(__file__).with_name("independent.py"))
    module = sys.modules["independent"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


page = load()


def marked(picture: np.ndarray, identifier: str, secret: bytes) -> np.ndarray:
    return Hallmark([secret], id_bits=4 * len(identifier)).embed(Media.still(picture), identifier).frame()


def test_the_reader_has_nothing_of_assays():
    assert not re.findall(r"^\s*(?:from|import) assay", Path(page.__file__).read_text(), re.MULTILINE)


def test_the_vector_of_the_page():
    block = PAGE.read_text().split("## `io.assay.hallmark.1`")[1].split("```")[1]
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in block.strip().splitlines()}
    key, identifier = page.Key(), bytes.fromhex("0011223344556677")
    assert key.key.hex() == told["KEY"].strip()
    assert key.check(identifier).hex() == told["check"].strip()
    information = np.unpackbits(np.frombuffer(identifier + key.check(identifier), np.uint8))
    code = page.encode(information)
    assert np.packbits(code).tobytes().hex() == told["code"].strip()
    assert np.array_equal(page.decode(1.0 - 2.0 * code), information)

    def figures(line: str) -> list[float]:
        return [float(one) for one in re.findall(r"-?\d+\.?\d*", line.split("…")[0])]

    tones, phases = key.tones()
    assert tones[:4].ravel().tolist() == figures(told["tones"])
    assert phases[:4] == pytest.approx(figures(told["phases"]), abs=1e-6)
    signs = re.findall(r"[-+]", told["signs"])
    assert ["-+"[int(sign > 0)] for sign in key.signs()[0, : len(signs)]] == signs
    assert key.places()[0, :8].tolist() == figures(told["places"])
    assert key.places()[1, :4].tolist() == figures(told["places"].split("; ")[1])
    assert key.directions()[:2].ravel() == pytest.approx(figures(told["directions"]), abs=1e-6)
    assert list(key.placement(identifier)) == figures(told["placement"])
    numbers, here = key.signs()[0] * (1.0 - 2.0 * code[key.places()[0]]), np.arange(4)
    angles = [2 * np.pi * column * here / 32 for _, column in page.bins()]
    tile = sum(numbers[d] * np.cos(angle) - numbers[d + 88] * np.sin(angle) for d, angle in enumerate(angles))
    assert tile / np.sqrt(88) == pytest.approx(figures(told["tile"]), abs=2e-6)
    sync = np.cos(2 * np.pi * tones[:, 1:] * here / 1024 + phases[:, None]).sum(0) / np.sqrt(100)
    assert sync == pytest.approx(figures(told["sync"]), abs=2e-6)


@pytest.mark.parametrize(
    ("name", "bits", "secret"),
    [
        ("astronaut.png", 64, page.PUBLIC),
        ("chelsea.png", 128, page.PUBLIC),
        ("coffee.png", 128, SECRET),
        ("rocket.jpg", 256, SECRET),
    ],
)
def test_it_reads_what_the_writer_wrote(photo, saved, name, bits, secret):
    key, identifier = page.Key(secret, bits), "0f1e2d3c4b5a6978" * (bits // 64)
    picture = marked(photo(name), identifier, secret)
    k, row, column = key.placement(bytes.fromhex(identifier))

    whole = page.read(saved(picture, quality=75), key)
    assert whole.identifier == identifier
    assert whole.placement == (k, row, column)
    height, width = picture.shape[:2]
    cut = np.ascontiguousarray(picture[height // 9 : -height // 10, width // 7 : -width // 11])
    crop = page.read(saved(cut, quality=75), key, size=(height, width))
    assert crop.identifier == identifier
    assert crop.placement[0] == k
    assert crop.placement != whole.placement
    assert crop.log_p < log(1e-9)


def test_it_finds_nothing_where_nothing_is(photo):
    picture = photo("astronaut.png")
    assert page.read(picture, page.Key()) is None
    picture = marked(picture, "0f1e2d3c4b5a6978", SECRET)
    assert page.read(picture, page.Key()) is None
    assert page.read(picture, page.Key(SECRET, 128)) is None
    assert page.read(picture, page.Key(SECRET)).identifier == "0f1e2d3c4b5a6978"


def test_all_eight_placements_of_small_pictures(photo):
    """A small picture has the other canvas, S = 320."""
    picture, key, seen = photo("coffee.png")[50:340, 90:530], page.Key(), {}
    for number in range(100):
        identifier = f"{number:016x}"
        seen.setdefault(key.placement(bytes.fromhex(identifier))[0], identifier)
    assert sorted(seen) == list(range(8))
    for identifier in seen.values():
        found = page.read(marked(picture, identifier, page.PUBLIC), key)
        assert found.identifier == identifier
        assert found.placement == key.placement(bytes.fromhex(identifier))


@pytest.mark.parametrize(("times", "columns"), [(1, 1594), (12, 4096)])
def test_strips(photo, saved, times, columns):
    """Wider than the period, tiles are summed over periods; the longest canvas has less area than others."""
    pair = np.hstack([photo("coffee.png")[100:300], photo("rocket.jpg")[200:400]])
    turns = [pair, pair[:, ::-1], pair[::-1], pair[::-1, ::-1]]
    picture = np.hstack([turns[number % 4] for number in range(times)])
    assert page.canvas(picture).shape[1] == columns
    found = page.read(saved(marked(picture, "0f1e2d3c4b5a6978", SECRET), quality=75), page.Key(SECRET))
    assert found.identifier == "0f1e2d3c4b5a6978"
