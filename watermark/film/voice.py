"""One key's voice in films: where its pattern lies at which time. Format: docs/formats/mark-video.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from assay.watermark.hallmark.canvas import Plane
from assay.watermark.hallmark.hearing import Heard
from assay.watermark.hallmark.pattern import PERIOD, TILE
from assay.watermark.hallmark.voice import Voice
from assay.watermark.payload import Bits, key_stream

SCHEME = "io.assay.film.1"
"""The algorithm id."""
SIDE = 168
"""Side in pixels of a square of the canvas' area: low waves, for codecs drop the others first."""
SECONDS = 8
"""Seconds for which the pattern lies still: a codec that is told of a change spends bits on it, or ignores it."""
STEP = (416, 288)
"""Rows and columns by which the pattern moves on then, whole tiles; it is back where it was after 32 moves."""
TONE_SHARE = 0.2
"""Share of the mark's power that the tones have."""


@dataclass(frozen=True)
class FilmVoice(Voice):
    """What a secret makes for films; raises UsageError on a short secret."""

    tries: ClassVar[int] = 256

    @property
    def scheme(self) -> str:
        """The algorithm id."""
        return SCHEME

    def corner(self, id: str, number: int) -> tuple[int, int]:
        """Return where on the pattern a canvas' upper left lies in the stretch of SECONDS of a number, from 0 on."""
        row, column = (
            int(n) for n in key_stream("assay film placement", self.key + self.payload.parse(id), 2)
        )
        return (row + number * STEP[0]) % PERIOD, (column + number * STEP[1]) % PERIOD

    def agreement(self, listened: Plane, code: Bits, corner: tuple[int, int]) -> float:
        """Return how well a listened canvas agrees with a code word, its upper left at ``corner`` of the pattern."""
        ahead = [(n % TILE, 0) for n in corner]
        heard, cover = (np.pad(plane, ahead) for plane in (listened, np.ones_like(listened)))
        first = (corner[0] // TILE, corner[1] // TILE)
        return Heard.of(self.pattern, heard, None, cover, first).agreement(code)
