"""The sound mark: read after attacks, under the right key only, in the right seconds; nothing where nothing is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.signal import butter, resample_poly, sosfilt

from assay.provenance.errors import LimitError, UsageError
from assay.provenance.media import Media
from assay.provenance.protocols import KeyedWatermark, Watermark
from assay.watermark.sound.read import P_FOUND
from assay.watermark.sound.scheme import Soundmark

ID = "00112233aabbccdd"
OTHER = "ffeeddccbbaa9988"
MARK = Soundmark()


def music(rate: int, seconds: float, seed: int = 3, channels: int = 1) -> np.ndarray:
    """Draw plucked chords over a hiss: notes that die away within a second, four a second."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, 0.004, int(rate * seconds))
    late = np.arange(rate) / rate
    for start in range(0, len(sound), rate // 4):
        base = 110 * 2 ** (rng.integers(0, 36) / 12)
        partials = np.arange(1, 1 + min(12, int(0.45 * rate / base)))[:, None]
        fading = np.exp(-late * (4 + partials / 2)) / partials
        note = (fading * np.sin(2 * np.pi * base * partials * late + rng.uniform(0, 6, partials.shape))).sum(
            0
        )
        sound[start : start + rate] += 0.08 * note[: len(sound) - start]
    return np.repeat(sound[:, None], channels, axis=1).astype(np.float32)


def embedded(sound: np.ndarray, rate: int, id: str = ID, mark: Watermark = MARK) -> np.ndarray:
    return np.concatenate(list(mark.embed(Media.sound(sound, rate), id).chunks()))


def resampled(sound: np.ndarray, up: int, down: int) -> np.ndarray:
    return resample_poly(sound, up, down, axis=0).astype(np.float32)


def noisy(sound: np.ndarray, decibels: float) -> np.ndarray:
    noise = np.random.default_rng(8).normal(0, 10 ** (-decibels / 20), sound.shape)
    return (sound + noise * np.sqrt((sound**2).mean())).astype(np.float32)


def filtered(sound: np.ndarray, rate: int) -> np.ndarray:
    return sosfilt(butter(6, 500, "high", fs=rate, output="sos"), sound, axis=0).astype(np.float32)


def delayed(sound: np.ndarray, rate: int) -> np.ndarray:
    heard = sound.copy()
    heard[rate // 10 :] += 0.3 * sound[: -(rate // 10)]
    return heard


RATE = 24000
ATTACKS = {
    "as is": lambda s: (s, RATE),
    "telephone": lambda s: (resampled(s, 1, 3), RATE // 3),
    "another rate": lambda s: (resampled(s, 147, 80), 44100),
    "noise": lambda s: (noisy(s, 20), RATE),
    "echo": lambda s: (delayed(s, RATE), RATE),
    "high-pass": lambda s: (filtered(s, RATE), RATE),
    "louder, cut": lambda s: (np.clip(4 * s, -1, 1), RATE),
    "faster": lambda s: (resampled(s, 100, 103), RATE),
    "slower": lambda s: (resampled(s, 100, 95), RATE),
    "half of it": lambda s: (s[int(2.37 * RATE) : int(7.37 * RATE)], RATE),
    "eight bits": lambda s: (np.round(s * 127).astype(np.float32) / 127, RATE),
}


@pytest.fixture(scope="module")
def sounds() -> dict[str, np.ndarray]:
    return {"music": music(RATE, 10)}


@pytest.fixture(scope="module")
def marked(sounds):
    return {name: embedded(sound, RATE) for name, sound in sounds.items()}


@pytest.mark.parametrize("attack", ATTACKS)
def test_reads_after(attack, marked):
    sound, rate = ATTACKS[attack](marked["music"])
    reading = MARK.read(Media.sound(sound, rate))
    assert reading.mark is not None, reading
    assert (reading.mark.id, reading.mark.scheme) == (ID, MARK.scheme)
    assert reading.p_value < P_FOUND


def test_the_mark_is_faint_and_below_four_kilohertz(sounds, marked):
    change = (marked["music"] - sounds["music"]).astype(float)
    assert 10 * np.log10((sounds["music"].astype(float) ** 2).sum() / (change**2).sum()) > 26
    spectrum = np.abs(np.fft.rfft(change[:, 0])) ** 2
    hertz = np.fft.rfftfreq(len(change), 1 / RATE)
    assert spectrum[hertz > 4100].sum() < 1e-2 * spectrum.sum()
    assert spectrum[hertz < 200].sum() < 1e-2 * spectrum.sum()


def test_is_a_keyed_watermark_for_sound():
    assert isinstance(MARK, KeyedWatermark)
    assert [str(kind) for kind in MARK.kinds] == ["audio"]


def test_only_the_right_key_reads(sounds, marked):
    secret = b"a secret of our own"
    other = embedded(sounds["music"], RATE, OTHER, MARK.with_keys([secret]))
    assert not MARK.read(Media.sound(other, RATE)).found
    both = MARK.with_keys([b"another secret, another", secret, b""])
    assert both.read(Media.sound(other, RATE)).mark.id == OTHER
    assert both.read(Media.sound(marked["music"], RATE)).mark.id == ID
    assert not MARK.with_keys([secret]).read(Media.sound(marked["music"], RATE)).found


def test_nothing_is_read_where_nothing_is(sounds):
    reading = MARK.read(Media.sound(sounds["music"], RATE))
    assert (reading.found, reading.reason, reading.details["intervals"]) == (False, "no mark", [])
    assert reading.details["heard"] == [[0.0, 10.0]]


def shared(found: list[list[float]], begin: float, end: float, duration: float) -> float:
    """Return the intersection over union of a gap with what lies between the intervals found."""
    grid = np.arange(0, duration, 0.01)
    inside = np.zeros(grid.size, bool)
    for start, stop in found:
        inside |= (grid >= start) & (grid < stop)
    true = (grid >= begin) & (grid < end)
    return (~inside & true).sum() / (~inside | true).sum()


@pytest.mark.parametrize("inserted", [False, True], ids=["in the place of as much", "between"])
def test_a_foreign_sentence_shows_as_a_gap(inserted):
    whole = embedded(music(16000, 24), 16000)
    foreign = music(16000, 3.3, seed=9)
    start = int(10.7 * 16000)
    spliced = np.concatenate([whole[:start], foreign, whole[start + (0 if inserted else len(foreign)) :]])
    reading = MARK.read(Media.sound(spliced, 16000))
    assert reading.mark.id == ID
    found = reading.details["intervals"]
    assert shared(found, 10.7, 14.0, len(spliced) / 16000) > 0.7, found


def test_a_cut_leaves_no_gap():
    whole = embedded(music(16000, 24), 16000)
    cut = np.concatenate([whole[: 9 * 16000], whole[int(12.21 * 16000) :]])
    found = MARK.read(Media.sound(cut, 16000)).details["intervals"]
    assert sum(stop - start for start, stop in found) > 0.95 * len(cut) / 16000, found


def test_sound_is_marked_as_it_passes_by():
    sound = music(8000, 32, channels=2)
    asked = []

    def source(start, stop):
        for at in range(0, len(sound), 5000):
            asked.append(at)
            yield Fraction(at, 8000), sound[at : at + 5000]

    media = Media(Media.sound(sound, 8000).kind, source, Fraction(8000), None, (2,))
    out = []
    ahead = 0
    for at, chunk in MARK.embed(media, ID).timed():
        out.append((at, chunk))
        ahead = max(ahead, asked[-1] / 8000 - float(at))
    assert ahead < 13, "it holds little more than a block"
    assert [at for at, _ in out] == [Fraction(at, 8000) for at in asked]
    assert [len(c) for _, c in out] == [len(sound[at : at + 5000]) for at in asked]
    whole = np.concatenate([chunk for _, chunk in out])
    assert np.allclose(whole, embedded(sound, 8000), atol=1e-6), "however it is cut into chunks"
    assert MARK.read(Media.sound(whole, 8000)).mark.id == ID


def test_silence_is_left_alone():
    silent = np.zeros((80000, 1), np.float32)
    assert np.array_equal(embedded(silent, 8000), silent)


def test_refuses_what_cannot_carry_it():
    with pytest.raises(LimitError, match="too small"):
        MARK.embed(Media.sound(music(8000, 3), 8000), ID)
    with pytest.raises(LimitError):
        MARK.embed(Media.sound(music(8000, 5), 6000), ID)
    with pytest.raises(UsageError):
        MARK.embed(Media.sound(music(8000, 5), 8000), "xyz")
    with pytest.raises(UsageError):
        Soundmark([b"short"])


HOSTILE = {
    "nothing": np.zeros((0, 1)),
    "one sample": np.ones((1, 1)),
    "no numbers": np.full((90000, 1), np.nan),
    "without end": np.full((90000, 2), np.inf),
    "direct current": np.ones((90000, 1)),
    "a square wave": np.sign(np.sin(np.arange(90000) * 0.3))[:, None],
    "clicks": (np.arange(90000) % 512 == 0).astype(float)[:, None],
    "white noise": np.random.default_rng(1).normal(0, 1, (90000, 6)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_read_in_hostile_sound(name):
    assert not MARK.read(Media.sound(HOSTILE[name].astype(np.float32), 8000)).found


def test_sound_with_gaps_of_nonsense_is_marked_around_them():
    sound = music(8000, 10)
    sound[30000:30100] = np.nan
    marked = embedded(sound, 8000)
    assert np.isnan(marked).sum() == 100
    assert MARK.read(Media.sound(marked, 8000)).mark.id == ID


def test_silence_after_a_bang_is_marked_with_numbers():
    sound = music(8000, 10)
    sound[40000:44000] = np.random.default_rng(2).normal(0, 0.3, (4000, 1))
    sound[44000:70000] = 0
    marked = embedded(sound, 8000)
    assert np.isfinite(marked).all()
    assert MARK.read(Media.sound(marked, 8000)).mark.id == ID
