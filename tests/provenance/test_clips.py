"""Films and sounds through the sign line and the verify line: marked, written like the original, found again."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

import numpy as np
import pytest

from assay.provenance.checks.marks import stretches_sentence
from assay.provenance.claim import Claim
from assay.provenance.listening import STRETCH_SECONDS, STRETCHES, listen
from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Kind, Media
from assay.provenance.workspace import SignOptions, Workspace
from tests import clips

pytest.importorskip("av")

FILMS = {
    "mp4": ("libx264", "video/mp4", {}),
    "mov": ("libx264", "video/quicktime", {}),
    "avi": ("mpeg4", "video/x-msvideo", {}),
    "matroska": ("libx264", "video/x-matroska", {}),
    "webm": ("libvpx-vp9", "video/webm", {"cpu-used": "8", "deadline": "realtime"}),
}
SOUNDS = {
    "flac": ("flac", "audio/flac"),
    "mp3": ("libmp3lame", "audio/mpeg"),
    "ipod": ("aac", "audio/mp4"),
    "wav": ("pcm_s16le", "audio/wav"),
    "ogg": ("libopus", "application/ogg"),
}
APART = {"video/x-matroska", "video/webm", "application/ogg"}


@pytest.fixture(autouse=True)
def _barcodes(monkeypatch):
    """Mark by barcodes, which are quick: what is tried here is the way of a film, not a scheme."""
    schemes = {kind: clips.Barcode(kind) for kind in (Kind.VIDEO, Kind.AUDIO)}
    monkeypatch.setattr(Workspace, "marker", lambda self, kind, name=None: schemes.get(kind))
    monkeypatch.setattr(Workspace, "readers", lambda self, kind: [schemes[kind]] if kind in schemes else [])


def signed(desk, data, name, mark=True):
    source, target = desk.workspace.home / f"in-{name}", desk.workspace.home / name
    source.write_bytes(data)
    claim = Claim(source_type="digitalCapture")
    return desk.workspace.sign_file(source, target, claim, SignOptions(mark=mark)), target


def evidence(report, check):
    return next(e for e in report.evidence if e.check == check)


@pytest.mark.parametrize("container", FILMS)
def test_a_film_is_signed_marked_and_read_back(desk, container):
    codec, media_type, options = FILMS[container]
    done, target = signed(
        desk, clips.film(12, codec=codec, container=container, options=options), f"a.{container}"
    )
    assert done.mark is not None, done.notes
    report = desk.workspace.verify(target)
    assert report.asset.media_type == media_type
    assert evidence(report, "manifest").status == "pass"
    reading = evidence(report, "mark").found
    assert reading.mark == done.mark
    assert report.recovered.by == "digest"
    assert "seconds 0.0–1.2 carry it; it is missing nowhere" in evidence(report, "mark").summary
    beside = target.with_name(target.name + ".c2pa")
    assert beside.exists() == (media_type in APART)
    assert any("sidecar" in note for note in done.notes) == (media_type in APART)


@pytest.mark.parametrize("container", SOUNDS)
def test_a_sound_is_signed_marked_and_read_back(desk, container):
    codec, media_type = SOUNDS[container]
    data = clips.recording(3, codec, container, rate=48_000, bit_rate=96_000 if container != "wav" else None)
    done, target = signed(desk, data, f"a.{container}")
    assert done.mark is not None, done.notes
    report = desk.workspace.verify(target)
    assert report.asset.media_type == media_type
    assert evidence(report, "manifest").status == "pass"
    assert evidence(report, "mark").found.mark == done.mark
    assert target.with_name(target.name + ".c2pa").exists() == (media_type in APART)


def test_a_changed_film_is_told_by_its_sidecar(desk):
    _, target = signed(desk, clips.film(12, container="matroska"), "a.mkv")
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)
    assert "assertion.dataHash.mismatch" in desk.workspace.verify(target).manifest.codes


def test_what_cannot_be_written_again_is_signed_unmarked_and_says_so(desk):
    done, target = signed(desk, clips.film(12, form="yuv420p10le"), "a.mp4")
    assert done.mark is None
    assert "no watermark: has 10 bits a sample, which writing again would reduce to 8" in done.notes
    assert evidence(desk.workspace.verify(target), "manifest").status == "pass"


def test_broken_films_are_refused_or_signed_unmarked(desk):
    report = desk.workspace.verify(_kept(desk, clips.film(12)[:3000], "cut.mp4"))
    assert evidence(report, "mark").status == "error"
    assert report.verdict == "inconclusive"


def _kept(desk, data, name):
    path = desk.workspace.home / name
    path.write_bytes(data)
    return path


# ------------------------------------------------------------------------------------------- recovery


def test_a_cut_and_coded_again_film_leads_to_its_place_in_the_original(desk):
    signed(desk, clips.film(100), "whole.mp4", mark=False)
    piece = _kept(desk, clips.film(40, first=3.0, codec="libx264", options={"crf": "30"}), "piece.mp4")
    report = desk.workspace.verify(piece)
    assert (report.verdict, report.recovered.by) == ("source-recovered", "fingerprint")
    found = report.recovered.comparison
    assert found.span == pytest.approx((3, 7), abs=0.2)
    assert found.changes == ()
    assert found.alignment == f"seconds {found.span[0]:.1f} to {found.span[1]:.1f} of its 10.0"
    assert report.recovered.to_json()["span"] == list(found.span)
    other = _kept(desk, clips.turned(clips.film(40, first=3.0)), "other.mp4")
    assert desk.workspace.verify(other).recovered is None
    assert desk.workspace.log.check() == []


def test_a_cut_and_coded_again_recording_leads_to_its_place_in_the_original(desk):
    samples = speech(30)
    signed(desk, recorded(samples, "flac", "flac"), "whole.flac", mark=False)
    piece = samples[int(12.3 * 16_000) : int(21.3 * 16_000)]
    report = desk.workspace.verify(_kept(desk, recorded(piece, "libmp3lame", "mp3", 64_000), "piece.mp3"))
    found = report.recovered.comparison
    assert (report.verdict, report.recovered.by) == ("source-recovered", "fingerprint")
    assert found.span == pytest.approx((12.3, 21.3), abs=0.3)


def test_what_was_put_into_a_recording_is_told_by_its_seconds(desk):
    samples, other = speech(30), speech(8, seed=99)
    signed(desk, recorded(samples, "flac", "flac"), "whole.flac", mark=False)
    spliced = np.concatenate([samples[: 12 * 16_000], other, samples[20 * 16_000 :]])
    report = desk.workspace.verify(_kept(desk, recorded(spliced, "flac", "flac"), "spliced.flac"))
    ((start, stop),) = report.recovered.comparison.changes
    assert start == pytest.approx(12, abs=1.5)
    assert stop == pytest.approx(20, abs=1.5)
    assert "Other than the original in the seconds 1" in " ".join(evidence(report, "receipt").reasons)


def test_erasing_takes_the_words_too(desk):
    done, _ = signed(desk, clips.film(60), "whole.mp4", mark=False)
    piece = _kept(desk, clips.film(40, first=1.0, options={"crf": "30"}), "piece.mp4")
    assert desk.workspace.verify(piece).recovered is not None
    assert desk.workspace.log.erase_recovery(done.receipt.index)
    assert desk.workspace.verify(piece).recovered is None
    assert desk.workspace.log.check() == []


def speech(seconds, rate=16_000, seed=4):
    """Return what sounds a little like speech to a chroma analysis: notes that come and go, float32 (n, 1)."""
    rng = np.random.default_rng(seed)
    made = np.zeros(seconds * rate, np.float32)
    at = 0
    while at < len(made):
        count = int(rng.uniform(0.12, 0.5) * rate)
        time = np.arange(min(count, len(made) - at)) / rate
        pitch = 110 * 2 ** rng.uniform(0, 3)
        tones = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in (1, 2, 3, 5))
        made[at : at + len(time)] = 0.15 * tones * np.hanning(len(time))
        at += count
    return made[:, None] + rng.normal(0, 0.002, (len(made), 1)).astype(np.float32)


def recorded(samples, codec, container, bit_rate=None):
    import av

    buffer = BytesIO()
    with av.open(buffer, "w", format=container) as sink:
        voice = sink.add_stream(codec, rate=16_000, layout="mono")
        if bit_rate:
            voice.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1).astype(np.float32), "flt", "mono")
        frame.sample_rate, frame.pts = 16_000, 0
        sink.mux(voice.encode(frame))
        sink.mux(voice.encode(None))
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------- listening


class Ear:
    """A scheme that hears a mark in given seconds."""

    scheme, id_bits, kinds = "io.assay.ear.1", 64, frozenset({Kind.VIDEO})

    def __init__(self, carried):
        self.carried, self.asked = carried, []

    def embed(self, media, id):
        return media

    def read(self, media):
        start, stop = float(media.start), float(media.stop if media.stop is not None else media.seconds)
        self.asked.append((start, stop))
        held = [[max(a, start), min(b, stop)] for a, b in self.carried if a < stop and b > start]
        details = {"intervals": held, "heard": [[start, stop]]}
        if not held:
            return Reading(self.scheme, None, 0.5, "no mark", details)
        return Reading(self.scheme, Mark(self.scheme, "ab" * 8), 1e-12, details=details)


def long_film(seconds):
    return Media(Kind.VIDEO, lambda start, stop: iter(()), Fraction(25), Fraction(seconds), (9, 9, 3))


def test_a_long_film_is_listened_to_in_stretches_all_over_it():
    ear = Ear([(1000, 1900)])
    reading = listen(ear, long_film(3600))
    assert len(ear.asked) == STRETCHES
    assert sum(b - a for a, b in ear.asked) == pytest.approx(STRETCHES * STRETCH_SECONDS)
    assert reading.mark.id == "ab" * 8
    assert reading.p_value == pytest.approx(1e-12 * STRETCHES)
    assert all(a >= 1000 and b <= 1900 for a, b in reading.details["intervals"])
    said = stretches_sentence(reading)
    assert said.startswith("Of 30 stretches listened to, the seconds ")
    assert "and 17 more" in said or "missing in" in said


def test_a_short_film_is_listened_to_whole():
    ear = Ear([(0, 20), (50, 60)])
    reading = listen(ear, long_film(60))
    assert ear.asked == [(0, 60)]
    assert stretches_sentence(reading) == (
        "Of what was listened to, the seconds 0.0–20.0, 50.0–60.0 carry it; it is missing in 20.0–50.0."
    )


def test_silence_everywhere_is_no_mark():
    assert not listen(Ear([]), long_film(3600)).found
