"""What programs do to a picture: encoders, sizes, crops, turns and what is laid over. Pillow works here."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from assay.provenance.errors import ConfigurationError
from assay.provenance.media import Samples

Rng = np.random.Generator
Change = Callable[[Samples, Rng], Samples]
"""Takes a picture, uint8 (height, width, 3) RGB, and a random generator; returns a new picture."""

SHORTEST = 8
"""Fewest pixels a side after a resize."""
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def unchanged(picture: Samples, rng: Rng) -> Samples:
    """Return the picture as it is."""
    return picture


def in_turn(*steps: Change) -> Change:
    """Return the change that does several, the first named first."""

    def change(picture: Samples, rng: Rng) -> Samples:
        for step in steps:
            picture = step(picture, rng)
        return picture

    return change


# ------------------------------------------------------------------------------------------- encoders


def encoded(form: str, quality: int) -> Change:
    """Return the change that saves as JPEG (4:2:0), WEBP or AVIF and opens again.

    It raises ConfigurationError where Pillow was built without that codec.
    """

    def change(picture: Samples, rng: Rng) -> Samples:
        file = io.BytesIO()
        try:
            Image.fromarray(picture).save(file, form, quality=quality)
            with Image.open(file, formats=[form]) as image:
                return np.asarray(image.convert("RGB"))
        except (KeyError, OSError) as error:
            raise ConfigurationError(
                f"this Pillow does not write {form}", hint="leave that attack out with --attacks"
            ) from error

    return change


def jpeg(quality: int) -> Change:
    """Return ``encoded("JPEG", quality)``."""
    return encoded("JPEG", quality)


def generations(count: int, low: int, high: int) -> Change:
    """Return the change that saves as JPEG again and again, each time at a random quality."""

    def change(picture: Samples, rng: Rng) -> Samples:
        for quality in rng.integers(low, high + 1, count):
            picture = jpeg(int(quality))(picture, rng)
        return picture

    return change


# ---------------------------------------------------------------------------------------------- sizes


def to_size(picture: Samples, width: float, height: float) -> Samples:
    """Return the picture at a size in pixels, Lanczos."""
    size = (max(SHORTEST, round(width)), max(SHORTEST, round(height)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def resized(across: float, down: float | None = None) -> Change:
    """Return the change of both sides by a factor, or of width and height by one each."""
    return lambda picture, rng: to_size(
        picture, picture.shape[1] * across, picture.shape[0] * (across if down is None else down)
    )


def there_and_back(factor: float) -> Change:
    """Return the change that shrinks and enlarges to the old size."""

    def change(picture: Samples, rng: Rng) -> Samples:
        height, width = picture.shape[:2]
        return to_size(to_size(picture, width * factor, height * factor), width, height)

    return change


def at_most_wide(width: int) -> Change:
    """Return the change of a platform that shrinks whatever is wider than so many pixels."""
    return lambda picture, rng: (
        picture
        if picture.shape[1] <= width
        else to_size(picture, width, picture.shape[0] * width / picture.shape[1])
    )


def at_most(picture: Samples, pixels: int) -> Samples:
    """Return the picture shrunk to at most so many pixels; itself where it has no more."""
    height, width = picture.shape[:2]
    if height * width <= pixels:
        return picture
    factor = math.sqrt(pixels / (height * width))
    return to_size(picture, math.floor(width * factor), math.floor(height * factor))


def plane_to_size(plane: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return one plane of fractional levels at a size, Lanczos."""
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), np.float32)


# ---------------------------------------------------------------------------------------------- crops


def cropped(area: float, back: bool = False) -> Change:
    """Return the change that keeps this share of the area, of the same shape, anywhere.

    ``back`` brings it to the old size again.
    """

    def change(picture: Samples, rng: Rng) -> Samples:
        height, width = picture.shape[:2]
        tall, wide = (max(1, int(side * math.sqrt(area))) for side in (height, width))
        top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
        part = np.ascontiguousarray(picture[top : top + tall, left : left + wide])
        return to_size(part, width, height) if back else part

    return change


def covering(picture: Samples, width: int, height: int) -> Samples:
    """Return the largest centred part of a shape, brought to its size."""
    tall, wide = picture.shape[:2]
    scale = min(wide / width, tall / height)
    rows, columns = min(tall, round(height * scale)), min(wide, round(width * scale))
    top, left = (tall - rows) // 2, (wide - columns) // 2
    return to_size(picture[top : top + rows, left : left + columns], width, height)


# ---------------------------------------------------------------------------------------------- turns


def rotated(degrees: float, inscribed: bool = False) -> Change:
    """Return the turn about the centre, bicubic, in a frame of the old size with black corners.

    ``inscribed`` keeps the largest part of the old shape that has no black corner.
    """

    def change(picture: Samples, rng: Rng) -> Samples:
        image = Image.fromarray(picture).rotate(degrees, Image.Resampling.BICUBIC)
        if not inscribed:
            return np.asarray(image)
        turn, (width, height) = math.radians(degrees), image.size
        cosine, sine = abs(math.cos(turn)), abs(math.sin(turn))
        share = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
        wide, tall = int(width * share), int(height * share)
        left, top = (width - wide) // 2, (height - tall) // 2
        return np.asarray(image.crop((left, top, left + wide, top + tall)))

    return change


def quarter(picture: Samples, rng: Rng) -> Samples:
    """Return the picture turned by 90 degrees, without resampling."""
    return np.ascontiguousarray(np.rot90(picture))


def mirrored(picture: Samples, rng: Rng) -> Samples:
    """Return the picture with left and right exchanged."""
    return np.ascontiguousarray(picture[:, ::-1])


def upside_down(picture: Samples, rng: Rng) -> Samples:
    """Return the picture with top and bottom exchanged."""
    return np.ascontiguousarray(picture[::-1])


# ------------------------------------------------------------------------------------ what is laid over


def captioned(share: float) -> Change:
    """Return the change that covers this share of the area with a plain panel and writes two lines."""

    def change(picture: Samples, rng: Rng) -> Samples:
        image = Image.fromarray(picture)
        draw = ImageDraw.Draw(image)
        wide, tall = (int(side * math.sqrt(share)) for side in image.size)
        left, top = (
            int(rng.integers(0, image.width - wide + 1)),
            int(rng.integers(0, image.height - tall + 1)),
        )
        colour = tuple(int(level) for level in rng.integers(0, 256, 3))
        draw.rectangle((left, top, left + wide - 1, top + tall - 1), fill=colour)
        draw.text((left + 4, top + tall // 3), "LOGO", _BLACK, ImageFont.load_default(max(8, tall // 4)))
        headline = ImageFont.load_default(max(8, image.height // 16))
        draw.text((5, image.height * 7 // 8), "BREAKING NEWS", _WHITE, headline)
        return np.asarray(image)

    return change


def on_screen(picture: Samples, rng: Rng) -> Samples:
    """Return a screenshot of an application that shows the picture at 80 % of its size."""
    shown = Image.fromarray(to_size(picture, picture.shape[1] * 0.8, picture.shape[0] * 0.8))
    width, height = int(shown.width * 1.12), int(shown.height * 1.25)
    screen = Image.new("RGB", (width, height), (245, 245, 245))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, width, int(shown.height * 0.06)), fill=(40, 60, 120))
    for line in range(4):
        top = int(shown.height * (1.14 + 0.025 * line))
        draw.rectangle(
            (int(width * 0.06), top, int(width * (0.5 - 0.08 * line)), top + 3), fill=(190, 196, 208)
        )
    screen.paste(shown, (int(shown.width * 0.06), int(shown.height * 0.12)))
    return np.asarray(screen)
