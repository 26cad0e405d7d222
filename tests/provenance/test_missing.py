"""Where a mark is missing: in the witness's words, beside the changed regions, on the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lxml import html as lxml_html

from assay.provenance import wording
from assay.provenance.asset import Asset, Digest
from assay.provenance.checks.agreement import AgreementCheck
from assay.provenance.checks.marks import MarkCheck
from assay.provenance.evidence import Evidence, Status
from assay.provenance.mark import Extent, Mark, Reading
from assay.provenance.media import Kind, Media
from assay.provenance.page import page
from assay.provenance.wording import HOLE_CAUTION, missing_sentence, spans
from tests.provenance.matrix import PHOTO
from tests.provenance.test_page import preview
from tests.reports import REGIONS, build, found

HOLE = (0.27, 0.36, 0.13, 0.19)


class Scheme:
    """A scheme that finds one mark, and knows where it is."""

    scheme, id_bits, kinds = "io.assay.scripted.1", 64, frozenset({Kind.IMAGE})

    def __init__(self, extent):
        self.answer, self.asked = extent, 0

    def embed(self, media, id):
        return media

    def read(self, media):
        return Reading(self.scheme, Mark(self.scheme, "ab" * 8), 1e-40)

    def locate(self, media):
        self.asked += 1
        return replace(self.read(media), extent=self.answer)


class Seen:
    """A subject of one grey picture."""

    asset = Asset("x.jpg", Kind.IMAGE, "image/jpeg", 9, Digest.of(b"x"))

    def media(self):
        return Media.still(np.full((64, 64, 3), 128, np.uint8))


def evidence(extent, mark=None):
    reading = Reading(
        "io.assay.scripted.1", mark or Mark("io.assay.scripted.1", "ab" * 8), 1e-40, extent=extent
    )
    return Evidence("mark", "1", Status.PASS, "read", found=reading)


def test_a_hole_is_said_in_words_that_accuse_nobody():
    scheme = Scheme(Extent(0.9, 0.05, (HOLE,)))
    answer = MarkCheck(lambda kind, scheme=scheme: [scheme])(Seen(), ())
    assert "It is missing in one region (27–40 % from the left, 36–55 % from the top)" in answer.summary
    assert "may have been replaced, or painted over" in answer.summary
    assert HOLE_CAUTION in answer.reasons
    assert answer.details["readings"][0]["extent"] == {"present": 0.9, "absent": 0.05, "holes": [list(HOLE)]}
    assert (answer.status, answer.llr, answer.conflicts, answer.facts) == (Status.PASS, None, (), frozenset())
    assert scheme.asked == 1


def test_nothing_is_said_where_nothing_is_missing_or_the_scheme_cannot_tell():
    class Blind(Scheme):
        locate = None

    for scheme in (Scheme(Extent(1.0, 0.0, ())), Scheme(None), Blind(None)):
        answer = MarkCheck(lambda kind, scheme=scheme: [scheme])(Seen(), ())
        assert "missing" not in answer.summary
        assert HOLE_CAUTION not in answer.reasons


def test_many_holes_are_counted_and_the_first_named():
    boxes = tuple((n / 10, 0.0, 0.05, 0.05) for n in range(5))
    said = missing_sentence(Extent(0.7, 0.1, boxes))
    assert said.startswith("It is missing in 5 regions (0–5 % from the left, 0–5 % from the top; ")
    assert said.count("from the left") == wording.HOLES
    assert "and 2 more" in said


@pytest.mark.parametrize("box", [(float("nan"), -3.0, 9.0, 9.0), (0.9, 0.9, 0.5, 0.5)])
def test_places_stay_inside_the_picture(box):
    numbers = [int(n) for n in spans(box).replace("–", " ").split() if n.isdigit()]
    assert all(0 <= n <= 100 for n in numbers)


def entry_of(mark):
    item = found()
    recovered = item.found
    receipt = replace(recovered.receipt, leaf=replace(recovered.entry, mark=mark))
    return replace(item, found=replace(recovered, receipt=receipt))


def test_two_witnesses_of_one_change_say_so_together():
    mark = Mark("io.assay.scripted.1", "ab" * 8)
    receipt = entry_of(mark)
    both = AgreementCheck()(PHOTO, (evidence(Extent(0.8, 0.1, (REGIONS[0],)), mark), receipt))
    assert both.status is Status.PASS
    assert "its watermark is missing too: upper right, 8 % of the picture" in both.summary
    assert both.details["missing_and_changed"] == [list(REGIONS[0])]
    elsewhere = AgreementCheck()(
        PHOTO, (evidence(Extent(0.8, 0.1, ((0.4, 0.4, 0.05, 0.05),)), mark), receipt)
    )
    assert "missing" not in elsewhere.summary
    others = AgreementCheck()(
        PHOTO, (evidence(Extent(0.8, 0.1, (REGIONS[0],)), Mark(mark.scheme, "cd" * 8)), receipt)
    )
    assert "missing" not in others.summary


def test_holes_are_drawn_on_the_page_with_letters():
    report = build(evidence(Extent(0.8, 0.1, (REGIONS[0], HOLE))), found())
    tree = lxml_html.document_fromstring(page([(report, preview())], "t"))
    drawn = [e.get("style") for e in tree.find_class("hole")]
    assert drawn == [
        "left:62.00%;top:5.00%;width:25.00%;height:33.00%",
        "left:27.00%;top:36.00%;width:13.00%;height:19.00%",
    ]
    assert [e.text_content() for e in tree.find_class("hole")] == ["A", "B"]
    changed = [e.text for e in tree.xpath("//ol[@class='regions']/li")]
    assert changed[0] == "upper right, 8 % of the picture; the watermark is missing there too"
    assert changed[1] == "lower left, 2 % of the picture"
    listed = [e.text for e in tree.xpath("//ol[@class='regions holes']/li")]
    assert listed == ["upper right, 8 % of the picture", "centre, 2 % of the picture"]
    assert not tree.xpath("//script")


def test_a_page_without_holes_says_nothing_of_them():
    tree = lxml_html.document_fromstring(page([(build(evidence(None), found()), preview())], "t"))
    assert not tree.find_class("hole")
    assert "is missing" not in tree.text_content().replace("where the watermark is missing", "")
