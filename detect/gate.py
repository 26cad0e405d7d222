"""Whether a picture is one that detectors were made for: where they know nothing, they are silent and say why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.detect.calibrate import COARSE, FINE, LOSSLESS, SMALL
from assay.provenance.media import Picture, Samples

LEAST_SIDE = 192
"""Pixels of the shorter side below which no detector is asked."""
SMALL_PIXELS = 300_000
"""Pixels below which a picture counts as small."""
FINE_QUALITY = 88
"""JPEG quality from which a file counts as finely encoded."""
WORST_QUALITY = 50
"""JPEG quality below which the encoder has left nothing to judge."""
FEW_COLOURS = 0.6
"""Share of neighbouring pixels that are exactly alike, above which a picture counts as drawn, not seen."""
_TABLE = np.array(  # the luma table of ITU-T T.81 annex K, its first row and column
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 14, 14, 18, 24, 49, 72], np.float64
)


@dataclass(frozen=True, slots=True)
class Domain:
    """What kind of picture it is to a detector: ``reason`` is empty where one may be asked, else in words why not."""

    condition: str
    reason: str
    quality: int | None = None


def domain(picture: Picture) -> Domain:
    """Return in which condition a picture is, and whether detectors were made for it."""
    height, width = picture.pixels.shape[:2]
    quality = jpeg_quality(picture.encoding)
    lossless = bool(picture.encoding.get("lossless"))
    found = condition(height * width, picture.format, quality, lossless)
    if min(height, width) < LEAST_SIDE:
        return Domain(
            found,
            f"too small: the shorter side has {min(height, width)} pixels, {LEAST_SIDE} are needed",
            quality,
        )
    if quality is not None and quality < WORST_QUALITY:
        return Domain(found, f"too strongly compressed: JPEG of quality {quality}", quality)
    if drawn(picture.pixels) > FEW_COLOURS:
        return Domain(
            found,
            "not a photograph: large parts are of one colour, as in a drawing or a screenshot",
            quality,
        )
    return Domain(found, "", quality)


def condition(pixels: int, format: str, quality: int | None, lossless: bool = False) -> str:
    """Return the condition of a picture of so many pixels in a format (Pillow's name), of a JPEG quality if any."""
    if pixels < SMALL_PIXELS:
        return SMALL
    if quality is not None:
        return FINE if quality >= FINE_QUALITY else COARSE
    return COARSE if format in ("AVIF", "HEIF") or (format == "WEBP" and not lossless) else LOSSLESS


def jpeg_quality(encoding: dict[str, Any]) -> int | None:
    """Return the quality, 1..100, on the scale of libjpeg that the file's luma table is nearest to; None if no JPEG."""
    tables = encoding.get("qtables")
    if not tables:
        return None
    table = np.asarray(tables[0], np.float64).ravel()
    if table.size != 64:
        return None
    # The mean of the table scales as the quality does, whatever encoder wrote it.
    scale = 100 * table.mean() / _MEAN
    quality = 100 - scale / 2 if scale <= 100 else 5000 / scale
    return int(min(100, max(1, round(quality))))


_MEAN = 57.625
"""Mean of the luma table of ITU-T T.81 annex K."""


def drawn(pixels: Samples) -> float:
    """Return the share of horizontal neighbours that are alike in all three colours, 0..1, on at most 512 rows.

    Neighbours of which one is black or the other white, in all colours, do not count: lights and shadows are cut off.
    """
    rows = pixels[:: max(1, pixels.shape[0] // 512)]
    same, dark, light = (np.ones((rows.shape[0], rows.shape[1] - 1), np.bool_) for _ in range(3))
    for plane in (np.ascontiguousarray(rows[..., n]) for n in range(3)):
        right, left = plane[:, 1:], plane[:, :-1]
        same &= right == left
        dark &= right <= 2
        light &= left >= 253
    return float((same & ~(dark | light)).mean())
