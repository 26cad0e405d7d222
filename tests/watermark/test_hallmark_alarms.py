"""The statistic of our mark against fair coins: what is not marked with a key must not agree with it."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import numpy as np
import pytest

from assay.provenance.media import Media
from assay.watermark.hallmark import read
from assay.watermark.hallmark.canvas import canonical_shape, luma
from assay.watermark.hallmark.listener import by_network, by_rule
from assay.watermark.hallmark.pattern import PERIOD, TILE, Placement
from assay.watermark.hallmark.scheme import Hallmark
from assay.watermark.hallmark.voice import TRIES, Voice

ID = "00112233aabbccdd"
SIDE = 320
VOICES = [Voice(b"calibration, %04d" % number) for number in range(16)]
WORDS = [f"{number:016x}" for number in range(0, 1 << 63, (1 << 63) // 40)]
BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(scope="module")
def alarms():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCH))
        return importlib.import_module("alarms")


def checks(period):
    down, across = np.indices((SIDE, SIDE))
    plane = np.where((down * 2 // period + across * 2 // period) % 2, 200, 60) + down // 8
    return np.repeat(plane.astype(np.uint8)[..., None], 3, 2)


@pytest.fixture(scope="module")
def planes(photo):
    """What is heard, and luma: photographs, and patterns with the tiles' own period."""
    pictures = [photo(name) for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")]
    pictures += [checks(TILE), checks(TILE // 4), checks(20)]
    light = [luma(p, canonical_shape(*p.shape[:2], SIDE)) for p in pictures]
    return [(listen(plane), plane) for plane in light for listen in (by_rule, by_network)]


@pytest.fixture(scope="module")
def said(planes):
    """Soft bits over their spread of every plane under each of VOICES, (voices, planes, length)."""
    heard = []
    for number, voice in enumerate(VOICES):
        placement = Placement(number % 8, (number * 37 % PERIOD, number * 91 % PERIOD))
        softs = [voice.heard(plane, light, placement).soft() for plane, light in planes]
        heard.append([soft / spread for soft, spread in softs])
    return np.array(heard)


def test_words_chosen_before_agree_like_fair_coins(said):
    found = np.concatenate(
        [
            (said[n] @ (1 - 2.0 * np.stack([v.payload.encode(w) for w in WORDS])).T).ravel()
            for n, v in enumerate(VOICES)
        ]
    )
    assert abs(found.mean()) < 0.06
    for sigma in (1, 2, 3):
        expected = found.size * math.erfc(sigma / math.sqrt(2))
        assert abs((np.abs(found) > sigma).sum() - expected) < 0.1 * expected + 5 * math.sqrt(expected), sigma
    assert np.abs(found).max() < 5.7  # one of 10^8 normal numbers is larger; these are 10^4


def test_no_picture_has_more_energy_than_coins(said):
    energy = (said**2).sum(-1)  # chi-squared of 576 degrees over 576: standard deviation 0.06
    assert abs(energy.mean() - 1) < 0.03
    assert np.abs(energy.mean(0) - 1).max() < 0.08
    assert energy.max() < 1.35


def test_of_all_words_none_comes_near_what_a_mark_says(alarms, planes, photo):
    mark = Hallmark((b"another desk's secret",))
    marked = luma(mark.embed(Media.still(photo("coffee.png")), ID).frame(), canonical_shape(400, 600, 640))
    (voice,) = mark.voices
    code, placement = voice.payload.encode(ID), voice.placement(ID)
    assert voice.heard(by_rule(marked), marked, placement).agreement(code) > 15
    tally = alarms.Tally()
    planes = [(by_rule(marked), marked), *planes[::3]]
    said = [alarms.Said(v, v.heard(*p, placement)) for v in VOICES[:4] for p in planes]
    alarms.forced(said, tally, "any")
    # By the union bound one of 2^96 words exceeds 12.6 once in a million decodings.
    assert 6 < tally.most["agreement"] < 12.6
    assert not tally.counts["valid"]
    assert tally.counts["loud"] <= 2


def test_the_code_words_of_the_bench_are_those_of_the_mark(alarms):
    voice = VOICES[0]
    assert (
        alarms.words_of(voice, 1, np.random.default_rng(7))
        == 1 - 2.0 * voice.payload.encode(np.random.default_rng(7).bytes(8).hex())
    ).all()


def test_the_picture_of_one_key_says_nothing_under_another(photo, monkeypatch):
    monkeypatch.setattr(read, "SIZES", read.SIZES[:2])  # the mark is found in the first
    marked = Media.still(
        Hallmark((b"a secret of ours",)).embed(Media.still(photo("coffee.png")), ID).frame()[:300, :300]
    )
    assert Hallmark((b"a secret of ours",)).read(marked).mark.id == ID
    for reader in (Hallmark((b"a secret of theirs",)), Hallmark((b"a secret of ours",), 128)):
        reading = reader.read(marked)
        assert not reading.found
        assert reading.p_value == 1


def test_every_hypothesis_is_counted(alarms, photo, monkeypatch):
    monkeypatch.setattr(read, "CLEAR", -math.inf)
    monkeypatch.setattr(read, "LOUD", -math.inf)
    monkeypatch.setattr(read, "by_network", by_rule)
    reader = alarms.Watched([VOICES[0]])
    assert not reader.read(photo("rocket.jpg")[:200, :200]).found
    assert 10 < len(reader.seen) <= TRIES


def test_p_values_count_words_hypotheses_and_keys():
    voice = VOICES[0]
    for agreement in (11.0, 12.0, 13.0):
        words = TRIES * 2.0**64 * math.exp(-(agreement**2) / 2)
        assert voice.p_value(agreement) == pytest.approx(min(1, words), rel=1e-6)
        assert voice.p_value(agreement, 3) == pytest.approx(min(1, 3 * words), rel=1e-6)
    assert voice.p_value(11.5) > read.ALARM > voice.p_value(11.9)
    assert Voice(b"no secret at all", 256).p_value(19.9) > read.ALARM
    for agreement in (math.nan, -20.0, 0.0):
        assert voice.p_value(agreement) == 1


def test_ground_on_which_nothing_is_heard_has_no_coins():
    for level in (0, 128, 255):
        light = np.full((320, 320), level, np.float32)
        heard = VOICES[0].heard(by_rule(light), light, Placement(0, (5, 7)))
        soft, _ = heard.soft()
        assert np.isfinite(soft).all()
        assert VOICES[0].p_value(heard.agreement(VOICES[0].payload.encode(ID))) == 1
        assert heard.loudness() < read.LOUD


def test_the_bench_goes_on_where_it_stopped(alarms, tmp_path, monkeypatch):
    for name in ("CROPS", "POSES"):
        monkeypatch.setattr(alarms, name, 1)
    monkeypatch.setattr(alarms, "KEYS", 2)
    monkeypatch.setattr("unmarked.DRAWN", 1)
    pictures = alarms.Pictures([], [])

    def counted(file, *goals):
        for goal in goals:
            state = alarms.State.open(tmp_path / file, 3, 64)
            alarms.run(
                state, pictures, {"decodings": goal, "coins": 0, "readings": 0, "failures": 0}, math.inf
            )
        return state.document()["parts"]

    assert counted("twice", 2, 4) == counted("once", 4)
