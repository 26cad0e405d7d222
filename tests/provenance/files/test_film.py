"""Films: decoded frame by frame in a sealed child, exact in time, upright, and written again like the original."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from assay.provenance.errors import InputError, LimitError, MalformedError, UnsupportedError
from assay.provenance.files.film import film
from assay.provenance.files.reel import probe
from assay.provenance.files.refilm import refilm
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from tests import clips

pytest.importorskip("av")


def media(stream, media_type="video/mp4", limits=DEFAULT_LIMITS):
    return film(stream, probe(stream, media_type, limits), limits)


def packets(data, kind):
    import av

    with av.open(BytesIO(data)) as container:
        return [bytes(p) for p in container.demux(**{kind: 0}) if p.size]


def test_every_frame_comes_once_at_its_time(kept):
    times = [0, 100, 150, 400, 420, 1000, 1033, 1066, 2000, 2500]
    shown = list(media(kept(clips.film(10, times=times))).timed())
    assert [at for at, _ in shown] == [Fraction(t, 1000) for t in times]
    for (_, frame), at in zip(shown, times, strict=True):
        assert np.abs(frame.astype(int) - clips.scene(at / 1000)).mean() < 8


def test_a_part_is_the_same_frames_as_in_the_whole(kept):
    whole = media(kept(clips.film(60, options={"g": "12", "bf": "3"})))
    every = {at: frame.tobytes() for at, frame in whole.timed()}
    for start, stop in ((0, 1), (1.25, 1.75), (2.5, 9), (5.9, None), (7, None)):
        part = whole.part(Fraction(start), None if stop is None else Fraction(stop))
        expected = {t: f for t, f in every.items() if t >= start and (stop is None or t < stop)}
        assert {at: frame.tobytes() for at, frame in part.timed()} == expected


def test_what_is_shown_turned_comes_upright(kept):
    flat, turned = (next(media(kept(d)).chunks()) for d in (clips.film(2), clips.turned(clips.film(2))))
    assert turned.shape == (clips.WIDTH, clips.HEIGHT, 3)
    assert np.array_equal(turned, np.rot90(flat, -1))
    assert turned[4, -4, 0] > 180 > 90 > turned[4, -4, 1]


def test_key_frames_are_those_of_the_whole(kept):
    whole = media(kept(clips.film(60, options={"g": "10", "sc_threshold": "0"})))
    every = {at: frame.tobytes() for at, frame in whole.timed()}
    keys = list(whole.keys(Fraction(3, 2)))
    assert [at for at, _ in keys] == [0, 2, 4]
    assert all(every[at] == frame.tobytes() for at, frame in keys)


def test_a_slow_receiver_gets_every_frame_once(kept):
    shown = []
    for at, _ in media(kept(clips.film(20))).timed():
        if at == Fraction(1, 10):
            time.sleep(3)  # longer than a child may sleep that waits for nobody
        shown.append(at)
    assert shown == [Fraction(n, 10) for n in range(20)]


def test_a_pass_that_is_left_ends_its_child(kept):
    whole = media(kept(clips.film(80)))
    before = set(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        passing = whole.timed()
        assert len(list(islice(passing, 3))) == 3
        passing.close()
    assert set(Path("/proc/self/fd").iterdir()) == before
    assert not [t for t in threading.enumerate() if t.name == "assay-feed"]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(film_pixels=1000), "film_pixels"),
        (Limits(film_seconds=1), "film_seconds"),
        (Limits(film_frames=20), "film_frames"),
        (Limits(streams=1), "streams"),
    ],
)
def test_limits_are_named(kept, limits, words):
    with pytest.raises(LimitError, match=words):
        for _ in media(kept(clips.film(30, sound="aac")), limits=limits).timed():
            pass


def test_other_codecs_and_files_are_refused(kept):
    with pytest.raises(UnsupportedError):
        probe(kept(clips.film(5, codec="ffv1", container="matroska")), "video/x-matroska", DEFAULT_LIMITS)
    with pytest.raises(UnsupportedError):
        probe(kept(b"FLV\x01"), "video/x-flv", DEFAULT_LIMITS)
    with pytest.raises(InputError):
        probe(kept(b"\0\0\0\x18ftypmp42" + bytes(400)), "video/mp4", DEFAULT_LIMITS)


def test_a_film_that_ends_too_soon_is_read_as_far_as_it_goes(kept):
    data = clips.film(60)
    for cut in (len(data) // 3, len(data) // 2):
        with pytest.raises(MalformedError):  # its index comes last
            list(media(kept(data[:cut])).timed())
    data = clips.film(60, container="matroska", options={"g": "10"})
    assert 5 < len(list(media(kept(data[: len(data) // 2]), "video/x-matroska").timed())) < 60


@pytest.mark.parametrize(
    ("codec", "container", "media_type"),
    [
        ("libx264", "mp4", "video/mp4"),
        ("libx264", "mov", "video/quicktime"),
        ("mpeg4", "avi", "video/x-msvideo"),
        ("libx264", "matroska", "video/x-matroska"),
        ("libvpx-vp9", "webm", "video/webm"),
    ],
)
def test_other_pictures_change_nothing_else(kept, tmp_path, codec, container, media_type):
    voice = {"webm": "libopus", "avi": "mp3"}.get(container, "aac")
    options = {"cpu-used": "8", "deadline": "realtime"} if codec == "libvpx-vp9" else {}
    data = clips.film(
        20, codec=codec, container=container, sound=voice, options=options, tags={"title": "A walk"}
    )
    stream = kept(data)
    whole = media(stream, media_type)

    def lighter(frames):
        return ((at, np.clip(frame.astype(int) + 20, 0, 255).astype(np.uint8)) for at, frame in frames)

    with (tmp_path / "out").open("w+b") as target:
        notes = refilm(
            stream, probe(stream, media_type, DEFAULT_LIMITS), whole.changed(lighter), target, DEFAULT_LIMITS
        )
    written = (tmp_path / "out").read_bytes()
    assert notes == ()
    assert packets(written, "audio") == packets(data, "audio")
    again = kept(written, "again")
    reel = probe(again, media_type, DEFAULT_LIMITS)
    assert reel.pictures.codec == probe(stream, media_type, DEFAULT_LIMITS).pictures.codec
    old, new = list(whole.timed()), list(film(again, reel, DEFAULT_LIMITS).timed())
    assert [at for at, _ in new] == [at for at, _ in old]
    change = np.mean([b.astype(int) - a for (_, a), (_, b) in zip(old, new, strict=True)])
    assert 16 < change < 21
    import av

    with av.open(BytesIO(written)) as container:
        assert container.metadata["title"] == "A walk"


def test_rotation_and_times_outlive_being_written_again(kept, tmp_path):
    times = [0, 40, 200, 240, 700, 1000, 1040, 1500]
    stream = kept(clips.turned(clips.film(8, times=times)))
    reel = probe(stream, "video/mp4", DEFAULT_LIMITS)
    whole = film(stream, reel, DEFAULT_LIMITS)
    with (tmp_path / "out").open("w+b") as target:
        notes = refilm(stream, reel, whole, target, DEFAULT_LIMITS)
    assert notes == ("pictures that were shown turned are now stored upright",)
    again = kept((tmp_path / "out").read_bytes(), "again")
    new = probe(again, "video/mp4", DEFAULT_LIMITS)
    assert (new.pictures.width, new.pictures.height) == (clips.HEIGHT, clips.WIDTH)
    pairs = list(zip(whole.timed(), film(again, new, DEFAULT_LIMITS).timed(), strict=True))
    assert all(a == b for (a, _), (b, _) in pairs)
    assert np.mean([np.abs(x.astype(int) - y).mean() for (_, x), (_, y) in pairs]) < 3


def test_what_a_pass_raises_ends_the_writing(kept, tmp_path):
    stream = kept(clips.film(20))
    reel = probe(stream, "video/mp4", DEFAULT_LIMITS)

    def broken(frames):
        yield from islice(frames, 5)
        raise LimitError("too small")

    changed = film(stream, reel, DEFAULT_LIMITS).changed(broken)
    with (tmp_path / "out").open("w+b") as target, pytest.raises(LimitError, match="too small"):
        refilm(stream, reel, changed, target, DEFAULT_LIMITS)
