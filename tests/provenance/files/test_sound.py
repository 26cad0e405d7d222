"""Sounds: samples exact, parts exact, and written again like the original."""

from __future__ import annotations

import wave
from fractions import Fraction
from io import BytesIO

import numpy as np
import pytest

from assay.provenance.errors import LimitError, MalformedError, UnsupportedError
from assay.provenance.files.reel import probe
from assay.provenance.files.resound import packed, resound
from assay.provenance.files.sound import sound
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from tests import clips

pytest.importorskip("av")


def media(stream, media_type="audio/flac", limits=DEFAULT_LIMITS):
    return sound(stream, probe(stream, media_type, limits), limits)


def whole(given):
    return np.concatenate(list(given.chunks()))


def waved(samples, rate, before=b"", after=b""):
    """Return a WAV of 16 bits with chunks of others before and after its samples."""
    made = BytesIO()
    with wave.open(made, "wb") as out:
        out.setnchannels(samples.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(packed(samples, "pcm_s16le"))
    data = made.getvalue()
    body = data[12:36] + before + data[36:] + after
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WAVE" + body


@pytest.mark.parametrize("channels", [1, 2])
def test_samples_come_exactly_a_second_at_a_time(kept, channels):
    made = media(kept(clips.recording(3.3, channels=channels)))
    blocks = list(made.timed())
    assert [at for at, _ in blocks] == [0, 1, 2, 3]
    assert blocks[0][1].dtype == np.float32
    assert np.array_equal(np.concatenate([b for _, b in blocks]), clips.tone(3.3, channels=channels))


def test_a_part_is_cut_to_the_sample(kept):
    made, original = media(kept(clips.recording(4))), clips.tone(4)
    part = made.part(Fraction(1, 3), Fraction(5, 2))
    (first, _), *_ = part.timed()
    assert first == Fraction(5334, 16_000)
    assert np.array_equal(whole(part), original[5334:40_000])
    assert list(made.part(Fraction(9)).timed()) == []


@pytest.mark.parametrize(
    ("codec", "container", "media_type"),
    [
        ("libmp3lame", "mp3", "audio/mpeg"),
        ("aac", "ipod", "audio/mp4"),
        ("libopus", "ogg", "application/ogg"),
    ],
)
def test_coded_sounds_are_read_and_written_again(kept, tmp_path, codec, container, media_type):
    data = clips.recording(4, codec, container, rate=48_000, tags={"title": "A word"}, bit_rate=96_000)
    stream = kept(data)
    reel = probe(stream, media_type, DEFAULT_LIMITS)
    before = sound(stream, reel, DEFAULT_LIMITS)
    quiet = before.changed(lambda blocks: ((at, block / 2) for at, block in blocks))
    with (tmp_path / "out").open("w+b") as target:
        assert resound(stream, reel, quiet, target, DEFAULT_LIMITS) == ()
    again = kept((tmp_path / "out").read_bytes(), "again")
    new = probe(again, media_type, DEFAULT_LIMITS)
    assert (new.voices.codec, new.voices.rate) == (reel.voices.codec, reel.voices.rate)
    assert abs(new.voices.bit_rate - reel.voices.bit_rate) <= 0.3 * reel.voices.bit_rate
    one, other = (whole(m)[:180_000, 0] for m in (before, sound(again, new, DEFAULT_LIMITS)))
    together = np.fft.irfft(np.fft.rfft(one).conj() * np.fft.rfft(other))
    assert together.argmax() == 0  # in step, to the sample
    assert 0.4 < together[0] / (one @ one) < 0.6  # and half as loud
    import av

    with av.open(str(tmp_path / "out")) as written, av.open(BytesIO(data)) as source:
        tags = {**source.metadata, **source.streams[0].metadata}
        assert tags["title"] == {**written.metadata, **written.streams[0].metadata}["title"] == "A word"


def test_a_stream_without_a_count_of_its_delay_is_not_written_again(kept, tmp_path):
    stream = kept(clips.recording(2, "aac", "adts", rate=48_000))
    reel = probe(stream, "audio/aac", DEFAULT_LIMITS)
    with (tmp_path / "out").open("w+b") as target, pytest.raises(UnsupportedError, match="not written again"):
        resound(stream, reel, sound(stream, reel, DEFAULT_LIMITS), target, DEFAULT_LIMITS)


def test_flac_and_wav_change_in_their_samples_alone(kept, tmp_path):
    original = clips.tone(2, channels=2)
    chunks = (b"bext" + (4).to_bytes(4, "little") + b"mine", b"LIST" + (4).to_bytes(4, "little") + b"INFO")
    for media_type, data in (
        ("audio/wav", waved(original, 16_000, *chunks)),
        ("audio/flac", clips.recording(2, channels=2, tags={"artist": "A voice"})),
    ):
        stream = kept(data)
        reel = probe(stream, media_type, DEFAULT_LIMITS)
        same = sound(stream, reel, DEFAULT_LIMITS)
        quiet = same.changed(lambda blocks: ((at, block * np.float32(0.5)) for at, block in blocks))
        for given, expected in ((same, original), (quiet, np.rint(original * 16384) / 32768)):
            with (tmp_path / "out").open("w+b") as target:
                assert resound(stream, reel, given, target, DEFAULT_LIMITS) == ()
            written = (tmp_path / "out").read_bytes()
            again = kept(written, "again")
            assert np.abs(whole(media(again, media_type)) - expected).max() <= 1 / 32768
            if media_type == "audio/wav":
                assert len(written) == len(data)
                at = data.index(b"data") + 8
                assert (written[:at], written[-12:]) == (data[:at], data[-12:])
                assert (written == data) == (given is same)


def test_24_bits_stay_24_bits(kept, tmp_path):
    samples = np.arange(-4000, 4000, dtype=np.float64).reshape(-1, 1) * 1049 / (1 << 23)
    exact = packed(samples.astype(np.float32), "pcm_s24le")
    head = b"WAVEfmt " + (16).to_bytes(4, "little") + bytes([1, 0, 1, 0])
    head += (8000).to_bytes(4, "little") + (24_000).to_bytes(4, "little") + bytes([3, 0, 24, 0])
    data = b"RIFF" + (len(head) + len(exact) + 8).to_bytes(4, "little") + head
    stream = kept(data + b"data" + len(exact).to_bytes(4, "little") + exact)
    reel = probe(stream, "audio/wav", DEFAULT_LIMITS)
    with (tmp_path / "out").open("w+b") as target:
        resound(stream, reel, sound(stream, reel, DEFAULT_LIMITS), target, DEFAULT_LIMITS)
    stream.seek(0)
    assert (tmp_path / "out").read_bytes() == stream.read()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(sample_rate=8000), "sample_rate"),
        (Limits(channels=1), "channels"),
        (Limits(film_seconds=2), "film_sec"),
    ],
)
def test_limits_are_named(kept, limits, words):
    with pytest.raises(LimitError, match=words):
        whole(media(kept(clips.recording(3, channels=2)), limits=limits))


def test_what_is_no_sound_is_refused(kept):
    with pytest.raises(UnsupportedError, match="no sound"):
        media(kept(clips.film(3)), "video/mp4")
    with pytest.raises(MalformedError):
        media(kept(b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + bytes(40)), "audio/wav")
