"""The marks of films and sounds themselves, through the sign line and the verify line, on clips of other people."""

from __future__ import annotations

import shutil

import pytest

from assay.provenance.claim import Claim
from assay.provenance.workspace import SignOptions

pytest.importorskip("av")


@pytest.mark.parametrize(
    ("clip", "scheme"),
    [
        ("video/video_real_a/da6126bce64c.mp4", "io.assay.film.1"),
        ("audio/audio_tortoise/0bd6867d0068.mp3", "io.assay.soundmark.1"),
    ],
)
def test_a_clip_is_marked_written_like_the_original_and_leads_back(desk, corpus, clip, scheme):
    home = desk.workspace.home
    source, target = home / f"in.{clip[-3:]}", home / f"out.{clip[-3:]}"
    shutil.copyfile(corpus / "detect" / clip, source)
    done = desk.workspace.sign_file(source, target, Claim(source_type="digitalCapture"), SignOptions())
    assert done.mark is not None, done.notes
    assert done.mark.scheme == scheme
    report = desk.workspace.verify(target, checks=("manifest", "mark", "receipt"))
    found = {e.check: e for e in report.evidence}
    assert found["mark"].found.mark == done.mark
    assert found["mark"].details["readings"][0]["intervals"]
    assert found["manifest"].status == "pass"
    assert report.recovered.by == "digest"
