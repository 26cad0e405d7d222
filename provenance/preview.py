"""The small pictures that a report shows: drawn anew from decoded samples, never the file's own bytes."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from assay.provenance.errors import AssayError, UsageError
from assay.provenance.evidence import Status
from assay.provenance.files.worker import Answer, run
from assay.provenance.media import Picture, Samples
from assay.provenance.opinion import Explanation
from assay.provenance.protocols import Detector, ExplainingDetector, TimedDetector
from assay.provenance.report import Report

LONGEST_SIDE = 1280
"""Longest side of a picture in a report, in pixels."""
SMALL_SIDE = 256
"""Longest side up to which a picture is kept without loss (PNG), in pixels."""
JPEG_QUALITY = 82

DATA_URI = re.compile(r"data:image/(?:jpeg|png);base64,[A-Za-z0-9+/]+={0,2}")
"""What may stand as a picture in a report: a JPEG or a PNG, in the page itself."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One file's picture as a ``data:`` URI, and the ledger's sketch of its original, or an empty string.

    ``width`` and ``height`` are those of the received picture in pixels, the original's those of the sketch.
    ``notes`` say in words how what is drawn differs from the file. ``maps`` are, by check, the picture as a detector
    saw it. Raises UsageError for any other URI.
    """

    received: str
    width: int
    height: int
    original: str = ""
    original_width: int = 0
    original_height: int = 0
    notes: tuple[str, ...] = ()
    maps: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for uri in (self.received, self.original, *self.maps.values()):
            if uri and not DATA_URI.fullmatch(uri):
                raise UsageError("a preview is a JPEG or PNG data URI and nothing else")
        if min(self.width, self.height) < 1:
            raise UsageError("a preview has at least one pixel")

    @classmethod
    def of(cls, picture: Picture, original: NDArray[np.uint8] | None = None) -> Preview:
        """Draw a decoded picture in sRGB at a longest side of at most 1280 pixels.

        ``original`` is the ledger's sketch, uint8 (height, width, 3) RGB. The picture's colour profile is the
        file's own data: it is applied in a worker that may die, and left out with a note where it is broken.
        """
        notes = list(picture.notes)
        small = _shrink(picture.pixels)
        if picture.icc:
            try:
                small = _to_srgb(small, picture.icc)
            except AssayError:
                notes.append("drawn without the file’s colour profile, which cannot be used")
        if picture.alpha is not None and bool((picture.alpha < 255).any()):
            notes.append("drawn without its transparency")
        if picture.frames > 1:
            notes.append(f"the first of {picture.frames} frames")
        rows, columns = (0, 0) if original is None else original.shape[:2]
        return cls(
            received=_data_uri(small),
            width=picture.pixels.shape[1],
            height=picture.pixels.shape[0],
            original="" if original is None else _data_uri(_shrink(original)),
            original_width=columns,
            original_height=rows,
            notes=tuple(notes),
        )


def maps(
    report: Report, picture: Picture, opener: Callable[[str], Detector | TimedDetector]
) -> dict[str, str]:
    """Return, by check, where in the reported picture its detector saw what, drawn, as ``data:`` URIs.

    ``opener`` opens a detector by name. What cannot be drawn is left out.
    """
    found = {}
    for item in report.evidence:
        if not isinstance(item.found, Explanation) or item.status is not Status.PASS:
            continue
        with suppress(AssayError):
            detector = opener(item.check.removeprefix("detector:"))
            drawn = (
                detector.draw(picture, item.found.opinion)
                if isinstance(detector, ExplainingDetector)
                else b""
            )
            if drawn:
                found[item.check] = _png_uri(drawn)
    return found


def _shrink(pixels: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    longest = max(image.size)
    if longest <= LONGEST_SIDE:
        return image
    width, height = (max(1, round(side * LONGEST_SIDE / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Convert in a worker; raises MalformedError or LimitError where the profile breaks the colour engine."""

    def convert(_: BinaryIO) -> Answer:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(
            image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        return Answer({}, (b"" if converted is None else converted.tobytes(),))

    answer = run(convert, io.BytesIO())
    return Image.frombytes("RGB", image.size, bytes(answer.blobs[0]))


def frame_uri(frame: Samples, side: int) -> str:
    """Return a film's frame, uint8 (height, width, 3), as a ``data:`` URI of a JPEG of at most ``side`` pixels."""
    image = Image.fromarray(np.ascontiguousarray(frame))
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _data_uri(image, lossless=False)


def _data_uri(image: Image.Image, *, lossless: bool = True) -> str:
    out = io.BytesIO()
    if lossless and max(image.size) <= SMALL_SIDE:
        image.save(out, "PNG", optimize=True)
        kind = "png"
    else:
        image.save(out, "JPEG", quality=JPEG_QUALITY, optimize=True)
        kind = "jpeg"
    return _uri(kind, out.getvalue())


def _png_uri(data: bytes) -> str:
    """Return a drawn PNG as a ``data:`` URI; raises UsageError where it is none."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise UsageError("what was drawn is no PNG")
    return _uri("png", data)


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
