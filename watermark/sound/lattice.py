"""The lattice: time and frequency cut into tiles, and what a key says of each. Format: docs/formats/mark-audio.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.watermark.payload import key_stream

Reals = NDArray[np.float32]
Whole = NDArray[np.intp]

RATE = 8000
"""Samples a second at which the mark is written and heard: it lives below 4 kHz, where telephones are."""
WINDOW, HOP = 256, 64
"""Samples of a frame of the spectrogram, and between two."""
LOWEST, BAND, BANDS = 300.0, 125.0, 28
"""Lower end of the lowest band, width of a band, both in hertz, and how many there are: up to 3,800 Hz."""
SLOT, SLOTS = 8, 40
"""Frames of a slot (64 ms), and slots of a period (2.56 s), after which the lattice repeats."""
PERIOD = SLOT * SLOTS
"""Frames of a period."""
TILES = SLOTS * BANDS
"""Tiles of a period: a slot of a band each, numbered slot by slot."""
CODED = 768
"""Tiles that carry a coded bit each; the others are for finding the lattice."""
FRAME_SECONDS = HOP / RATE


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a key draws: tile ``data[i]`` carries coded bit i, tiles ``sync`` are known, ``signs`` (TILES,) are ±1."""

    data: Whole
    sync: Whole
    signs: Reals

    @classmethod
    def of(cls, key: bytes) -> Pattern:
        """Draw the pattern of a key."""
        words = key_stream("assay sound tiles", key, 2 * TILES)
        order = np.argsort(words[:TILES], kind="stable")
        signs = 1.0 - 2.0 * (words[TILES:] >> np.uint64(63)).astype(np.float32)
        return cls(order[:CODED], order[CODED:], signs.astype(np.float32))

    def tiles(self, word: Reals) -> Reals:
        """Return the signs of a period, (SLOTS, BANDS), that carries coded signs (CODED,), 0 where they are 0."""
        tiles = self.signs.copy()
        tiles[self.data] *= word
        return tiles.reshape(SLOTS, BANDS)

    def known(self) -> Reals:
        """Return the signs of the tiles that carry no bit, (SLOTS, BANDS), and 0 elsewhere."""
        return self.tiles(np.zeros(CODED, np.float32))
