"""Poses in words: what was done to a picture is what is said of it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from assay.provenance.media import Media
from assay.watermark.hallmark.plugin import Hallmark64
from assay.watermark.hallmark.posture import told

MARK = Hallmark64()
NUMBER = re.compile(r"\d+(?:\.\d+)?")
FLIP, ROTATE = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90


def screen(image):
    whole = Image.new("RGB", (image.width + 200, image.height + 150), (240, 240, 245))
    whole.paste(image, (30, 60))
    return whole


LIVES = {
    "as it was": (lambda image: image, "whole"),
    "reduced": (lambda image: image.resize((520, 416)), "whole"),
    "cut by a hair": (lambda image: image.crop((8, 8, 640, 512)), "scaled, moved or cut at the edges"),
    "cropped": (
        lambda image: image.crop((64, 40, 500, 450)),
        "a part, about 54 % of the picture that was marked",
    ),
    "mirrored": (lambda image: image.transpose(FLIP), "mirrored"),
    "turned": (lambda image: image.transpose(ROTATE), "turned by 90° anticlockwise"),
    "turned and mirrored": (
        lambda image: image.rotate(-7).transpose(FLIP),
        "mirrored, turned by 7° anticlockwise",
    ),
    "stretched": (lambda image: image.resize((640, 460)), "stretched by 11 %"),
    "screenshot": (screen, "set in a larger picture, of which it takes about 59 %"),
}


@pytest.fixture(scope="module", params=["0123456789abcdef", "00000000000000ff"])
def marked(request, photo):
    """The same photograph under identifiers that lie differently on the pattern."""
    source = Image.fromarray(photo("astronaut.png")).resize((640, 512))
    return Image.fromarray(MARK.embed(Media.still(np.asarray(source)), request.param).frame())


@pytest.mark.parametrize("life", LIVES)
def test_what_was_done_is_said(marked, life):
    change, words = LIVES[life]
    pixels = np.asarray(change(marked))
    reading = MARK.read(Media.still(pixels))
    answer = told(reading.frame, *pixels.shape[:2], whole=reading.aligned)
    assert NUMBER.sub("#", answer) == NUMBER.sub("#", words)
    assert [float(n) for n in NUMBER.findall(answer)] == pytest.approx(
        [float(n) for n in NUMBER.findall(words)], abs=1
    )


def test_a_small_picture_does_not_tell_its_share(marked):
    pixels = np.asarray(marked.crop((100, 100, 420, 420)))
    reading = MARK.read(Media.still(pixels))
    assert told(reading.frame, 320, 320, whole=False).endswith("a part, or set in a larger picture")
