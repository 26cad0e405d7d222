"""A signed photograph in any pose is led back to its original; its mark on another photograph is not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from assay.provenance.media import Media

from .. import darkroom
from ..studio import photo

SIZE = (900, 700)


def turned(image: Image.Image) -> Image.Image:
    """Turn by 17° and keep the middle: a quarter of the area."""
    image = image.rotate(17, Image.Resampling.BICUBIC)
    wide, tall = image.width // 4, image.height // 4
    return image.crop((wide, tall, image.width - wide, image.height - tall))


@pytest.fixture(scope="module")
def published(studio):
    desk = studio.desk()
    yield desk, desk.sign_fully(desk.picture(name="coffee", size=SIZE), "digitalCapture")
    desk.close()


def test_a_photograph_turned_and_cropped_to_a_quarter_gets_its_credentials_back(published):
    desk, signed = published
    report = desk.verify(darkroom.resaved(desk, turned(darkroom.pixels(signed.out)), quality=80))
    assert report.verdict == "source-recovered"
    assert report.recovered.by == "watermark"
    assert report.recovered.receipt.index == signed.receipt.index
    assert report.recovered.manifest.source_type.endswith("digitalCapture")
    assert report.recovered.comparison.alignment == "turned by 17° anticlockwise, cropped to 25%"


@pytest.mark.parametrize("life", [lambda image: image, turned], ids=["whole", "turned and cropped"])
def test_an_identifier_written_into_another_photograph_attaches_nothing(published, life):
    """The encoder and its key are public: anybody can write any identifier."""
    desk, signed = published
    other = Media.still(np.asarray(photo("astronaut", SIZE)))
    forged = Image.fromarray(desk.workspace.watermark().embed(other, signed.mark.id).frame())
    report = desk.verify(darkroom.resaved(desk, life(forged), quality=90))
    assert report.recovered.by == "watermark"
    assert not report.recovered.matches
    assert report.verdict in ("conflict", "inconclusive")
