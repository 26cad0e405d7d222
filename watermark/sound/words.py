"""Code words of which the writer may choose one: free bits that make the mark agree with the sound.

Beside the identifier and its check, which say something, a word has free bits that say nothing. The writer takes
the word with which the sound agrees best already: informed coding with a trellis (Miller, Doërr, Cox 2004, IEEE
Trans. Image Processing 13(6)).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from assay.watermark.payload import RATE_SIXTH, Payload
from assay.watermark.sound.lattice import Reals

ID_BITS, FREE_BITS, CHECK_BITS = 64, 32, 32
"""Bits of a word, in this order."""
MEMORY = 14
"""Earlier bits on which a coded bit depends."""
BEAM = 4096
"""Words that the writer follows at a time."""
_ID_BYTES = ID_BITS // 8


class SoundPayload(Payload):
    """A Payload whose identifier is followed by free bits, which the check does not cover."""

    def __init__(self, key: bytes) -> None:
        super().__init__(ID_BITS + FREE_BITS, CHECK_BITS, RATE_SIXTH, key)

    def check(self, identifier: bytes) -> bytes:
        """Return the check bytes of the identifier proper, as docs/formats/mark.md has them."""
        return Payload.check(self, identifier[:_ID_BYTES])

    def chosen(self, id: str, soft: Reals) -> Reals:
        """Return the signs (coded_bits,) of the word of an identifier with which soft bits agree best.

        ``soft`` (coded_bits,) is positive for 0, any scale. The best of BEAM words that are followed bit by bit.
        """
        identifier = self.parse(id + "0" * (FREE_BITS // 4))
        information = np.unpackbits(np.frombuffer(identifier + self.check(identifier), np.uint8))
        steps = soft.reshape(-1, len(RATE_SIXTH))
        register = 0
        for bit in information[ID_BITS - MEMORY : ID_BITS]:
            register = register >> 1 | int(bit) << MEMORY - 1
        states, metric = np.array([register]), np.zeros(1, np.float32)
        words = np.zeros(1, np.int64)
        for step in range(ID_BITS, ID_BITS + FREE_BITS + MEMORY):
            if step < ID_BITS + FREE_BITS:
                states = np.concatenate([states, states | 1 << MEMORY])
                words = np.concatenate([words << 1, words << 1 | 1])
                metric = np.concatenate([metric, metric])
            else:
                states = states | int(information[step]) << MEMORY
            metric = metric + _outputs()[states] @ steps[step]
            states = states >> 1
            if len(metric) > BEAM:
                kept = np.argpartition(metric, -BEAM)[-BEAM:]
                states, words, metric = states[kept], words[kept], metric[kept]
        free = int(words[metric.argmax()])
        return self._signs(id, free)

    def sure(self, id: str) -> Reals:
        """Return the coded signs (coded_bits,) that an identifier settles whatever the free bits, 0 elsewhere."""
        signs = self._signs(id, 0)
        signs.reshape(-1, len(RATE_SIXTH))[ID_BITS : ID_BITS + FREE_BITS + MEMORY] = 0
        return signs

    def _signs(self, id: str, free: int) -> Reals:
        coded = self.encode(f"{id}{free:0{FREE_BITS // 4}x}")
        signs: Reals = np.float32(1) - np.float32(2) * coded.astype(np.float32)
        return signs


@cache
def _outputs() -> Reals:
    """Return the antipodal outputs (2^15, 6) of every register, the newest bit on top."""
    registers = np.arange(1 << MEMORY + 1, dtype=np.uint16)[:, None]
    parity = np.bitwise_count(registers & np.array(RATE_SIXTH, np.uint16)) & 1
    outputs: Reals = (1.0 - 2.0 * parity).astype(np.float32)
    return outputs
