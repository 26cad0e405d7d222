from __future__ import annotations

import numpy as np
import pytest

from assay.watermark.known import MESSAGES
from assay.watermark.known import network as net
from assay.watermark.known.chroma import low_band, resampled
from assay.watermark.known.network import log_odds
from assay.watermark.known.statistic import Field, agreement, alignments, excesses, nearness, residue

TEXT, DIGITS = MESSAGES[1], MESSAGES[2]


def planted(message, shape, stride, shift, strength, seed=1):
    """Return noise with a message in it."""
    rows, columns = shape
    number = np.arange(rows)[:, None] * stride + np.arange(columns) + shift
    noise = np.random.default_rng(seed).normal(size=shape)
    return (strength * (2.0 * message.bits[number % len(message.bits)] - 1) + noise).astype(np.float32)


def heard(values):
    return Field(values, nearness(values[None])[0])


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.generator)
@pytest.mark.parametrize("columns", [64, 61])
def test_the_bound_holds_for_noise_and_for_columns_that_differ(message, columns):
    rng = np.random.default_rng(7)
    for structure in (0.0, 2.0):
        chances = []
        for _ in range(300):
            values = rng.normal(size=(60, columns)) + structure * rng.normal(size=columns)
            answer = agreement(heard(values.astype(np.float32)), message, columns)
            assert answer is not None
            chances.append(10 ** answer[1])
        # The bound is above the chance, never below: at 1 in 20, at most 1 in 20 and its scatter.
        assert np.mean(np.array(chances) < 0.05) < 0.05 + 3 * np.sqrt(0.05 / 300)
        assert min(chances) > 1e-6


@pytest.mark.parametrize("apart", [(2, 0), (1, 1), (2, -4)])
def test_the_bound_holds_where_blocks_resemble_others_of_the_same_bit(apart):
    # Under the stride that brings the same bit back there, what two such blocks share is no evidence.
    down, right = apart
    stride = (DIGITS.bits.size - right) // down
    rng = np.random.default_rng(8)
    chances = []
    for _ in range(300):
        noise = rng.normal(size=(70, 80))
        moved = np.roll(noise, (down, right), (0, 1)) + np.roll(noise, (2 * down, 2 * right), (0, 1))
        answer = agreement(heard((noise + moved)[4:-4, 8:-8].astype(np.float32)), DIGITS, stride)
        assert answer is not None
        chances.append(10 ** answer[1])
    assert np.mean(np.array(chances) < 0.05) < 0.05 + 3 * np.sqrt(0.05 / 300)
    assert min(chances) > 1e-5
    of_strides = excesses(heard((noise + moved).astype(np.float32)).near, DIGITS)
    assert of_strides[stride] > 2
    assert np.median(of_strides) < 1.3


def test_alignments_are_those_that_trying_all_of_them_finds():
    for message, shape in ((DIGITS, (40, 61)), (TEXT, (33, 20))):
        length = len(message.bits)
        values = planted(message, shape, 19, 7, 0.7)
        scores = alignments(values, message)
        assert divmod(int(scores.argmax()), length) == (19, 7)
        tried = {
            (a, b): agreement_sum(values, message, a, b)
            for a in range(0, length, 3)
            for b in range(0, length, 5)
        }
        for key, expected in tried.items():
            assert scores[key] == pytest.approx(expected, abs=1e-3)


def agreement_sum(values, message, stride, shift):
    """Return the sum over all blocks of value times sign, in standard deviations."""
    signs = 2.0 * message.bits - 1
    signs = signs - signs.reshape(-1, message.period).mean(0)[np.arange(len(signs)) % message.period]
    number = np.arange(values.shape[0])[:, None] * stride + np.arange(values.shape[1]) + shift
    return (values * signs[number % len(signs)]).sum() / np.sqrt(
        np.square(values).sum() * np.square(signs).mean()
    )


def test_agreement_falls_with_a_wrong_stride_shift_or_message():
    values = planted(DIGITS, (64, 64), 16, 0, 0.5)
    right = agreement(heard(values), DIGITS, 16)
    assert right is not None
    assert right[1] < -20
    for stride, shift, message in ((17, 0, DIGITS), (16, 3, DIGITS), (16, 0, TEXT)):
        wrong = agreement(heard(values), message, stride, shift)
        assert wrong is not None
        assert wrong[1] > -4


def test_a_field_takes_out_what_a_region_has_in_common():
    odds = np.zeros((40, 40), np.float32)
    odds[:, 20:] = 3.0
    rest = residue(odds)
    assert abs(rest[:, :15]).max() < 1e-6
    assert abs(rest[:, 26:]).max() < 1e-6


def test_the_network_hears_the_same_whatever_pieces_it_is_given(monkeypatch):
    low = np.random.default_rng(2).normal(0, 20, (4 * 23, 4 * 17)).astype(np.float32)
    at_once = log_odds(low)
    monkeypatch.setattr(net, "_PIECE", 40)
    assert log_odds(low) == pytest.approx(at_once, abs=1e-4)


def test_resampling_a_window_is_the_window_of_resampling():
    picture = np.random.default_rng(3).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    for size in ((135, 105), (45, 35)):
        all_of_it = resampled(picture, size, (0, 0, *size))
        assert resampled(picture, size, (8, 16, 24, 16)) == pytest.approx(all_of_it[8:32, 16:32], abs=1e-4)


def test_low_band_is_haar_s():
    pywt = pytest.importorskip("pywt")
    plane = np.random.default_rng(4).normal(0, 30, (64, 80)).astype(np.float32)
    assert low_band(plane) == pytest.approx(pywt.dwt2(plane, "haar")[0], abs=1e-3)
    assert low_band(plane, 3, 5) == pytest.approx(pywt.dwt2(plane[3:59, 5:77], "haar")[0], abs=1e-3)
