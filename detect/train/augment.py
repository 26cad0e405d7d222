"""What happens to pictures on their way: sizes and encoders, drawn alike for real and generated ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from assay.detect.crops import encoded
from assay.provenance.media import Samples

ENCODERS = ("JPEG", "JPEG", "JPEG", "WEBP", "AVIF")
"""Encoders as often as they are drawn."""
MOST_SIDE = 2048
"""Longer side in pixels to which larger pictures are always reduced."""

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Journey:
    """One way through sizes and encoders, the same for a picture and its reconstruction.

    ``scale`` of the sides (at most 1), ``filter`` of the resampling, ``passes`` of (encoder, quality); the longer side
    ends with at most ``most`` pixels.
    """

    scale: float
    filter: Image.Resampling
    passes: tuple[tuple[str, int], ...]
    most: int = MOST_SIDE

    @classmethod
    def drawn(cls, rng: Rng, least: float = 0.4, raw: float = 0.15) -> Journey:
        """Draw a journey: a third at the old size, ``raw`` of them without any encoder, some with two."""
        scale = 1.0 if rng.random() < 0.35 else float(np.exp(rng.uniform(np.log(least), 0)))
        filters = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)
        count = 0 if rng.random() < raw else 1 if rng.random() < 0.75 else 2
        passes = tuple(
            (str(rng.choice(ENCODERS)), int(np.clip(100 - rng.gamma(2.0, 8.0), 40, 99))) for _ in range(count)
        )
        return cls(scale, filters[int(rng.integers(3))], passes)

    def travelled(self, picture: Samples) -> Samples:
        """Return the picture at the end, uint8 (height, width, 3)."""
        image = Image.fromarray(picture)
        scale = min(self.scale, self.most / max(image.size))
        if scale < 1:
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(size, self.filter, reducing_gap=3.0)
        end = np.asarray(image)
        for encoder, quality in self.passes:
            end = encoded(end, encoder, quality)
        return end
