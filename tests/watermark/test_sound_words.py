"""What the sound mark writes: words with free bits, the key's pattern, the published vector."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from assay.provenance.errors import ConfigurationError
from assay.watermark.payload import PUBLIC_KEY
from assay.watermark.sound import listener
from assay.watermark.sound.lattice import CODED, SLOTS, TILES, Pattern
from assay.watermark.sound.read import _followed, summed, window_starts
from assay.watermark.sound.voice import Voice, p_value
from assay.watermark.sound.words import FREE_BITS, SoundPayload

ID = "00112233aabbccdd"
VECTOR = (Path(__file__).resolve().parents[2] / "docs" / "formats" / "mark-audio.md").read_text("utf-8")


def vector(name: str) -> str:
    found = re.search(rf"^{re.escape(name)} +((?:.+\n)(?: {{11}}.+\n)*)", VECTOR, re.MULTILINE)
    assert found, name
    return re.sub(r"\n +", "", found[1]).strip()


def test_the_published_vector():
    voice = Voice(PUBLIC_KEY)
    assert voice.key.hex() == vector("KEY")
    assert voice.payload.check(bytes.fromhex(ID)).hex() == vector("check")
    code = voice.payload.encode(ID + "0" * (FREE_BITS // 4))
    assert np.packbits(code).tobytes().hex() == vector("code")
    pattern = voice.pattern
    assert " ".join(map(str, pattern.data[:8])) == vector("tiles of bits 0 to 7")
    assert " ".join(map(str, pattern.sync[:8])) == vector("known tiles, first eight")
    assert "".join("+" if s > 0 else "-" for s in pattern.signs[:16]) == vector("signs of tiles 0 to 15")


@pytest.mark.parametrize("seed", range(3))
def test_a_chosen_word_says_the_same_and_agrees_better(seed):
    payload = SoundPayload(b"key")
    rng = np.random.default_rng(seed)
    sound = rng.normal(size=CODED).astype(np.float32)
    chosen = payload.chosen(ID, sound)
    (word,) = payload.decode(chosen[None])
    assert word is not None
    assert word.id.startswith(ID)
    others = [
        1 - 2 * payload.encode(f"{ID}{int(free):08x}").astype(float)
        for free in rng.integers(0, 1 << FREE_BITS, 200)
    ]
    assert chosen @ sound > max(other @ sound for other in others)
    free = payload.sure(ID) == 0
    assert float((chosen * sound)[free].sum()) / np.linalg.norm(sound) > 3


def test_sure_bits_are_sure_whatever_the_free_bits():
    payload = SoundPayload(b"key")
    sure = payload.sure(ID)
    assert (sure != 0).sum() == CODED - 6 * (FREE_BITS + 14)
    for free in ("ffffffff", "00000001", "80000000", "12345678"):
        signs = 1 - 2 * payload.encode(ID + free).astype(np.float32)
        assert np.array_equal(signs[sure != 0], sure[sure != 0])


def test_the_check_covers_the_identifier_and_knows_the_key():
    payload = SoundPayload(b"key")
    word = payload.chosen(ID, np.zeros(CODED, np.float32))
    assert SoundPayload(b"another key").decode(word[None]) == [None]


def test_patterns_of_two_keys_have_nothing_in_common():
    one, other = Pattern.of(b"one"), Pattern.of(b"other")
    assert abs(float(one.signs @ other.signs)) < 5 * np.sqrt(TILES)
    assert sorted([*one.data, *one.sync]) == list(range(TILES))
    assert len(set(one.data) & set(other.data)) < 0.8 * CODED


def test_p_values_count_words_and_decodings():
    assert p_value(0, 1) == 1
    assert p_value(10, 1) == 1
    assert p_value(15, 2**20) < 1e-9 < p_value(13.5, 2**20)
    assert p_value(13.6, 16) < 1e-9 < p_value(13.4, 16)


def test_odds_are_summed_by_their_tile():
    odds = np.ones((100, 28), np.float32)
    total = summed(odds, 30)
    assert total[30:].tolist() == [[3.0] * 28] * 10
    assert total.sum() == odds.sum()
    assert total.shape == (SLOTS, 28)
    assert np.array_equal(summed(odds, -10), total), "numbers are counted modulo a period"


def test_windows_cover_a_passage():
    for frames in (200, 1250, 1300, 7500):
        starts = window_starts(frames)
        assert starts[0] == 0
        assert starts[-1] + 1288 + SLOTS >= frames, "but for less than half a second"
        assert max(np.diff(starts), default=0) <= 640


def test_a_change_needs_evidence():
    quiet = np.zeros((2, 60), np.float32)
    quiet[1] = 1
    assert _followed(quiet).all(), "a mark that is there throughout"
    quiet[1, 20:40] = -1
    assert np.array_equal(np.flatnonzero(_followed(quiet) == 0), np.arange(20, 40)), "a gap of some length"
    quiet[1, 20:40] = 1
    quiet[1, 30:33] = -1
    assert _followed(quiet).all(), "a stumble is no gap"


def test_other_weights_are_refused(monkeypatch):
    monkeypatch.setattr(listener, "SHA256", "0" * 64)
    listener._layers.cache_clear()
    with pytest.raises(ConfigurationError, match="not the one published"):
        listener._layers()
    listener._layers.cache_clear()
