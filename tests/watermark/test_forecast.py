"""The forecast says what happens: its answers are those of a verifier that meets the published picture."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from assay.ledger.likeness.fingerprint import PdqFingerprinter
from assay.provenance.mark import Mark
from assay.provenance.media import Media
from assay.watermark.dwtdctsvd import DwtDctSvd
from assay.watermark.forecast import PASSAGES, PIXELS, forecast
from assay.watermark.hallmark.scheme import Hallmark
from assay.watermark.trial.changes import at_most_wide, jpeg, mirrored, resized


def marked(scheme, picture):
    mark = Mark(scheme.scheme, "5a" * (scheme.id_bits // 8))
    return scheme.embed(Media.still(picture), mark.id), mark


def told(outlooks):
    return {each.passage: each for each in outlooks}


def ticking(step=0.0):
    clock = count()
    return lambda: step * next(clock)


@pytest.fixture(scope="module")
def outlook(photo):
    media, mark = marked(Hallmark(), photo("coffee.png"))
    return media, mark, forecast(media, mark, Hallmark(), PdqFingerprinter(), clock=ticking())


def test_every_passage_is_in_it_once_and_tried(outlook):
    _, _, outlooks = outlook
    assert [each.passage for each in outlooks] == [passage.name for passage in PASSAGES]
    assert all(each.tried for each in outlooks)
    assert all(each.to_json()["credentials"] is False for each in outlooks)


def test_a_strong_mark_outlasts_the_usual_passages_and_leads_back(outlook):
    found = told(outlook[2])
    for name in ("jpeg75", "jpeg50", "webp50", "social", "hflip"):
        assert found[name].mark, name
        assert found[name].recovered, name


def test_it_agrees_with_doing_it(outlook):
    media, mark, outlooks = outlook
    found = told(outlooks)
    for name, change in (("jpeg50", jpeg(50)), ("hflip", mirrored)):
        published = Media.still(change(media.frame(), None))
        assert found[name].mark == (Hallmark().read(published).mark == mark)
        sketch = PdqFingerprinter().sketch(media)
        assert found[name].matches == PdqFingerprinter().compare(published, sketch).same


def test_a_weak_mark_is_said_to_be_lost_and_really_is(photo):
    scheme = DwtDctSvd()
    media, mark = marked(scheme, resized(2.2)(photo("coffee.png"), None))
    found = told(forecast(media, mark, scheme, None, clock=ticking()))
    assert found["jpeg75"].mark
    published = jpeg(60)(at_most_wide(720)(media.frame(), None), None)
    assert not scheme.read(Media.still(published)).found
    assert found["messenger"].mark is False
    assert found["messenger"].recovered is None


def test_another_pictures_mark_does_not_count(outlook):
    media, mark, _ = outlook
    other = Mark(mark.scheme, "00" * 8)
    first = forecast(media, other, Hallmark(), None, clock=ticking(3.0), seconds=4.0)[0]
    assert first.tried
    assert first.mark is False


def test_what_there_was_no_time_for_is_untried(outlook):
    media, mark, _ = outlook
    outlooks = forecast(media, mark, None, PdqFingerprinter(), clock=ticking(3.0), seconds=7.0)
    assert [each.tried for each in outlooks] == [True, True] + [False] * (len(PASSAGES) - 2)
    assert outlooks[-1].to_json()["recovered"] is None


def test_a_large_picture_is_reduced_first(photo):
    large = np.kron(photo("coffee.png"), np.ones((6, 6, 1), np.uint8))
    assert large.shape[0] * large.shape[1] > PIXELS

    class Watching(DwtDctSvd):
        seen: list[int] = []  # noqa: RUF012

        def read(self, media):
            self.seen.append(media.frame().shape[0] * media.frame().shape[1])
            return super().read(media)

    scheme = Watching()
    mark = Mark(scheme.scheme, "5a" * 6)
    forecast(Media.still(large), mark, scheme, None, clock=ticking(3.0), seconds=4.0)
    assert scheme.seen
    assert max(scheme.seen) <= PIXELS
