from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.provenance.errors import UsageError
from assay.watermark.layout import Layout, origin
from assay.watermark.payload import PUBLIC_KEY, RATE_HALF, RATE_QUARTER, RATE_SIXTH, Payload


def antipodal(code: np.ndarray) -> np.ndarray:
    return (1.0 - 2.0 * code).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(identifier=st.binary(min_size=6, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_survives_noise_at_the_strength_where_hard_decisions_err_in_one_bit_of_eight(identifier, seed):
    payload = Payload()
    noise = np.random.default_rng(seed).normal(0, 0.87, payload.coded_bits)
    soft = antipodal(payload.encode(identifier.hex())) + noise
    (word,) = payload.decode(soft[None].astype(np.float32))
    assert word is not None
    assert word.id == identifier.hex()
    assert word.correlation < 1


@settings(max_examples=25, deadline=None)
@given(identifier=st.binary(min_size=4, max_size=4), shift=st.integers(0, 127))
def test_survives_a_burst_of_erasures_and_some_errors_anywhere(identifier, shift):
    payload = Payload(32, 32, RATE_HALF)
    soft = antipodal(payload.encode(identifier.hex()))
    soft[np.arange(shift, shift + 8) % 128] = 0
    soft[np.arange(shift + 40, shift + 120, 16) % 128] *= -1
    (word,) = payload.decode(soft[None])
    assert word is not None
    assert word.id == identifier.hex()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_noise_is_not_an_identifier(seed):
    noise = np.random.default_rng(seed).normal(size=(8, 320)).astype(np.float32)
    assert Payload().decode(noise) == [None] * 8


class Unchecked(Payload):
    def check(self, identifier: bytes) -> bytes:
        return b""


@pytest.mark.parametrize(
    ("generators", "noise"),
    [(RATE_HALF, 0.9), (RATE_QUARTER, 1.3), (RATE_SIXTH, 1.8)],
    ids=["1/2", "1/4", "1/6"],
)
def test_what_is_decoded_is_as_likely_as_what_was_sent(generators, noise):
    """Few words lose at the seam, where the ends of a path must meet; elsewhere no likelier path is missed."""
    code, rng = Unchecked(96, 0, generators), np.random.default_rng(5)
    sent = antipodal(np.stack([code.encode(rng.bytes(12).hex()) for _ in range(24)]))
    soft = (sent + noise * rng.normal(size=sent.shape)).astype(np.float32)
    found = antipodal(np.stack([code.encode(word.id) for word in code.decode(soft)]))
    right = (found == sent).all(1)
    assert 0.6 < right.mean() < 1  # so hard that the likeliest is not always what was sent
    assert (((found - sent) * soft).sum(1)[~right] > 0).sum() >= (~right).sum() / 5
    assert (((found - sent) * soft).sum(1) < 0).mean() <= 0.15


def test_another_key_reads_nothing():
    soft = antipodal(Payload(key=b"ours").encode("00112233aabb"))
    assert Payload(key=b"theirs").decode(soft[None]) == [None]


def test_nonsense_is_refused_not_decoded():
    bad = np.full((1, 320), np.nan, np.float32)
    assert Payload().decode(bad) == [None] or Payload().decode(bad)[0].correlation != 1
    for identifier in ("", "00112233aab", "00112233aabbcc", "0x112233aabb", "zz112233aabb", "00 112233aab"):
        with pytest.raises(UsageError):
            Payload().encode(identifier)


def test_format_vector():
    """The numbers of docs/formats/mark.md."""
    payload = Payload()
    code = payload.encode("00112233aabb")
    assert payload.check(bytes.fromhex("00112233aabb")).hex() == "17e7d398"
    assert np.packbits(code).tobytes().hex() == (
        "73f5f000000f379152c21cba23ea147482ad5369c6c9f1576772f70a490f9e4d29acdf0287a11de2"
    )
    layout = Layout(PUBLIC_KEY)
    assert layout.order[:8].tolist() == [156, 315, 110, 245, 91, 67, 304, 217]
    assert np.allclose(layout.dither.ravel()[:4], [0.205939, 0.775844, 0.784222, 0.576050], atol=1e-6)
    targets = np.roll(layout.targets(32, 20, code)[:16], origin(32, 20), (0, 1)).ravel()[:4]
    assert origin(32, 20) == (12, 16)
    assert np.allclose(targets, [0.705939, 0.775844, 0.284222, 0.076050], atol=1e-6)


def test_code_word_agrees_with_a_shift_register():
    """The convolution written out bit by bit, as docs/formats/mark.md has it."""
    payload = Payload()
    identifier = bytes.fromhex("a5005affc301")
    bits = [b >> s & 1 for b in identifier + payload.check(identifier) for s in range(7, -1, -1)]
    word = []
    for t in range(80):
        register = sum(bits[t - age] << (8 - age) for age in range(9))
        word += [(register & g).bit_count() % 2 for g in (0o463, 0o535, 0o733, 0o745)]
    assert payload.encode(identifier.hex()).tolist() == word
