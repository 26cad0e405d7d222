"""What befalls a picture before a detector sees it: encoders, sizes, crops, filters, screens. Pillow works here.

A changed picture is written to a file in memory and decoded again as any file is, so that its container, its
quality and its metadata are what they claim to be. All but ``raw`` and ``stripped`` first bring the longer side to
1024 pixels, and all of these but the encoders themselves end as JPEG 90: sizes and containers tell nothing then.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from assay.provenance.errors import ConfigurationError, UsageError
from assay.provenance.files.picture import decode
from assay.provenance.media import Picture, Samples

SIDE = 1024
"""Longest side of an equalised picture, in pixels."""
QUALITY = 90
"""JPEG quality at which what was changed is written."""
USUAL = "equalised"
"""The group that is measured unless others are named."""
_SHORTEST = 8  # fewest pixels a side after a change

Rng = np.random.Generator
Change = Callable[[Samples, Rng], Samples]
"""Takes a picture, uint8 (height, width, 3) RGB, and a random generator; returns a new picture."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a condition may know besides the picture: the file's label, and random numbers of its own."""

    synthetic: bool
    rng: Rng


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of the table: its name (no comma, no space), its group, what is done in words, and how much.

    ``level`` is the place on the axis of its group's curve, ``axis`` what that axis shows; None and empty where
    there is no curve. ``is_attack`` where only generated pictures are changed, to deceive.
    """

    name: str
    group: str
    told: str
    change: Callable[[Picture, Scene], Picture]
    level: float | None = None
    axis: str = ""
    is_attack: bool = False

    def __call__(self, picture: Picture, synthetic: bool, seed: bytes) -> Picture:
        """Return the picture under this condition; equal seeds give equal pictures."""
        words = hashlib.blake2b(self.name.encode(), digest_size=32, key=seed[:64]).digest()
        rng = np.random.default_rng(np.frombuffer(words, "<u8").astype(np.uint64))
        return self.change(picture, Scene(synthetic, rng))


def seed_of(picture: Picture, seed: int) -> bytes:
    """Return what moves a picture's random numbers: the same on every machine, whatever it is called."""
    digest = hashlib.blake2b(np.ascontiguousarray(picture.pixels).data, digest_size=32)
    digest.update(repr((picture.pixels.shape, seed)).encode())
    return digest.digest()


# ------------------------------------------------------------------------------------------- encoders


def written(pixels: Samples, form: str, quality: int = QUALITY) -> bytes:
    """Return a picture, uint8 (height, width, 3), as the bytes of a JPEG (4:2:0), WEBP, AVIF or PNG file.

    Raises ConfigurationError where Pillow was built without that codec.
    """
    file = io.BytesIO()
    options = {} if form == "PNG" else {"quality": quality}
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, form, **options)
    except (KeyError, OSError) as error:
        raise ConfigurationError(
            f"this Pillow does not write {form}", hint="leave it out with --conditions"
        ) from error
    return file.getvalue()


def encoded(pixels: Samples, form: str, quality: int = QUALITY) -> Picture:
    """Write a picture and decode it again: what it is then has no metadata. Raises what ``written`` raises."""
    return decode(io.BytesIO(written(pixels, form, quality)))


def equalised(picture: Picture, side: int = SIDE, quality: int = QUALITY, form: str = "JPEG") -> Picture:
    """Return the picture with its longer side at most so long, Lanczos, written with one encoder, metadata lost."""
    return encoded(at_most(picture.pixels, side), form, quality)


def _unchanged(picture: Picture, scene: Scene) -> Picture:
    return picture


def _stripped(picture: Picture, scene: Scene) -> Picture:
    return replace(picture, exif=b"", xmp=b"", icc=b"", text={})


def _written(form: str, quality: int, picture: Picture, scene: Scene) -> Picture:
    return equalised(picture, quality=quality, form=form)


def _changed(change: Change, picture: Picture, scene: Scene) -> Picture:
    """Return what a change makes between the equal size and JPEG 90."""
    return encoded(change(at_most(picture.pixels, SIDE), scene.rng), "JPEG")


# ------------------------------------------------------------------------------------ sizes and places


def at_most(pixels: Samples, side: int) -> Samples:
    """Return the picture shrunk to a longer side of at most so many pixels; itself where it is no longer."""
    longest = max(pixels.shape[:2])
    return pixels if longest <= side else scaled(pixels, side / longest)


def scaled(pixels: Samples, factor: float) -> Samples:
    """Return the picture with both sides times a factor, Lanczos."""
    height, width = (max(_SHORTEST, round(side * factor)) for side in pixels.shape[:2])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _resized(factor: float, pixels: Samples, rng: Rng) -> Samples:
    return scaled(pixels, factor)


def _cropped(area: float, pixels: Samples, rng: Rng) -> Samples:
    """Keep this share of the area, of the same shape, anywhere."""
    height, width = pixels.shape[:2]
    tall, wide = (max(1, int(side * area**0.5)) for side in (height, width))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    return pixels[top : top + tall, left : left + wide]


# ---------------------------------------------------------------------------------- filters and screens


def _blurred(sigma: float, pixels: Samples, rng: Rng) -> Samples:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def _sharpened(amount: float, pixels: Samples, rng: Rng) -> Samples:
    mask = ImageFilter.UnsharpMask(1.5, round(100 * amount), 0)
    return np.asarray(Image.fromarray(pixels).filter(mask))


def _noisy(sigma: float, pixels: Samples, rng: Rng) -> Samples:
    levels = pixels + rng.standard_normal(pixels.shape, np.float32) * np.float32(sigma)
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def _shot(share: float, pixels: Samples, rng: Rng) -> Samples:
    """Make the screenshot of a program that shows the picture at a share of its size, bars and lines round it."""
    shown = Image.fromarray(scaled(pixels, share))
    width, height = int(shown.width * 1.12), int(shown.height * 1.25)
    screen = Image.new("RGB", (width, height), (245, 245, 245))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, width, int(shown.height * 0.06)), fill=(40, 60, 120))
    for line in range(4):
        top, right = int(shown.height * (1.14 + 0.025 * line)), int(width * (0.5 - 0.08 * line))
        draw.rectangle((int(width * 0.06), top, right, top + 3), fill=(190, 196, 208))
    screen.paste(shown, (int(shown.width * 0.06), int(shown.height * 0.12)))
    return np.asarray(screen)


# ------------------------------------------------------------------------------------------- the table


_CHANGES: dict[str, tuple[str, Callable[[float, Samples, Rng], Samples], tuple[float, ...]]] = {
    "resize": ("both sides times", _resized, (0.5, 0.75, 1.5, 2)),
    "crop": ("share of the area that is kept", _cropped, (0.75, 0.5, 0.25)),
    "blur": ("Gaussian blur, standard deviation in pixels", _blurred, (0.5, 1, 2)),
    "noise": ("Gaussian noise, standard deviation in levels", _noisy, (2, 5, 10)),
    "sharpen": ("unsharp mask, amount", _sharpened, (0.5, 1, 2)),
    "screenshot": ("screenshot, size at which it is shown", _shot, (0.6, 0.8, 1)),
}


def _table() -> dict[str, Condition]:
    rows = [
        Condition("raw", USUAL, "the file as it is", _unchanged),
        Condition("q90", USUAL, f"longer side {SIDE}, JPEG 90", partial(_written, "JPEG", 90)),
        Condition("q75", USUAL, f"longer side {SIDE}, JPEG 75", partial(_written, "JPEG", 75)),
        Condition("stripped", "metadata", "the file without its metadata", _stripped),
    ]
    for form, said, qualities in (
        ("JPEG", "JPEG", (95, 85, 60, 50, 30)),
        ("WEBP", "WebP", (90, 75, 50)),
        ("AVIF", "AVIF", (75, 50)),
    ):
        group, axis = form.lower(), f"{said} quality"
        rows += [
            Condition(f"{group}{q}", group, f"{axis} {q}", partial(_written, form, q), q, axis)
            for q in qualities
        ]
    for group, (axis, change, levels) in _CHANGES.items():
        rows += [
            Condition(
                f"{group}{s:g}", group, f"{axis}: {s:g}", partial(_changed, partial(change, s)), s, axis
            )
            for s in levels
        ]
    return {row.name: row for row in rows}


CONDITIONS = _table()
"""Every condition by its name, in the order of the table."""


def chosen(names: str) -> tuple[Condition, ...]:
    """Return the conditions that a list names: names, groups, prefixes that end in ``*``, or ``all``.

    Raises UsageError for what names none, and for an empty list.
    """
    found: dict[str, Condition] = {}
    for word in (part.strip() for part in names.split(",") if part.strip()):
        fits = {
            row.name: row
            for row in CONDITIONS.values()
            if word in (row.name, row.group, "all") or (word.endswith("*") and row.name.startswith(word[:-1]))
        }
        if not fits:
            raise UsageError(f"no condition is called {word[:60]!r}", hint="--list-conditions lists them")
        found |= fits
    if not found:
        raise UsageError("no condition is named", hint="--conditions raw,q90,q75")
    return tuple(row for row in CONDITIONS.values() if row.name in found)
