"""What must not accuse: honest later lives of a picture that the ledger knows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from assay.provenance.claim import Claim
from assay.provenance.media import Media

from .. import darkroom
from ..forger import bare_sign, created, definition
from ..people import person
from ..studio import LARGE, encode, photo

AI_EDIT = Claim(
    source_type="compositeWithTrainedAlgorithmicMedia", generator="Fill", edit="background replaced"
)


@pytest.fixture
def published(desk):
    """A photograph that the desk captured, signed and logged."""
    return desk.sign(desk.picture(size=LARGE), "digitalCapture")


def test_an_ai_edit_that_keeps_its_history_is_no_contradiction(desk, published):
    edited = desk.sign(published, AI_EDIT, by=desk.studio.agency, ledger=False, mark=False)
    report = desk.verify(edited)
    assert report.recovered.matches
    assert (report.verdict, report.conflicts) == ("marked-ai", ())


def test_an_ai_claim_without_history_contradicts_the_ledger(desk, published):
    stripped = encode(darkroom.pixels(published))
    alone = bare_sign(
        stripped, "image/jpeg", desk.studio.agency, definition(created("trainedAlgorithmicMedia"))
    )
    report = desk.verify(desk.file(alone, ".jpg"))
    assert "source-type-clash" in {c.rule for c in report.conflicts}


def test_a_renewed_certificate_of_the_same_house_is_no_contradiction(desk):
    first = desk.sign(desk.picture(size=LARGE), "digitalCapture", by=desk.studio.agency)
    renewed = person("Picture Agency", desk.studio.now, issuer=desk.studio.agencies)
    assert renewed.certificate != desk.studio.agency.certificate
    again = bare_sign(
        encode(darkroom.pixels(first)), "image/jpeg", renewed, definition(created("digitalCapture"))
    )
    report = desk.verify(desk.file(again, ".jpg"))
    assert report.recovered.matches
    assert (report.verdict, report.conflicts) == ("source-confirmed", ())


def test_a_stranger_with_the_same_name_is_one(desk):
    first = desk.sign(desk.picture(size=LARGE), "digitalCapture", by=desk.studio.agency)
    impostor = person("Picture Agency", desk.studio.now, issuer=person("X", desk.studio.now, authority=True))
    again = bare_sign(
        encode(darkroom.pixels(first)), "image/jpeg", impostor, definition(created("digitalCapture"))
    )
    report = desk.verify(desk.file(again, ".jpg"))
    assert {c.rule for c in report.conflicts} == {"dropped-history"}


@pytest.mark.parametrize(
    ("life", "accuses"),
    [
        (lambda image: image, True),
        (lambda image: image.resize((432, 346)), True),
        (darkroom.crop, False),
        (darkroom.mirrored, False),
        (darkroom.screenshot, False),
        (lambda image: image.crop((6, 6, *image.size)), False),
    ],
    ids=["whole", "reduced", "cropped", "mirrored", "screenshot", "cut by a hair"],
)
def test_only_a_mark_where_embedding_puts_it_accuses_a_picture_of_being_another(desk, life, accuses):
    """The identifier stands in a picture unlike the entry's: where it was cropped or turned, that may be why."""
    original = desk.sign_fully(desk.picture(size=(480, 384)))
    other = Media.still(np.asarray(photo("coffee", (480, 384))))
    marked = desk.workspace.watermark().embed(other, original.mark.id).frame()
    report = desk.verify(darkroom.resaved(desk, life(Image.fromarray(marked)), quality=90))
    assert {c.rule for c in report.conflicts} == ({"copied-mark"} if accuses else set())
    assert report.verdict == ("conflict" if accuses else "inconclusive")
