"""Detectors are not asked where they were not made for: small, crushed, drawn."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from assay.detect.gate import domain, jpeg_quality
from assay.provenance.files.picture import decode
from assay.provenance.limits import DEFAULT_LIMITS


def picture(pixels, format="JPEG", **options):
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, format, **options)
    memory.seek(0)
    return decode(memory, DEFAULT_LIMITS)


@pytest.fixture(scope="module")
def busy():
    return np.random.default_rng(5).integers(40, 200, (640, 800, 3), np.uint8)


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(busy, quality):
    assert jpeg_quality(picture(busy, quality=quality).encoding) == pytest.approx(quality, abs=2)


@pytest.mark.parametrize(
    ("format", "options", "condition"),
    [
        ("PNG", {}, "lossless"),
        ("JPEG", {"quality": 92}, "fine"),
        ("JPEG", {"quality": 75}, "coarse"),
        ("WEBP", {"quality": 80}, "coarse"),
        ("WEBP", {"lossless": True}, "lossless"),
    ],
)
def test_conditions_follow_the_encoder(busy, format, options, condition):
    found = domain(picture(busy, format, **options))
    assert (found.condition, found.reason) == (condition, "")


def test_small_crushed_and_drawn_pictures_are_refused_in_words(busy):
    assert "too small" in domain(picture(busy[:150])).reason
    assert "compressed" in domain(picture(busy, quality=20)).reason
    page = np.full_like(busy, 230)
    page[::40] = busy[::40]
    assert "not a photograph" in domain(picture(page, "PNG")).reason
    night = busy.copy()
    night[:500] = 0
    assert not domain(replace(picture(busy, "PNG"), pixels=night)).reason
