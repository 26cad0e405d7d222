"""The journeys that every picture makes before it is measured: calibration, training and evaluation know the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.detect.crops import bounded, encoded
from assay.provenance.media import Samples

MOST_SIDE = 2048
"""Longer side in pixels to which larger pictures are always reduced for training."""

SHARED = 1024
"""Longer side in pixels to which pictures are brought before they are shared."""

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Journey:
    """One way through a size and encoders: the longer side ends with at most ``most`` pixels.

    ``passes`` are of (encoder, quality), in their order.
    """

    passes: tuple[tuple[str, int], ...]
    most: int

    def travelled(self, picture: Samples) -> Samples:
        """Return the picture at the end, uint8 (height, width, 3)."""
        return self.encoded(bounded(picture, self.most))

    def encoded(self, picture: Samples) -> Samples:
        """Return a picture, or a part of one at its final size, after the encoders."""
        for encoder, quality in self.passes:
            picture = encoded(picture, encoder, quality)
        return picture


STANDARD = {
    "raw": Journey((), 1 << 14),
    "q90": Journey((("JPEG", 90),), SHARED),
    "q75": Journey((("JPEG", 75),), SHARED),
}
"""Journeys that every picture makes, first and in this order; calibration and measuring look at them."""
