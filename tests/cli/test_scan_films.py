"""Films through ``assay detect scan`` and ``assay verify``: asked, answered or silent with a reason, in time."""

from __future__ import annotations

import json

import pytest

from tests import clips

pytest.importorskip("av")


@pytest.fixture
def clip(desk):
    return desk.file(clips.film(frames=40, rate=10), ".mp4")


def test_a_film_is_scanned_beside_a_sentence_for_what_is_none(terminal, clip, desk):
    broken = desk.file(b"no film at all", ".mp4")
    answer = terminal("detect", "scan", clip, broken, "--json", expect=4)
    film, other = map(json.loads, answer.out.splitlines())
    assert (film["kind"], film["detector"]) == ("video", "film")
    assert film["status"] in ("ok", "not-applicable")
    assert film["status"] == "ok" or film["reason"]
    assert [moment[0] for moment in film["moments"]] == sorted(moment[0] for moment in film["moments"])
    assert other["status"] == "error"


def test_a_report_says_what_the_detector_of_films_thinks(terminal, clip):
    answer = terminal("verify", clip, "--json", expect=None)
    (report,) = map(json.loads, answer.out.splitlines())
    (heard,) = [e for e in report["evidence"] if e["check"].startswith("detector:")]
    assert heard["check"] == "detector:film"
    assert heard["details"]["opinion"]["moments"]


def test_a_short_film_is_met_with_silence_that_says_why(terminal, desk):
    short = desk.file(clips.film(frames=6, rate=10), ".mp4")
    (said,) = map(json.loads, terminal("detect", "scan", short, "--json").out.splitlines())
    assert said["status"] == "not-applicable"
    assert said["reason"].startswith("too-short")
    assert said["score"] is None
