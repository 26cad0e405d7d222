"""Trails: Chromaprint as its own program computes it, a form that refuses what is none, words, and places."""

from __future__ import annotations

import zlib
from fractions import Fraction

import numpy as np
import pytest

from assay.ledger.likeness import chroma, film, iscc
from assay.ledger.likeness.fingerprint import PdqFingerprinter
from assay.ledger.likeness.follow import follow
from assay.ledger.likeness.trail import MAX_FRAMES, SOUND_WORDS, WORD_FRAMES, Trail, words_in
from assay.ledger.lookup import key_of, recovery_keys
from assay.provenance.entry import Recovery
from assay.provenance.errors import MalformedError
from assay.provenance.media import Kind, Media
from assay.provenance.subject import Subject

# fpcalc 1.5.1 -raw -length 0 of detect/audio/audio_fastspeech2/026a67aa19e1.flac
FPCALC = (
    1679830726, 1948263798, 1952593190, 4104324902, 4238607918, 4104396303, 4121176588, 3618400780, 3605842700,
    3324856636, 3257796652, 3340634420, 3294506244, 1147020548, 1155408208, 1155404257, 1423561634, 1414043554,
    1950916498, 650939282, 650611090, 575047890, 574863506, 637581459, 637577360, 638642324, 638676124, 640825516,
    640826276, 628230820,
)  # fmt: skip


def test_chromaprint_is_that_of_its_own_program(corpus):
    pytest.importorskip("av")
    with Subject.open(corpus / "detect/audio/audio_fastspeech2/026a67aa19e1.flac") as subject:
        assert chroma.prints(subject.media()).tolist() == list(FPCALC)


def melody(seconds, seed, rate=16_000):
    rng = np.random.default_rng(seed)
    made = np.zeros(seconds * rate, np.float32)
    at = 0
    while at < len(made):
        time = np.arange(min(int(rng.uniform(0.15, 0.5) * rate), len(made) - at)) / rate
        tone = sum(np.sin(2 * np.pi * 110 * 2 ** rng.uniform(0, 3) * k * time) / k for k in (1, 2, 3))
        made[at : at + len(time)] = 0.2 * tone * np.hanning(len(time))
        at += len(time)
    return made[:, None]


def heard(samples, rate=16_000):
    return Trail.of_sound(chroma.prints(Media.sound(samples, rate)), len(samples) / rate)


def seen(count, seed, step=0.5):
    prints = np.random.default_rng(seed).integers(0, 256, (count, 32), np.uint8)
    return Trail(Kind.VIDEO, count * step, prints, np.arange(count) * step)


def test_a_trail_comes_back_as_it_was():
    for trail in (heard(melody(12, 1)), seen(40, 2)):
        again = Trail.from_bytes(trail.to_bytes())
        assert (again.kind, again.seconds) == (trail.kind, trail.seconds)
        assert np.array_equal(again.prints, trail.prints)
        assert np.allclose(again.times, trail.times, atol=0.001)


def test_what_is_no_trail_is_refused_and_has_no_words():
    good = seen(5, 3).to_bytes()
    body = zlib.decompress(good[9:])

    def packed(data):
        return good[:9] + zlib.compress(data)

    bad = [
        b"", good[:8], good[:-3], good + b"x", b"ASK\x01" + good[4:], good[:4] + b"X" + good[5:],
        packed(body[:-1]), packed(body + b"x"),
        packed((MAX_FRAMES + 1).to_bytes(4, "little") + bytes(36 * (MAX_FRAMES + 1))),
        packed(body[:4] + body[8:12] + body[4:8] + body[12:]), good[:9] + zlib.compress(bytes(200 << 20)),
    ]  # fmt: skip
    for data in bad:
        with pytest.raises(MalformedError):
            Trail.from_bytes(data)
        assert words_in(data) == []


def test_words_are_few_and_are_keys_of_what_is_kept():
    long = seen(3000, 4)
    assert len(long.words()) <= 8 * WORD_FRAMES
    still = Trail(Kind.VIDEO, 50.0, np.repeat(long.prints[:1], 100, axis=0), np.arange(100) * 0.5)
    assert len(still.words()) == 8
    noise = Trail.of_sound(np.arange(60_000, dtype=np.uint32) * np.uint32(2_654_435_761), 7000.0)
    assert len(noise.words()) == SOUND_WORDS
    trail = seen(6, 5)
    keys = recovery_keys(Recovery(b"s" * 16, None, trail.to_bytes(), b""))
    assert {key_of("word", word) for word in trail.words()} == set(keys)


def test_a_piece_of_a_film_finds_its_place_and_what_was_put_in():
    whole, other = seen(120, 6), seen(120, 7)
    flipped = whole.prints[40:80].copy()
    flipped[:, 0] ^= 0x0F  # four bits of 256
    piece = Trail(Kind.VIDEO, 20.0, flipped, np.arange(40) * 0.5)
    found = follow(piece, whole)
    assert found.same
    assert found.span == pytest.approx((20, 40))
    assert found.changes == ()
    piece.prints[10:16] = other.prints[:6]
    found = follow(piece, whole)
    assert found.same
    assert found.changes == ((4.5, 8.0),)
    assert not follow(other, whole).same
    assert not follow(heard(melody(10, 8)), whole).same


def test_what_stands_before_and_after_the_whole_original_is_told():
    original = seen(40, 1)
    prints = np.concatenate([seen(10, 2).prints, original.prints, seen(12, 3).prints])
    received = Trail(Kind.VIDEO, 31.0, prints, np.arange(62) * 0.5)
    found = follow(received, original)
    assert found.same
    assert [list(c) for c in found.changes] == [[0, 5], [pytest.approx(25, abs=0.6), 31]]
    assert follow(original, original).changes == ()


def test_a_piece_of_a_sound_finds_its_place():
    samples = melody(30, 9)
    whole, piece = heard(samples), heard(samples[int(7.77 * 16_000) : int(17.1 * 16_000)] * 0.3)
    found = follow(piece, whole)
    assert found.same
    assert found.span == pytest.approx((7.77, 17.1), abs=0.15)
    assert set(piece.words()) & set(whole.words())
    assert not follow(heard(melody(10, 10)), whole).same


def test_a_sound_has_the_registered_code_and_a_film_none():
    maker = PdqFingerprinter()
    media = Media.sound(melody(10, 11), 16_000)
    (binding,) = maker.bindings(media)
    assert binding.alg == iscc.ALG
    assert binding.value.startswith("ISCC:EI")
    assert maker.bindings(Media.sound(melody(1, 12), 16_000)) == []
    grey = Media.film([(Fraction(n, 2), np.full((64, 64, 3), 99, np.uint8)) for n in range(4)], Fraction(2))
    assert maker.bindings(grey) == []
    assert maker.fingerprint(grey) is None
    assert len(Trail.from_bytes(maker.sketch(grey)).prints) == 0  # too flat to tell apart


def test_frames_are_kept_at_fixed_times():
    rng = np.random.default_rng(13)
    frames = [(Fraction(n, 25), rng.integers(0, 256, (64, 64, 3), np.uint8)) for n in range(60)]
    made = film.trail(Media.film(frames, Fraction(25)), lambda frame: frame[:1, :11].tobytes()[:32])
    assert made.times.tolist() == [0.0, 0.52, 1.04, 1.56, 2.08]
    asked = film.trail(
        Media.film(frames, Fraction(25)), lambda frame: frame[:1, :11].tobytes()[:32], asked=True
    )
    assert len(asked.times) == 20
