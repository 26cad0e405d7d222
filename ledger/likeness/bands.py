"""Exact near-neighbour keys for 256-bit fingerprints: multi-index hashing (Norouzi et al., CVPR 2012).

Two values that differ in at most 31 of 256 bits differ in at most one bit in at least one of 16 bands of 16
bits (31 < 16 · 2), so probing each band's value and its 16 one-bit neighbours misses none of them; in at most
47 bits (47 < 16 · 3), with the 120 two-bit neighbours besides.
"""

from __future__ import annotations

from itertools import combinations

FINGERPRINT_BYTES = 32
MAX_DISTANCE = 31
"""Bits of a PDQ that may differ; the threshold that ThreatExchange recommends."""
DISTANCES = {"pdq": MAX_DISTANCE, "io.iscc.v0": 40}
"""Bits that may differ by algorithm; for the ISCC measured, not recommended by anyone (docs/adr/0009)."""
BAND_BITS = 16
BANDS = 8 * FINGERPRINT_BYTES // BAND_BITS
SPACES = {"pdq": 0, "io.iscc.v0": 1}
"""The fingerprints that are looked up nearly, and the space of keys of each: one never leads to another's."""
FLIPS = {
    alg: tuple(
        sum(1 << bit for bit in chosen)
        for count in range(bits // BANDS + 1)
        for chosen in combinations(range(BAND_BITS), count)
    )
    for alg, bits in DISTANCES.items()
}
"""What a band's value is changed by when it is probed: in no bit, in one, where need be in two."""


def bands(value: bytes, alg: str = "pdq") -> list[int]:
    """Return the 16 keys under which a 32-byte fingerprint is stored; none for what is not looked up nearly.

    A key is (space · 16 + band number) · 65,536 + band value.
    """
    if alg not in SPACES or len(value) != FINGERPRINT_BYTES:
        return []
    first = SPACES[alg] * BANDS
    return [
        (first + band) << BAND_BITS | int.from_bytes(value[2 * band : 2 * band + 2], "big")
        for band in range(BANDS)
    ]


def probes(value: bytes, alg: str = "pdq") -> list[int]:
    """Return the keys, one of which every fingerprint within ``DISTANCES`` is stored under: 272 or 2,192."""
    return [key ^ flip for key in bands(value, alg) for flip in FLIPS[alg]]


def distance(one: bytes, other: bytes) -> int:
    """Return the Hamming distance of two values of equal length in bits."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
