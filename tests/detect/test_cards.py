"""Cards: what is written is read back, and what breaks the format's rules is refused whoever wrote it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from assay.detect.calibrate import FEWEST_SOURCES, Line, fitted
from assay.detect.card import MAX_CARD_BYTES, Calibration, Card, Input
from assay.provenance.errors import InputError, LimitError, MalformedError, UnsupportedError

from .weights import card, network

DATA = network()
WHOLE = card(DATA)


def test_a_card_comes_back_as_it_was_written():
    data = WHOLE.to_bytes()
    again = Card.from_bytes(data)
    assert again == WHOLE
    assert again.to_bytes() == data
    assert json.loads(data)["type"] == "assay.detector-card/v1"
    assert "Grüße".encode() in data  # to be read by people too
    bare = replace(WHOLE, calibration=None, sources=(), measured=(), fails=(), settings={})
    assert Card.from_bytes(bare.to_bytes()) == bare


def test_a_line_that_was_fitted_fits_a_card():
    import numpy as np

    rng = np.random.default_rng(0)
    fake = np.arange(200) % 2 == 0
    sources = [f"{'f' if f else 'r'}{n % 2 + 2 * (n % 10 // 2)}" for n, f in enumerate(fake)]
    line = fitted(rng.normal(0, 1, 200) + fake, fake, sources)
    assert line is not None
    assert min(line.real_sources, line.fake_sources) >= FEWEST_SOURCES
    calibrated = replace(WHOLE, calibration=Calibration("x", {"fine": line}))
    assert Card.from_bytes(calibrated.to_bytes()).calibration.lines["fine"] == line


def changed(path, value):
    document = json.loads(WHOLE.to_bytes())
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document).encode()


def fields(value, path=()):
    """Give the path of every field of a document."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict):
            yield (*path, name)
        if isinstance(inner, dict | list):
            yield from fields(inner, (*path, name))


ALL = list(fields(json.loads(WHOLE.to_bytes())))
OPEN = {("settings", name) for name in WHOLE.settings} | {("calibration", "lines", "fine")}


def test_every_field_is_needed():
    for path in ALL:
        if path not in OPEN:
            with pytest.raises(InputError):
                Card.from_bytes(changed(path, ...))


@pytest.mark.parametrize("value", [[], {"a": 1}, float("1e300"), 10**400, "\x1b[31m", "\u202e", "x" * 3000])
def test_no_field_takes_what_is_not_its_own(value):
    """An empty list may stand for no sources, figures or sentences, and settings are any."""
    emptied = (
        {("sources",), ("fails",), ("measured",)}
        if value == []
        else {("settings",)}
        if value == {"a": 1}
        else ()
    )
    taken = set()
    for path in ALL:
        try:
            Card.from_bytes(changed(path, value))
            taken.add(path)
        except InputError:
            pass
    assert taken == set(emptied)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("type",), "assay.detector-card/v2", "unknown type"),
        (("name",), "../mean", "name"),
        (("name",), "Mean", "name"),
        (("name",), "", "name"),
        (("kind",), "text", "one of image, video, audio"),
        (("extra",), 1, "extra is not a field"),
        (("weights", "extra"), 1, "extra is not a field"),
        (("weights", "file"), "../../etc/passwd", "file"),
        (("weights", "file"), "a/b.onnx", "file"),
        (("weights", "file"), "a\\b.onnx", "file"),
        (("weights", "file"), "/etc/passwd", "file"),
        (("weights", "file"), "..", "file"),
        (("weights", "file"), ".hidden", "file"),
        (("weights", "file"), "a\n.onnx", "file"),
        (("weights", "format"), "pickle", "one of onnx, safetensors"),
        (("weights", "sha256"), "A" * 64, "sha256"),
        (("weights", "bytes"), 0, "bytes"),
        (("weights", "bytes"), 1 << 31, "bytes"),
        (("weights", "bytes"), 12.0, "whole number"),
        (("weights", "bytes"), True, "not a number"),
        (("input", "takes"), "files", "takes"),
        (("input", "scale"), "224", "one of native"),
        (("input", "least_side"), 16, "less than side"),
        (("input", "length"), 7, "length"),
        (("calibration", "lines"), {}, "lines"),
        (("calibration", "lines"), {"../x": {}}, "no name of a condition"),
        (("calibration", "lines", "fine", "slope"), -1.0, "slope"),
        (("calibration", "lines", "fine", "real_sources"), 0, "real_sources"),
        (("settings", "a b"), 1, "no name of a setting"),
        (("settings", "width"), None, "width"),
        (("fails", 0), 3, "fails"),
        (("made",), "21.11.2026", "date"),
        (("made",), "20261121", "date"),
        (("measured", 0, "value"), None, "value"),
    ],
)
def test_what_is_refused_is_named(path, value, says):
    with pytest.raises(InputError, match=says):
        Card.from_bytes(changed(path, value))


def test_a_line_says_no_more_than_its_sources_carry():
    """Three fakes and a thousand reals carry log10 of four, whatever the card would like."""
    for bound, carried in ((0.602, True), (0.61, False), (3.0, False)):
        lines = {"fine": Line(1.0, 0.0, bound, 1000, 3, 5000)}
        made = replace(WHOLE, calibration=Calibration("x", lines))
        if carried:
            assert Card.from_bytes(made.to_bytes()) == made
        else:
            with pytest.raises(MalformedError, match="more than 3 sources can carry"):
                made.to_bytes()


@pytest.mark.parametrize(
    "broken",
    [
        replace(WHOLE, name="no name"),
        replace(WHOLE, input=Input("crops", 64, 9, 32)),
        replace(WHOLE, settings={"width": float("nan")}),
        replace(WHOLE, licence="\x07"),
        replace(WHOLE, licence="\ud800"),
        replace(WHOLE, fails=["a list"]),
    ],
)
def test_a_broken_card_is_not_written(broken):
    with pytest.raises(MalformedError):
        broken.to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"type": "assay.detector-card/v1"}',
        b"\x80\x04\x95",
        b"[" * 100_000,
        b'{"a": 1, "a": 2}',
        "{}".encode("utf-16"),
    ],
)
def test_what_is_no_card_is_refused(data):
    with pytest.raises((MalformedError, UnsupportedError)):
        Card.from_bytes(data)


def test_a_name_given_twice_is_refused():
    text = WHOLE.to_bytes().decode()
    twice = text.replace('"sha256"', '"sha256": "' + "0" * 64 + '", "sha256"')
    with pytest.raises(MalformedError, match="twice"):
        Card.from_bytes(twice.encode())


def test_a_card_has_an_end():
    padded = WHOLE.to_bytes() + b" " * MAX_CARD_BYTES
    with pytest.raises(LimitError, match=str(MAX_CARD_BYTES)):
        Card.from_bytes(padded)
    with pytest.raises(LimitError):
        replace(
            WHOLE, fails=("x" * 2000,) * 100, sources=WHOLE.sources * 200, measured=WHOLE.measured * 250
        ).to_bytes()
    with pytest.raises(MalformedError, match="more than 100 members"):
        replace(WHOLE, fails=("x",) * 101).to_bytes()
