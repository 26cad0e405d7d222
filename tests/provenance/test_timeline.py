"""What a report shows of single seconds: on the page, in the terminal, and of hostile numbers."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from lxml import html as lxml_html
from rich.console import Console

from assay.cli.show import show_report
from assay.provenance.asset import Asset, Digest
from assay.provenance.decide import decide
from assay.provenance.errors import UsageError
from assay.provenance.evidence import Evidence, Status
from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Kind
from assay.provenance.opinion import Answered, Explanation, Moment, Opinion
from assay.provenance.page import Strip, page
from assay.provenance.protocols import Comparison
from assay.provenance.strip import COLUMNS, FRAMES
from assay.provenance.subject import Subject
from assay.provenance.timeline import timeline
from tests import clips, reports
from tests.provenance.test_page import assert_inert, words

CARRIED, HEARD, CHANGED = [[0, 4], [7, 12]], [[0, 12]], ((4.0, 7.0),)


def report(kind=Kind.VIDEO, carried=CARRIED, changed=CHANGED, moments=(), **changes):
    """Return a report on twelve seconds, the middle of which was replaced."""
    base = reports.recovered()
    reading = Reading("io.assay.x.1", Mark("io.assay.x.1", "ab" * 8), 1e-12)
    reading = replace(reading, details={"intervals": carried, "heard": HEARD} | changes)
    likeness = Comparison(
        0.97, True, 0.2, (), "seconds 3.0 to 15.0 of its 60.0", span=(3.0, 15.0), changes=changed
    )
    receipt = next(e for e in base.evidence if e.check == "receipt")
    opinion = Opinion("speech", "1", Answered.OK, score=0.4, llr=-0.1, moments=tuple(moments))
    evidence = [
        Evidence("mark", "1", Status.PASS, "Our watermark was read.", found=reading),
        replace(receipt, found=replace(base.recovered, comparison=likeness)),
        Evidence("detector:speech", "1", Status.PASS, "Score 0.40.", found=Explanation(opinion)),
    ]
    asset = Asset(Path("/desk/clip.mp4"), kind, "video/mp4", 1234, Digest.of(b"x"))
    return decide(asset, evidence, reports.NEWSROOM, now=reports.NOW, trust=base.trust)


def kept(tmp_path, data, name):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def lanes(of, seconds=0.0):
    return {lane.kind: lane for lane in timeline(of, seconds).lanes}


def test_a_replaced_stretch_is_a_gap_of_the_mark_and_of_the_original():
    found = lanes(report())
    for kind in ("mark", "original"):
        assert [(s.start, s.stop, s.value) for s in found[kind].spans] == [(0, 4, 1), (4, 7, 0), (7, 12, 1)]
        assert "4.0–7.0" in found[kind].words
    assert "score" not in found


def test_what_was_not_listened_to_is_neither_there_nor_missing():
    found = lanes(report(carried=[[0, 2]], heard=[[0, 3], [10, 12]]))["mark"]
    assert [(s.start, s.stop, s.value) for s in found.spans] == [(0, 2, 1), (2, 3, 0), (10, 12, 0)]


def test_a_picture_has_no_seconds():
    assert timeline(report(Kind.IMAGE)).lanes == ()
    assert timeline(reports.recovered()).lanes == ()


@pytest.mark.parametrize("odd", [[[math.nan, 2]], [[-5, math.inf]], [[3, 1]], [[0, 1e300]]])
def test_numbers_that_are_none_draw_nothing_outside(odd):
    moments = [Moment(odd[0][0], odd[0][1], math.nan), Moment(1, 2, 7.0)]
    text = page([(report(carried=odd, moments=moments), None)], "t")
    assert_inert(text)
    drawn = re.findall(r'<rect class="bar[^"]*" fill="#\w+" x="([^"]*)" y="([^"]*)" width="([^"]*)"', text)
    assert drawn
    for left, top, width in drawn:
        assert 0 <= float(left) <= 1000
        assert 0 <= float(top) <= 100
        assert float(left) + float(width) <= 1003


def test_a_detectors_highest_second_is_named():
    moments = [Moment(n, n + 1, 0.9 if n == 5 else 0.2) for n in range(12)]
    found = lanes(report(moments=moments))["score"]
    assert len(found.spans) == 12
    assert "highest 0.90 at 5.0 s" in found.words


def test_a_films_page_shows_frames_that_say_what_is_known_of_them(tmp_path):
    pytest.importorskip("av")
    with Subject.open(kept(tmp_path, clips.film(120), "clip.mp4")) as subject:
        strip = Strip.of(subject)
    assert len(strip.frames) == FRAMES
    times = [at for at, _ in strip.frames]
    assert times == pytest.approx([0.6 + 1.2 * n for n in range(FRAMES)], abs=0.11)
    text = page([(report(), strip)], "t")
    assert_inert(text)
    assert len(text) < 400_000
    cells = lxml_html.document_fromstring(text).xpath("//div[starts-with(@class, 'cell ') or @class='cell']")
    said = [cell.text_content() for cell in cells]
    assert [("no mark" in words and "not the original’s" in words) for words in said] == [
        4 <= at < 7 for at in times
    ]


def test_a_recordings_page_shows_its_course(tmp_path):
    pytest.importorskip("av")
    samples = clips.tone(6)
    with Subject.open(kept(tmp_path, clips.recording(6), "voice.flac")) as subject:
        strip = Strip.of(subject)
    assert strip.seconds == pytest.approx(6)
    assert 250 <= len(strip.wave) <= COLUMNS
    assert max(high for _, high in strip.wave) == pytest.approx(samples.max(), abs=1e-3)
    assert min(low for low, _ in strip.wave) == pytest.approx(samples.min(), abs=1e-3)
    text = page([(report(Kind.AUDIO), strip)], "t")
    assert_inert(text)
    assert "the course of its sound over 6.0 s" in text


def test_only_drawn_pictures_stand_in_a_strip():
    with pytest.raises(UsageError):
        Strip(Kind.VIDEO, 1.0, ((0.0, "https://evil.example/x.png"),))


def test_silence_and_excess_are_drawn_within_bounds():
    from assay.provenance.media import Media
    from assay.provenance.strip import _of_sound

    wild = np.array([[0.0], [np.nan], [9.0], [-np.inf]] * 4000, np.float32)
    strip = _of_sound(Media.sound(wild, 8000))
    assert all(-1 <= low <= high <= 1 for low, high in strip.wave)
    assert strip.seconds == float(Fraction(16000, 8000))


@pytest.mark.parametrize(("encoding", "there", "missing"), [("utf-8", "█", "░"), ("ascii", "#", "-")])
def test_the_terminal_draws_a_bar_of_seconds(encoding, there, missing):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    show_report(report(), Console(file=out, width=100, force_terminal=False))
    out.flush()
    text = out.buffer.getvalue().decode(encoding)
    bar = re.search(rf"Our watermark +({re.escape(there)}+{re.escape(missing)}+{re.escape(there)}+)", text)
    assert bar
    assert bar[1].count(missing) / len(bar[1]) == pytest.approx(3 / 12, abs=0.05)
    assert "0 to 12.0 s" in text


@pytest.mark.parametrize(("kind", "noun"), [(Kind.VIDEO, "film"), (Kind.AUDIO, "recording")])
def test_sentences_call_a_file_what_it_is(kind, noun):
    changed = report(kind)
    assert changed.headline.startswith(f"The original of this {noun} is entry 41 of")
    assert changed.headline.endswith("and this copy differs from it in the seconds 4.0–7.0.")
    assert changed.integrity == "altered"
    whole = report(kind, changed=())
    assert "no second of" in whole.headline
    assert whole.integrity == "unknown", "what differs for less than a second is no edit"
    for each in (changed, whole):
        assert not re.search(r"\bpicture\b", words(each)), "a film has pictures, and is none"


def test_rules_call_a_file_what_it_is_and_leave_quoted_titles_alone():
    from assay.provenance.contradictions.rules import _about
    from assay.provenance.evidence import Conflict

    says = (
        "It was made from “a picture of pictures”.",
        "The ledger holds the same picture; pictures differ.",
    )
    told = _about(Conflict("x", ("manifest", "receipt"), says, "A picture."), "film")
    assert told.says == (says[0], "The ledger holds the same film; films differ.")
    assert told.innocent == "A film."
