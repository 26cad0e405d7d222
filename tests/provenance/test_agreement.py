"""What must not accuse: honest later lives of a picture that the ledger knows."""

from __future__ import annotations

import pytest

from assay.provenance.claim import Claim

from .. import darkroom
from ..forger import bare_sign, created, definition
from ..people import person
from ..studio import LARGE, encode

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
