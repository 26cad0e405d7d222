"""The detector of speech: silent about what is no speech, bounded, streaming, trainable, asked for sounds alone."""

from __future__ import annotations

import csv
import datetime as dt
import os
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import signal

from assay.detect.speech.gate import MUSIC, NARROW, NO_SPEECH, NOISE, TOO_SHORT
from assay.detect.speech.graphs import Graphs
from assay.detect.speech.kernel import Kernel, learned
from assay.detect.speech.plugin import SpeechDetector
from assay.detect.speech.witness import SECONDS, WIDE, heard, numbers
from assay.detect.train.data import Item
from assay.detect.train.recipe import read_recipe
from assay.detect.train.run import run
from assay.provenance.checks.detector import DetectorCheck, fitting
from assay.provenance.errors import UsageError
from assay.provenance.evidence import Status
from assay.provenance.media import Kind, Media
from assay.provenance.opinion import Answered
from assay.provenance.plugins import OURS, load_plugin
from assay.provenance.subject import Subject

RATE = 16_000
ROOT = Path(__file__).parents[2]


def voice(seconds=6.0, seed=0, rate=RATE, grain=0.0):
    """Return something like speech, float32 (n,): a gliding pitch through formants, in syllables with pauses."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    time = np.arange(n) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.5 * time + rng.uniform(0, 6)) + 8 * np.sin(2 * np.pi * 3 * time)
    pulses = np.diff(np.floor(np.cumsum(pitch) / rate), prepend=0) + 0.003 * rng.normal(size=n)
    sound = np.zeros(n)
    for centre in (500, 1500, 2500, 3500, 4800):
        pole = np.exp(-np.pi * 120 / rate + 2j * np.pi * centre * (1 + 0.1 * rng.normal()) / rate)
        sound += signal.lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], pulses)
    hiss = signal.lfilter([1, -0.9], [1], rng.normal(size=n)) * 0.2
    syllables = np.clip(np.sin(2 * np.pi * 4.3 * time + rng.uniform(0, 6)), 0, 1) ** 2
    words = (np.sin(2 * np.pi * 0.4 * time + rng.uniform(0, 6)) > -0.7).astype(float)
    sound = (sound * syllables + hiss * np.roll(syllables, rate // 9)) * words
    sound = sound / np.abs(sound).max() * 0.5 + 1e-4 * rng.normal(size=n)
    if grain:  # a steady comb, as a synthesiser may leave
        sound = sound + grain * syllables * np.sin(2 * np.pi * 3000 * time)
    return sound.astype(np.float32)


def media(sound, rate=RATE):
    array = np.asarray(sound, np.float32)
    return Media.sound(array[:, None] if array.ndim == 1 else array, rate)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return SpeechDetector(tmp_path_factory.mktemp("home"), lambda: 0.0)


def test_an_opinion_is_bounded_says_how_often_it_is_wrong_and_when_it_thought_what(detector):
    opinion = detector.examine_media(media(voice(10)))
    assert opinion.answered is Answered.OK, opinion.reason
    line = detector._witness.fusion.lines[WIDE]
    assert abs(opinion.llr) <= line.bound <= np.log10(min(line.real_sources, line.fake_sources) + 1) + 1e-9
    assert opinion.calibration.n == line.n > 1000
    assert [(m.start, m.stop) for m in opinion.moments] == [(0, 4), (4, 8), (8, 10)]
    assert all(0 <= m.score <= 1 for m in opinion.moments)
    assert opinion.to_json()["moments"][0][:2] == [0, 4]
    assert len(opinion.says) == 1


@pytest.mark.parametrize(
    ("code", "sound"),
    [
        (TOO_SHORT, voice(1.5)),
        (TOO_SHORT, np.zeros(0)),
        (NO_SPEECH, np.zeros(RATE * 4)),
        (NO_SPEECH, np.full(RATE * 4, np.nan)),
        (NOISE, np.random.default_rng(1).normal(size=RATE * 4) * 0.1),
        (MUSIC, sum(np.sin(2 * np.pi * f * np.arange(RATE * 4) / RATE) for f in (261.6, 329.6, 392.0)) * 0.2),
    ],
)
def test_silence_has_a_code_and_a_reason(detector, code, sound):
    opinion = detector.examine_media(media(sound))
    assert opinion.answered is Answered.NOT_APPLICABLE
    assert opinion.conditions["reason_code"] == code
    assert opinion.reason
    assert opinion.llr is None
    assert not opinion.moments


def test_a_telephone_call_is_not_judged(detector):
    narrow = signal.sosfilt(signal.butter(10, 3400, fs=RATE, output="sos"), voice(6))
    assert detector.examine_media(media(narrow)).conditions["reason_code"] == NARROW
    call = signal.resample_poly(voice(6), 1, 2)
    assert detector.examine_media(media(call, 8000)).conditions["reason_code"] == NARROW


def test_rate_loudness_and_channels_hardly_move_it(detector):
    sound = voice(8)
    plain = detector.examine_media(media(sound)).logit
    quick = signal.resample_poly(sound, 3, 1)
    assert detector.examine_media(media(quick, 48_000)).logit == pytest.approx(plain, abs=0.3)
    assert detector.examine_media(media(sound * 0.05)).logit == pytest.approx(plain, abs=0.3)
    assert detector.examine_media(media(np.stack([sound] * 6, 1))).logit == pytest.approx(plain, abs=1e-3)


def test_an_hour_is_heard_in_few_passages_and_little_memory():
    second = voice(4)
    asked = []

    def source(start, stop):
        for n in range(3600):
            asked.append(n)
            yield Fraction(n), second[RATE * (n % 4) : RATE * (n % 4 + 1), None]

    hour = Media(Kind.AUDIO, source, Fraction(RATE), Fraction(3600), (1,))
    passages = list(heard(hour, 6))
    assert 4 <= len(passages) <= 6
    assert passages[-1].start > 2900
    assert all(p.stop - p.start == SECONDS for p in passages)
    # Where no length is declared, it does not listen for ever.
    asked.clear()
    assert len(list(heard(Media(Kind.AUDIO, source, Fraction(RATE), None, (1,)), 3))) == 3
    assert len(asked) == 12


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 192_000])
def test_odd_samples_break_nothing(detector, rate):
    rng = np.random.default_rng(rate)
    loud = rng.normal(size=(rate * 3, 3)) * 1e30
    loud[5] = np.inf
    for sound in (loud, np.zeros((rate * 2, 1)), np.ones((rate * 3, 2)), rng.integers(0, 2, (rate * 3, 1))):
        opinion = detector.examine_media(media(sound, rate))
        assert opinion.logit is None or np.isfinite(opinion.logit)


def test_the_regression_learns_a_rule_and_weighs_labels_alike():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(400, 30)).astype(np.float32)
    fake = values[:, :3].sum(1) > 1.2
    judge = learned(values[:300], fake[:300], np.where(fake, 3.0, 1.0)[:300], Kernel(components=30))
    said = judge.logits(values[300:]) > 0
    assert (said == fake[300:]).mean() > 0.8


def test_graph_attention_learns_and_takes_published_weights():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = Graphs(width=8, nodes=4)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4, 7_000)).astype(np.float32) * 0.1
    noise[::2] = signal.lfilter([1, 1], [1], noise[::2])
    sounds, fake = torch.from_numpy(noise), torch.tensor([1.0, 0.0] * 2)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    losses = []
    for _ in range(6):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(sounds), fake)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.8 * losses[0]
    logit, places = network.eval().evidence(sounds)
    assert logit.shape == (4,)
    assert places.shape == (4, 1, 1)
    corpus = Path(os.environ.get("ASSAY_CORPUS", "/nonexistent")) / "detect/weights/AASIST-L.pth"
    if not corpus.exists():
        pytest.skip("the published weights are not here")
    published = Graphs(24, 0.4, 0.5, 0.7).eval()
    published.load_state_dict(torch.load(corpus, map_location="cpu", weights_only=True))
    with torch.inference_mode():
        assert torch.isfinite(published(torch.randn(1, 7_000) * 0.05)).all()


def write(path, sound):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    rows = []
    for number in range(28):
        fake = bool(number % 2)
        path = write(folder / f"{number}.wav", voice(3, number, grain=0.08 if fake else 0.0))
        rows.append({"path": path.name, "label": "fake" if fake else "real", "source": f"{fake}{number % 5}"})
    with (folder / "INDEX.csv").open("w", newline="") as file:
        out = csv.DictWriter(file, ["path", "label", "source"])
        out.writeheader()
        out.writerows(rows)
    return [Item(folder / r["path"], r["label"] == "fake", r["source"]) for r in rows]


def test_the_command_of_training_makes_a_detector_of_speech(index, tmp_path):
    recipe = read_recipe(ROOT / "bench" / "recipes" / "speech.toml")
    told = []
    made = run(
        recipe, index, None, tmp_path, licences={}, made=dt.date(2026, 1, 2), jobs=1,
        tell=lambda what, done, total: told.append(done),
    )  # fmt: skip
    assert made.card.kind == "audio"
    assert 20 <= made.items <= told[-1] == len(index)
    assert (tmp_path / "card.json").exists()
    assert made.fusion.lines[WIDE].real_sources == 5
    # It hears the comb of voices of sources that it had not learned from.
    assert made.fusion.lines[WIDE].slope > 0
    assert made.card.measured[0].value < 1e-4
    with pytest.raises(UsageError, match="too few"):
        run(
            recipe,
            index[:8],
            None,
            tmp_path,
            licences={},
            made=dt.date(2026, 1, 2),
            jobs=1,
            tell=lambda *_: None,
        )


def test_only_sounds_are_asked_about_and_pictures_are_not(detector, tmp_path):
    checks = [
        DetectorCheck("image", lambda: pytest.fail("not for sounds")),
        DetectorCheck("speech", lambda: detector, SpeechDetector.kinds),
    ]
    assert [c.name for c in fitting(checks, Kind.AUDIO)] == ["detector:speech"]
    assert [c.name for c in fitting(checks, Kind.IMAGE)] == ["detector:image"]
    assert [c.name for c in fitting(checks, Kind.DOCUMENT)] == ["detector:image"]
    with Subject.open(write(tmp_path / "voice.wav", voice(5))) as subject:
        evidence = checks[1](subject, ())
    assert evidence.status is Status.PASS
    assert evidence.details["opinion"]["moments"]
    with Subject.open(write(tmp_path / "short.wav", voice(1))) as subject:
        evidence = checks[1](subject, ())
    assert evidence.status is Status.ABSENT
    assert "two seconds" in evidence.summary


def test_what_is_known_of_shipped_detectors_is_what_they_say():
    for name, kinds in OURS.items():
        assert getattr(load_plugin("assay.detectors", name), "kinds", frozenset({Kind.IMAGE})) == kinds


def test_a_passage_has_one_length_of_vector(detector):
    vector, reason = numbers(voice(4), RATE)
    assert not reason
    assert len(vector) == detector._witness.card.input.length
    assert np.isfinite(vector).all()
