"""Hide a code word in a picture: how much, where, and how it is rounded. Format: docs/formats/mark.md."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from assay.provenance.media import Samples
from assay.watermark.hallmark.canvas import Plane, in_strips, resampled
from assay.watermark.hallmark.pattern import (
    PERIOD,
    TILE,
    TONE_SHARE,
    Pattern,
    Placement,
    synthesised,
    tiles_at,
)
from assay.watermark.hallmark.polarity import polarity

FINE = 10
"""Steps to a grey level in which the change is carried to the picture's own size."""
DITHER = 0.5
"""Width in grey levels of the noise added before rounding: faint changes survive on average."""
WORN_SHARE, WORN_PIXELS, WORN_QUALITY = 0.7, 800_000, 55
"""The trial passage: sides times a share or down to an area, then JPEG of a quality."""
_STRIP = 128  # rows of the picture changed at a time


def drawn(pattern: Pattern, code: NDArray[np.uint8], plane: Plane, placement: Placement) -> Plane:
    """Return the pattern of unit variance that says ``code`` on a canvas, in the polarity of its content."""
    light = placement.to_pattern(plane)
    return placement.to_canvas(laid(pattern, code, light.shape, placement.corner, TONE_SHARE, light))


def laid(
    pattern: Pattern,
    code: NDArray[np.uint8],
    shape: tuple[int, ...],
    corner: tuple[int, int],
    tone_share: float,
    light: Plane | None = None,
) -> Plane:
    """Return a piece of the pattern of unit variance that says ``code``, from ``corner`` on.

    Its tones have a share of its power. ``light`` is the luma under it, whose polarity it takes on where it is given.
    """
    first = (corner[0] // TILE, corner[1] // TILE)
    ahead = (corner[0] % TILE, corner[1] % TILE)
    around = [(a, -(a + n) % TILE) for a, n in zip(ahead, shape, strict=True)]
    whole = tuple(n + before + after for n, (before, after) in zip(shape, around, strict=True))
    at = tiles_at(tuple(n // TILE for n in whole), first)
    signs = 1 - 2 * code.astype(np.float32)
    numbers = pattern.signs[at] * signs[pattern.places[at]]
    if light is not None:
        cover = np.pad(np.ones_like(light), around)
        content = polarity(np.pad(light, around), cover, pattern.directions, first)
        numbers *= np.where(content < 0, np.float32(-1), np.float32(1))[..., None]
    here = (slice(ahead[0], ahead[0] + shape[0]), slice(ahead[1], ahead[1] + shape[1]))
    data = synthesised(numbers, (whole[0], whole[1]))[here]
    rows, columns = ((np.arange(n) + c) % PERIOD for n, c in zip(shape, corner, strict=True))
    sync = pattern.sync[rows[:, None], columns]
    return np.float32(math.sqrt(1 - tone_share)) * data + np.float32(math.sqrt(tone_share)) * sync


def added(pixels: Samples, change: Plane) -> Samples:
    """Return the picture with a canonical luma change, in grey levels, added to all three channels."""
    height, width = pixels.shape[:2]
    marked = np.empty_like(pixels)
    most = np.float32(127 / FINE)
    levels = np.round(np.clip(change, -most, most) * FINE + 128).astype(np.uint8)
    share = change.shape[0] / height
    noise = _noise(width)

    def add(top: int) -> None:
        count = min(_STRIP, height - top)
        box = (0.0, top * share, float(change.shape[1]), min((top + count) * share, float(change.shape[0])))
        fine = Image.fromarray(levels).resize((width, count), Image.Resampling.BICUBIC, box=box)
        # (change * FINE + noise + FINE / 2) // FINE: rounded to the nearest level, in whole numbers.
        whole = np.asarray(fine).astype(np.int16)
        whole += noise[:count]
        whole //= FINE
        strip = pixels[top : top + count] + whole[..., None]
        np.clip(strip, 0, 255, out=strip)
        marked[top : top + count] = strip

    in_strips(add, height, _STRIP)
    return marked


def worn(plane: Plane, shape: tuple[int, int]) -> Plane:
    """Return a canonical plane after a hard passage: reduced to WORN_SHARE or WORN_PIXELS, JPEG, and back."""
    scale = min(WORN_SHARE, math.sqrt(WORN_PIXELS / (shape[0] * shape[1])))
    small = resampled(plane, (max(8, round(shape[0] * scale)), max(8, round(shape[1] * scale))))
    return resampled(coded(small, WORN_QUALITY), (plane.shape[0], plane.shape[1]))


def coded(plane: Plane, quality: int) -> Plane:
    """Return a plane of grey levels after JPEG of a quality."""
    memory = io.BytesIO()
    Image.fromarray(np.clip(np.round(plane), 0, 255).astype(np.uint8)).save(memory, "JPEG", quality=quality)
    return np.asarray(Image.open(memory), np.float32)


def _noise(width: int) -> NDArray[np.int16]:
    """Return what is added to a coded change before it is divided by FINE, (_STRIP, width) int16."""
    rng = np.random.default_rng(0)
    reach = int(DITHER * FINE / 2)
    noise = rng.integers(-reach, reach + 1, (_STRIP, width))
    return (noise + FINE // 2 - 128).astype(np.int16)
