"""Crops at the picture's own scale, since resizing erases a residual; and the picture reduced, for what it shows."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from assay.provenance.media import Samples

ALIGNED = 8
"""Crops begin at multiples of this: the blocks of JPEG stay where they are."""
FLAT = 1.5
"""Mean magnitude in grey levels of the difference of neighbours below which a crop says nothing."""
WHITE = 0.4
"""Share of samples at 0 or 255 above which a crop says nothing."""

FILTERS = ("lanczos", "bicubic", "bilinear")
"""How pictures are resampled."""
VIEW = 288
"""Longer side in pixels of a picture as seen small."""

Crops = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a crop lies in its picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def times(self, factor: float) -> Box:
        """Return the box in a picture that is ``factor`` times as large."""
        return (
            self
            if factor == 1
            else Box(*(round(v * factor) for v in (self.left, self.top, self.width, self.height)))
        )


def places(height: int, width: int, side: int, most: int) -> list[Box]:
    """Return at most ``most`` square boxes spread over a picture, those in the middle first; none if it is smaller."""
    if min(height, width) < side:
        return []
    rows = columns = 1
    while True:
        # The longer way gets the next cut, until there are enough or they overlap by more than half.
        wider = ((width - side) / columns, rows, columns + 1)
        taller = ((height - side) / rows, rows + 1, columns)
        step, down, across = max(wider, taller)
        if down * across > most or step < side / 2:
            break
        rows, columns = down, across
    tops = [int(t) // ALIGNED * ALIGNED for t in np.linspace(0, height - side, rows + 2)[1:-1]]
    lefts = [int(x) // ALIGNED * ALIGNED for x in np.linspace(0, width - side, columns + 2)[1:-1]]
    if rows > 1:
        tops = [int(t) // ALIGNED * ALIGNED for t in np.linspace(0, height - side, rows)]
    if columns > 1:
        lefts = [int(x) // ALIGNED * ALIGNED for x in np.linspace(0, width - side, columns)]
    middle = ((height - side) / 2, (width - side) / 2)
    order = sorted(product(tops, lefts), key=lambda p: (p[0] - middle[0]) ** 2 + (p[1] - middle[1]) ** 2)
    return [Box(left, top, side, side) for top, left in order]


def cut(picture: Samples, boxes: list[Box]) -> Crops:
    """Return the crops, uint8 (n, side, side, 3)."""
    return np.stack([picture[b.top : b.top + b.height, b.left : b.left + b.width] for b in boxes])


def bounded(picture: Samples, longer: int) -> Samples:
    """Return a picture whose longer side has at most ``longer`` pixels."""
    height, width = picture.shape[:2]
    scale = longer / max(height, width)
    return (
        picture
        if scale >= 1
        else resized(picture, max(1, round(height * scale)), max(1, round(width * scale)))
    )


def viewed(picture: Samples, shorter: int) -> Samples:
    """Return a picture as seen small: its longer side at most VIEW, then its shorter one ``shorter`` if it has more.

    Two steps, always the same ones, so that what is learned from stored views holds for pictures.
    """
    small = bounded(picture, VIEW)
    height, width = small.shape[:2]
    scale = shorter / min(height, width)
    if scale >= 1:
        return small
    return resized(small, max(shorter, round(height * scale)), max(shorter, round(width * scale)))


def resized(picture: Samples, height: int, width: int, filter: str = FILTERS[0]) -> Samples:
    """Return a picture at another size, by one of FILTERS."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((width, height), Image.Resampling[filter.upper()], reducing_gap=3.0))


def equalised(crops: Crops, quality: int) -> Crops:
    """Return crops after one JPEG of a quality (4:2:0), so that a lossless file and a shared one look alike.

    What generators leave and no encoder has touched is plain in a PNG and rare in the wild; a detector that was
    allowed to see it learns to tell files from one another and not pictures.
    """
    return np.stack([encoded(crop, "JPEG", quality) for crop in crops]) if len(crops) else crops


def encoded(picture: Samples, encoder: str, quality: int) -> Samples:
    """Return a picture, uint8 (height, width, 3), after one pass through an encoder (Pillow's name)."""
    memory = io.BytesIO()
    options = {"speed": 9} if encoder == "AVIF" else {"method": 2} if encoder == "WEBP" else {}
    Image.fromarray(picture).save(memory, encoder, quality=quality, **options)
    return np.asarray(Image.open(memory).convert("RGB"))


def telling(crops: Crops) -> NDArray[np.bool_]:
    """Say of each crop whether it has anything to tell: neither flat nor burnt out."""
    light = crops[..., 1].astype(np.int16)
    busy = (np.abs(np.diff(light, axis=1)).mean((1, 2)) + np.abs(np.diff(light, axis=2)).mean((1, 2))) / 2
    burnt = ((light == 0) | (light == 255)).mean((1, 2))
    said: NDArray[np.bool_] = (busy >= FLAT) & (burnt <= WHITE)
    return said
