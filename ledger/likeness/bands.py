"""Exact near-neighbour keys for 256-bit fingerprints: multi-index hashing (Norouzi et al., CVPR 2012).

Two values that differ in at most 31 of 256 bits differ in at most one bit in at least one of 16 bands of 16
bits (31 < 16 · 2), so probing each band's value and its 16 one-bit neighbours misses none of them.
"""

from __future__ import annotations

FINGERPRINT_BYTES = 32
MAX_DISTANCE = 31
"""Bits that may differ; the threshold that ThreatExchange recommends for PDQ."""

_BAND_BITS = 16
_BANDS = 8 * FINGERPRINT_BYTES // _BAND_BITS


def bands(value: bytes) -> list[int]:
    """Return the 16 keys (band number · 65,536 + band value) under which a 32-byte fingerprint is stored."""
    return [
        (band << _BAND_BITS) | int.from_bytes(value[2 * band : 2 * band + 2], "big")
        for band in range(_BANDS if len(value) == FINGERPRINT_BYTES else 0)
    ]


def probes(value: bytes) -> list[int]:
    """Return the 272 keys, one of which every fingerprint within ``MAX_DISTANCE`` bits is stored under."""
    flips = (0, *(1 << bit for bit in range(_BAND_BITS)))
    return [key ^ flip for key in bands(value) for flip in flips]


def distance(one: bytes, other: bytes) -> int:
    """Return the Hamming distance of two values of equal length in bits."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
