"""The payload: identifier, keyed check bits, tail-biting convolutional code. Format: docs/formats/mark.md."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from assay.provenance.errors import UsageError

PUBLIC_KEY = b"assay public mark key, version 1"
"""The deployment key used where none is given: public on purpose, a mark is a lead and never proof."""

RATE_QUARTER = (0o463, 0o535, 0o733, 0o745)
"""Rate 1/4, constraint length 9, free distance 24 (Larsen 1973, IEEE Trans. IT 19(3), table II)."""
RATE_HALF = (0o561, 0o753)
"""Rate 1/2, constraint length 9, free distance 12 (Larsen 1973; also the CDMA uplink's code)."""

RATE_SIXTH = (0o46321, 0o51271, 0o63667, 0o70535, 0o73277, 0o76513)
"""Rate 1/6, constraint length 15 (the Cassini probe's code: Divsalar, Pollara 1995, TDA Progress Report 42-120)."""

_WRAP = 6  # memories decoded before and after the word so that both of its ends have settled

Bits = NDArray[np.uint8]
Soft = NDArray[np.float32]


def key_stream(label: str, key: bytes, count: int) -> NDArray[np.uint64]:
    """Return ``count`` 64-bit words, big-endian, of SHAKE-256(label ‖ 0x00 ‖ key) (FIPS 202)."""
    stream = hashlib.shake_256(label.encode() + b"\x00" + key).digest(8 * count)
    return np.frombuffer(stream, dtype=">u8").astype(np.uint64)


def _memory(generators: tuple[int, ...]) -> int:
    """Return how many earlier bits the encoder's register holds."""
    return max(generators).bit_length() - 1


@lru_cache(maxsize=4)
def _outputs(generators: tuple[int, ...]) -> Soft:
    """Return the antipodal output (0 → +1, 1 → -1) of the transitions by a 0 from even states, (outputs, states / 2).

    A register value holds the newest bit on top and the oldest at the bottom, so that ``register >> 1`` is the state
    it leads to. All generators have both of these bits: one that changes turns every output round.
    """
    assert all(g & 1 and g >> _memory(generators) for g in generators)
    registers = np.arange(0, 1 << _memory(generators), 2, dtype=np.uint16)
    rows = [np.bitwise_count(registers & np.uint16(g)) & 1 for g in generators]
    return np.stack([1.0 - 2.0 * row for row in rows]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Word:
    """A decoded payload: ``id`` in hexadecimal, ``correlation`` in [-1, 1] of code word and input."""

    id: str
    correlation: float


@dataclass(frozen=True, slots=True)
class Payload:
    """``id_bits`` of identifier and ``check_bits`` of keyed BLAKE2b, under a tail-biting code.

    ``generators`` are octal generator polynomials as the literature prints them. ``key`` is any bytes; its
    SHAKE-256 makes the BLAKE2b key. Identifiers are whole bytes.
    """

    id_bits: int = 48
    check_bits: int = 32
    generators: tuple[int, ...] = RATE_QUARTER
    key: bytes = field(default=PUBLIC_KEY, repr=False)

    @property
    def coded_bits(self) -> int:
        """Length of a code word in bits."""
        return (self.id_bits + self.check_bits) * len(self.generators)

    def check(self, identifier: bytes) -> bytes:
        """Return the check bytes: BLAKE2b of the identifier under the key (RFC 7693, personalised)."""
        key = hashlib.shake_256(b"assay mark check\x00" + self.key).digest(32)
        return hashlib.blake2b(
            identifier, digest_size=self.check_bits // 8, key=key, person=b"assay.mark.1"
        ).digest()

    def parse(self, id: str) -> bytes:
        """Read an identifier; raises UsageError where it is not ``id_bits`` of hexadecimal."""
        try:
            identifier = bytes.fromhex(id)
        except ValueError:
            identifier = b""
        if len(identifier) * 8 != self.id_bits or len(id) * 4 != self.id_bits:
            raise UsageError(
                f"not a mark identifier: {id[:80]!r}", hint=f"write {self.id_bits // 4} hexadecimal digits"
            )
        return identifier

    def encode(self, id: str) -> Bits:
        """Return the code word, uint8 0 and 1, shape (coded_bits,); raises UsageError on a bad identifier."""
        identifier = self.parse(id)
        bits = np.unpackbits(np.frombuffer(identifier + self.check(identifier), np.uint8))
        # The register holds the newest bit on top; before the first bit it holds the last ones (tail-biting).
        memory = _memory(self.generators)
        delayed = np.stack([np.roll(bits, age) for age in range(memory + 1)]).astype(np.uint16)
        registers = (delayed << np.arange(memory, -1, -1, dtype=np.uint16)[:, None]).sum(0).astype(np.uint16)
        word = np.stack([np.bitwise_count(registers & np.uint16(g)) & 1 for g in self.generators], axis=1)
        return word.reshape(-1).astype(np.uint8)

    def decode(self, soft: Soft) -> list[Word | None]:
        """Decode a batch of soft words, shape (batch, coded_bits), positive for 0, any scale.

        Returns one Word each, or None where the check bits do not match. Maximum-likelihood but for the ends,
        which wrap-around Viterbi decoding settles (Shao, Lin, Fossorier 2003, IEEE Trans. Comm. 51(10)).
        """
        information = self._viterbi(np.nan_to_num(np.asarray(soft, np.float32)))
        return [self._verify(bits, row) for bits, row in zip(information, soft, strict=True)]

    def _verify(self, bits: Bits, soft: Soft) -> Word | None:
        data = np.packbits(bits).tobytes()
        identifier, check = data[: self.id_bits // 8], data[self.id_bits // 8 :]
        if self.check(identifier) != check:
            return None
        signs = 1.0 - 2.0 * self.encode(identifier.hex())
        energy = float(np.linalg.norm(soft)) * float(np.sqrt(soft.size))
        return Word(identifier.hex(), float(signs @ soft) / energy if energy > 0 else 0.0)

    def _viterbi(self, soft: Soft) -> Bits:
        """Return the information bits, shape (batch, id_bits + check_bits), of the likeliest paths."""
        batch, steps = soft.shape[0], self.id_bits + self.check_bits
        outputs, memory = _outputs(self.generators), _memory(self.generators)
        states, half = 1 << memory, 1 << (memory - 1)
        branches = (soft.reshape(batch * steps, -1) @ outputs).reshape(batch, steps, half)
        order = np.arange(-_WRAP * memory, steps + _WRAP * memory) % steps
        metric = np.zeros((batch, states), np.float32)
        choices = np.empty((len(order), batch, states), np.bool_)
        for row, step in enumerate(order):
            # States 2n and 2n + 1 lead to n by a 0, to n + states / 2 by a 1.
            branch, even, odd = branches[:, step], metric[:, 0::2].copy(), metric[:, 1::2].copy()
            for side, into in ((branch, slice(half)), (-branch, slice(half, None))):
                low, high = even + side, odd - side
                np.greater(high, low, out=choices[row, :, into])
                np.maximum(high, low, out=metric[:, into])
        state = metric.argmax(axis=1)
        rows = np.arange(batch)
        decided = np.empty((len(order), batch), np.uint8)
        for row in range(len(order) - 1, -1, -1):
            decided[row] = state >> (memory - 1)
            state = ((state << 1) & (states - 1)) | choices[row, rows, state]
        return decided[_WRAP * memory : _WRAP * memory + steps].T
