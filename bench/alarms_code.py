"""The code of our own mark without its check bits: every decoding answers, with the likeliest of all words."""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from assay.watermark.hallmark.voice import Voice
from assay.watermark.payload import RATE_SIXTH, Bits, Payload, Soft
from assay.watermark.trial.changes import Rng

_BATCH = 8  # words decoded at a time: their metrics stay in the processor's cache


class Likeliest(Payload):
    """The code without check bits: every decoding answers, with the likeliest of all words.

    The trellis is Payload's with its branches in order of memory and half of them spared, since all generators
    have both end bits; ``agrees`` says on given words that both decode alike.
    """

    def check(self, identifier: bytes) -> bytes:
        """Return no bytes."""
        return b""

    def agrees(self, soft: Soft) -> bool:
        """Return whether Payload's own decoder finds the same words."""
        return bool((self._viterbi(soft) == Payload._viterbi(self, soft)).all())

    @cached_property
    def _branches(self) -> Soft:
        assert all(g & 1 and g.bit_length() == max(self.generators).bit_length() for g in self.generators)
        registers = np.arange(0, 1 << (max(self.generators).bit_length() - 1), 2, dtype=np.uint16)
        rows = [np.bitwise_count(registers & np.uint16(g)) & 1 for g in self.generators]
        return np.stack([1.0 - 2.0 * row for row in rows]).astype(np.float32)

    def _viterbi(self, soft: Soft) -> Bits:
        parts = [soft[top : top + _BATCH] for top in range(0, len(soft), _BATCH)]
        return np.concatenate([self._part(part) for part in parts])

    def _part(self, soft: Soft) -> Bits:
        batch, steps, memory = len(soft), self.id_bits, max(self.generators).bit_length() - 1
        half, wrap = 1 << (memory - 1), 6 * memory
        branches = (soft.reshape(batch * steps, -1) @ self._branches).reshape(batch, steps, half)
        order = np.arange(-wrap, steps + wrap) % steps
        metric = np.zeros((batch, 2 * half), np.float32)
        choices = _choices(len(order), batch, 2 * half)
        even, odd, low, high = (np.empty((batch, half), np.float32) for _ in range(4))
        for row, step in enumerate(order):
            branch = branches[:, step]
            np.copyto(even, metric[:, 0::2])
            np.copyto(odd, metric[:, 1::2])
            for side, sign in ((slice(half), 1), (slice(half, None), -1)):
                (np.add if sign > 0 else np.subtract)(even, branch, out=low)
                (np.subtract if sign > 0 else np.add)(odd, branch, out=high)
                np.greater(high, low, out=choices[row, :batch, side])
                np.maximum(high, low, out=metric[:, side])
        state, rows = metric.argmax(axis=1), np.arange(batch)
        decided = np.empty((len(order), batch), np.uint8)
        for row in range(len(order) - 1, -1, -1):
            decided[row] = state >> (memory - 1)
            state = ((state << 1) & (2 * half - 1)) | choices[row, rows, state]
        return decided[wrap : wrap + steps].T


@cache
def _choices(steps: int, batch: int, states: int) -> NDArray[np.bool_]:
    return np.empty((steps, batch, states), np.bool_)


@cache
def likeliest(length: int) -> Likeliest:
    """Return the code, without its check, of so many information bits; no key is in it."""
    return Likeliest(length, 0, RATE_SIXTH)


@cache
def _rows(length: int) -> Soft:
    """Return the code words of single information bits, (length, coded bits): the code is linear."""
    units = np.packbits(np.eye(length, dtype=np.uint8), axis=1)
    return np.stack([likeliest(length).encode(unit.tobytes().hex()) for unit in units]).astype(np.float32)


def words_of(voice: Voice, count: int, rng: Rng) -> Soft:
    """Return antipodal code words of random identifiers, (count, coded bits)."""
    ids = [rng.bytes(voice.id_bits // 8) for _ in range(count)]
    bits = np.unpackbits(np.frombuffer(b"".join(i + voice.payload.check(i) for i in ids), np.uint8))
    information = bits.reshape(count, -1).astype(np.float32)
    return 1 - 2 * (information @ _rows(information.shape[1]) % 2)
