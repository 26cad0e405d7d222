"""Unmarked pictures for counting false alarms: photographs cut and changed at random, and drawn ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from assay.provenance.errors import AssayError
from assay.provenance.media import Samples
from assay.watermark.hallmark.canvas import SIDE
from assay.watermark.trial.changes import Rng, at_most, encoded, rotated, to_size
from assay.watermark.trial.photographs import load

LEAST, MOST = 64, 1500
"""Sides of crops in pixels."""
DRAWN = 0.2
"""Share of pictures that are drawn here."""
_LISTS = Path(__file__).parent / "photos"


def grating(rng: Rng, side: int) -> Samples:
    """Return a sum of up to three waves, some with a whole number of periods a tile."""
    down, across = np.mgrid[:side, :side]
    plane = np.zeros((side, side))
    for _ in range(rng.integers(1, 4)):
        exact = rng.random() < 0.5
        u, v = rng.integers(-8, 9, 2) / 32 if exact else rng.uniform(-0.3, 0.3, 2)
        wave = np.cos(2 * np.pi * (u * down + v * across + rng.random()))
        plane += np.sign(wave) if rng.random() < 0.3 else wave
    return _grey(128 + plane * rng.uniform(5, 60))


def tiling(rng: Rng, side: int) -> Samples:
    """Return one small picture repeated, often at the pattern's own periods."""
    period = int(rng.choice([4, 8, 16, 24, 32, 64, 128, 256, int(rng.integers(5, 200))]))
    if rng.random() < 0.3:
        cell = np.indices((period, period)).sum(0) * 2 // period % 2 * 200.0 + 20
    else:
        cell = rng.normal(128, rng.uniform(5, 70), (period, period))
    count = -(-side // period)
    return _grey(np.tile(cell, (count, count))[:side, :side])


def page(rng: Rng, side: int) -> Samples:
    """Return lines of made-up words."""
    image = Image.new("RGB", (side, side), "white" if rng.random() < 0.7 else "black")
    draw = ImageDraw.Draw(image)
    size = int(rng.integers(9, 30))
    font, ink = ImageFont.load_default(size), tuple(int(n) for n in rng.integers(0, 256, 3))
    for top in range(0, side, int(size * 1.3)):
        letters = rng.choice(list("etaoin shrdlu "), int(side / size * 2))
        draw.text((8, top), "".join(letters), ink, font)
    return np.asarray(image)


def chart(rng: Rng, side: int) -> Samples:
    """Return bars, lines and a grid."""
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    step = int(rng.choice([16, 32, int(rng.integers(10, 100))]))
    for place in range(0, side, step):
        draw.line((place, 0, place, side), "silver")
        draw.line((0, place, side, place), "silver")
        colour = tuple(int(n) for n in rng.integers(0, 256, 3))
        draw.rectangle((place, int(rng.integers(0, side)), place + step // 2, side), colour)
    draw.line([(n, int(rng.integers(0, side))) for n in range(0, side, step)], "black", 3)
    return np.asarray(image)


def ground(rng: Rng, side: int) -> Samples:
    """Return a flat or sloping ground, with noise or without."""
    plane = np.full((side, side), rng.uniform(0, 255))
    plane += np.linspace(0, rng.uniform(-100, 100), side)[:, None] * (rng.random() < 0.6)
    plane += rng.normal(0, rng.uniform(0, 20), (side, side)) * (rng.random() < 0.6)
    return _grey(plane)


def _grey(plane: NDArray[np.float64]) -> Samples:
    return np.repeat(np.clip(np.round(plane), 0, 255).astype(np.uint8)[..., None], 3, 2)


DRAWINGS: tuple[Callable[[Rng, int], Samples], ...] = (grating, tiling, page, chart, ground)


@dataclass(frozen=True)
class Pictures:
    """Unmarked pictures of two sorts of folders, and drawn ones."""

    photos: Sequence[Path]
    negatives: Sequence[Path]

    @cached_property
    def kinds(self) -> dict[str, str]:
        """What the pictures of the lists show, by the digest in their file names."""
        entries = json.loads((_LISTS / "negatives.json").read_text())["photographs"]
        return {entry["sha256"][:12]: entry["kind"] for entry in entries}

    def draw(self, rng: Rng) -> tuple[str, Samples]:
        """Return a picture cut and changed at random, and its kind."""
        if rng.random() < DRAWN:
            kind = DRAWINGS[rng.integers(len(DRAWINGS))]
            side = SIDE if rng.random() < 0.5 else int(rng.integers(LEAST, MOST))
            picture = kind(rng, side)
            # At the canonical size, and not resampled, the periods stay those of the tiles.
            return f"drawn: {kind.__name__}", picture if side == SIDE else passed(picture, rng)
        files = self.negatives if rng.random() < 0.6 or not self.photos else self.photos
        while True:
            path = files[int(rng.integers(len(files)))]
            try:
                picture = load(path)
            except AssayError:  # not for us to judge: another is drawn
                continue
            if min(picture.shape[:2]) >= LEAST:
                break
        kind_of = self.kinds.get(path.stem.rpartition("__")[2], "photograph")
        return kind_of, passed(cut(picture, rng), rng)


def cut(picture: Samples, rng: Rng) -> Samples:
    """Return a random crop, of a random size, of a picture at a random size."""
    if rng.random() < 0.5:
        picture = at_most(picture, int(math.exp(rng.uniform(math.log(1e5), math.log(4e6)))))
    height, width = picture.shape[:2]
    if min(height, width) < LEAST:
        return to_size(picture, max(LEAST, width), max(LEAST, height))
    tall, wide = (
        min(side, int(math.exp(rng.uniform(math.log(LEAST), math.log(MOST))))) for side in (height, width)
    )
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    return np.ascontiguousarray(picture[top : top + tall, left : left + wide])


def passed(picture: Samples, rng: Rng) -> Samples:
    """Return a picture after what happens on the way: another size, a turn, a codec, or none of these."""
    if rng.random() < 0.4:
        factor = math.exp(rng.uniform(math.log(0.5), math.log(1.6)))
        stretch = math.exp(rng.uniform(-0.1, 0.1)) if rng.random() < 0.3 else 1.0
        height, width = picture.shape[:2]
        picture = to_size(
            picture, max(LEAST, width * factor * stretch), max(LEAST, height * factor / stretch)
        )
    picture = np.rot90(picture, int(rng.integers(4)))
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < 0.2:
        picture = rotated(float(rng.uniform(-15, 15)))(np.ascontiguousarray(picture), rng)
    if rng.random() < 0.6:
        form = "WEBP" if rng.random() < 0.3 else "JPEG"
        picture = encoded(form, int(rng.integers(20, 96)))(np.ascontiguousarray(picture), rng)
    return np.ascontiguousarray(picture)
