"""The mark of our own, whole: hide an identifier in a picture, and find it again. Format: docs/formats/mark.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from assay.provenance.errors import LimitError, UsageError
from assay.provenance.mark import Reading
from assay.provenance.media import Kind, Media, Samples
from assay.watermark.hallmark.canvas import Plane, canonical_shape, luma, side_of
from assay.watermark.hallmark.listener import by_network, by_rule
from assay.watermark.hallmark.mask import amplitude
from assay.watermark.hallmark.pattern import TILE, Placement
from assay.watermark.hallmark.read import Reader
from assay.watermark.hallmark.voice import Voice
from assay.watermark.hallmark.write import added, drawn, worn
from assay.watermark.payload import PUBLIC_KEY, Bits

LOUDEST, FAINTEST = 43.1, 51.5
"""Peak signal-to-noise ratios in decibels between which the mark's strength is chosen."""
LOUDEST_SMALL, FEW = 41.0, 300_000
"""The same where a picture has fewer pixels than FEW."""
WORN_GOAL, CROP_GOAL = 22.0, 12.8
"""Statistics at which no more strength is needed: after the trial passage, and in the faintest trial crop."""
CROP = 0.1
"""Share of the area of a trial crop; there is one in each corner, and one in the middle."""
HEARD = 15.0
"""Least statistic of the finished picture: a reader needs about 14, and hears more than the rule does."""
CERTAIN = {64: 18.0, 128: 23.0, 256: 30.0}
"""Statistics, by length of the identifier, from which the rule alone reads it; below, a writer reads back first."""
LEAST_SIDE = 128
"""Fewest pixels of a picture's shorter side."""


class Hallmark:
    """Watermark for images: an identifier that survives platforms, found by hidden tones and a small network.

    ``keys`` are secrets of 16 bytes or more: the first one writes, all are tried on reading, so that a key can be
    changed and old marks are still read. ``id_bits`` is 64, 128 or 256; each is a scheme of its own. Conforms to
    ``assay.provenance.protocols.Watermark``.
    """

    kinds = frozenset({Kind.IMAGE})

    def __init__(self, keys: Sequence[bytes] = (PUBLIC_KEY,), id_bits: int = 64) -> None:
        if not keys:
            raise UsageError("a mark needs a key", hint="give one, or leave it out for the public key")
        self.voices = [Voice(key, id_bits) for key in keys]
        self.id_bits = id_bits
        self.scheme = self.voices[0].scheme
        self._reader = Reader(self.voices)

    def embed(self, media: Media, id: str) -> Media:
        """Return the picture with the identifier, in hexadecimal, in its luma.

        Raises LimitError where the picture is too small, too flat (nothing to hide in, as on a blank page) or too
        stark (all samples black or white), UsageError on a malformed identifier.
        """
        voice = self.voices[0]
        code, placement = voice.payload.encode(id), voice.placement(id)
        pixels = media.frame()
        height, width = pixels.shape[:2]
        if min(height, width) < LEAST_SIDE:
            raise LimitError(
                f"the picture is too small for a mark ({width} x {height})",
                hint=f"its shorter side needs {LEAST_SIDE} pixels",
            )
        plane = luma(pixels, canonical_shape(height, width, side_of(height, width)))
        change = amplitude(plane) * drawn(voice.pattern, code, plane, placement)
        change *= np.float32(self._strength(plane, change, code, placement, (height, width)))
        marked = added(pixels, change)
        # Heard in the finished samples: black and white have no room for half of the change.
        heard = self._agreement(luma(marked, plane.shape), code, placement)
        if heard < HEARD or (heard < CERTAIN[self.id_bits] and not self._reads(marked, id)):
            raise LimitError(
                "the picture is too small, too flat or too stark for a mark",
                hint="sign it without a watermark",
            )
        return Media.still(marked)

    def read(self, media: Media) -> Reading:
        """Look for an identifier in any pose: as it was embedded, cropped, scaled, turned, mirrored, stretched.

        ``p_value`` bounds, over the choice of the key, the probability that a picture not marked with it agrees
        as well with any identifier, all hypotheses that were tried counted; docs/formats/mark.md derives it.
        """
        return self._reader.read(media.frame())

    def locate(self, media: Media) -> Reading:
        """Read, and say which parts of the picture carry the mark and which do not."""
        return self._reader.read(media.frame(), locate=True)

    def _strength(
        self, plane: Plane, change: Plane, code: Bits, placement: Placement, shape: tuple[int, int]
    ) -> float:
        """Return the factor at which the mark outlasts a hard passage, within the bounds of visibility."""
        loud = math.sqrt(float((change * change).mean())) + 1e-6
        loudest = LOUDEST if shape[0] * shape[1] >= FEW else LOUDEST_SMALL
        least, most = (255 / 10 ** (decibels / 20) / loud for decibels in (FAINTEST, loudest))
        tried = math.sqrt(least * most)
        marked = plane + np.float32(tried) * change
        passed = self._agreement(worn(marked, shape), code, placement) / WORN_GOAL
        cropped = self._least_of_crops(marked, code, placement) / CROP_GOAL
        return min(most, max(least, tried / max(min(passed, cropped), 1e-3)))

    def _least_of_crops(self, plane: Plane, code: Bits, placement: Placement) -> float:
        """Return the least statistic that the network hears in a tenth of a marked canvas, of five such."""
        rows, columns = plane.shape
        part = (max(TILE, int(rows * math.sqrt(CROP))), max(TILE, int(columns * math.sqrt(CROP))))
        down, across = rows - part[0], columns - part[1]
        heard = []
        for top, left in ((0, 0), (0, across), (down // 2, across // 2), (down, 0), (down, across)):
            crop = plane[top : top + part[0], left : left + part[1]]
            place = placement.of_part((top, left), part, (rows, columns))
            heard.append(self.voices[0].heard(by_network(crop), crop, place).agreement(code))
        return min(heard)

    def _reads(self, marked: Samples, id: str) -> bool:
        """Say whether a reader finds the identifier in a finished picture."""
        found = self._reader.find(marked)
        return found is not None and found.id == id.lower()

    def _agreement(self, plane: Plane, code: Bits, placement: Placement) -> float:
        """Return the statistic that the rule hears in a marked canvas."""
        return self.voices[0].heard(by_rule(plane), plane, placement).agreement(code)
