"""The code of our own mark without its check bits: every decoding answers, with the likeliest of all words."""

from __future__ import annotations

from functools import cache

import numpy as np

from assay.watermark.hallmark.voice import Voice
from assay.watermark.payload import RATE_SIXTH, Payload, Soft
from assay.watermark.trial.changes import Rng


class Likeliest(Payload):
    """The code without check bits: every decoding answers, with the likeliest of all words."""

    def check(self, identifier: bytes) -> bytes:
        """Return no bytes."""
        return b""


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
