"""Turning any decoder's samples into upright 8-bit RGB and alpha."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.provenance.errors import UnsupportedError
from assay.provenance.files.worker import buffer
from assay.provenance.media import Samples

# Rawmodes of 16-bit colour that Pillow reduces to the high byte, and those that give the low byte instead.
_LOW_BYTES = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
}
_STRIP_BYTES = 1 << 16  # of temporary memory; more would take new pages at every decode
_BLOCK_ROWS = 64
_UNRANGED = frozenset({"I", "F"})
_WIDE_GREY = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})


def upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn samples (height, width, …) as stored into upright ones, by EXIF orientation 1..8 (CIPA DC-008)."""
    turn: Callable[[NDArray[Any]], NDArray[Any]] = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, 1),
    }.get(orientation, lambda a: a)
    return np.ascontiguousarray(turn(samples))


def as_stored(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo ``upright``."""
    return upright(samples, {6: 8, 8: 6}.get(orientation, orientation))


def rgb_and_alpha(
    image: Any, reopen: Callable[[], Any], encoding: dict[str, Any], notes: list[str]
) -> tuple[Samples, Samples | None]:
    """Decode an opened image, as stored: RGB uint8 (height, width, 3), alpha uint8 (height, width) or None.

    ``reopen`` opens the same picture afresh. Sets ``encoding["bits"]`` where samples have more than 8, and
    adds to ``notes`` what the conversion changed. Raises UnsupportedError for samples of no defined range.
    """
    if image.mode in _UNRANGED:
        raise UnsupportedError(f"has samples of Pillow mode {image.mode}, whose range is not defined")
    if image.mode == "LAB":
        raise UnsupportedError("has CIE L*a*b* samples, which are not converted here")
    if image.mode in _WIDE_GREY:
        encoding["bits"] = bits = 12 if encoding.get("bits") == 12 else 16
        notes.append(f"{bits} bits a sample reduced to 8")
        return _rgb(_eight(np.asarray(image), bits)), None
    wide = _wide(image, reopen)
    if wide is not None:
        encoding["bits"] = 16
        notes.append("16 bits a sample reduced to 8")
        eight = _eight(wide, 16)
        channels = eight.shape[2]
        alpha = np.ascontiguousarray(eight[..., -1]) if channels in (2, 4) else None
        return _rgb(eight[..., 0] if channels == 2 else eight[..., :3]), alpha
    if image.mode == "CMYK":
        return _from_cmyk(image, notes), None
    if image.mode in ("P", "PA", "1", "YCbCr", "La", "RGBa", "HSV") or "transparency" in image.info:
        target = "RGBA" if image.has_transparency_data or image.mode in ("PA", "La", "RGBa") else "RGB"
        if image.mode in ("P", "PA"):
            notes.append("palette colours looked up")
        image = image.convert(target)
    if image.mode in ("RGB", "L"):
        return _strips(image), None
    array = np.asarray(image)
    if array.ndim == 2:
        return _rgb(array), None
    if array.shape[2] == 2:
        return _rgb(array[..., 0]), np.ascontiguousarray(array[..., 1])
    if array.shape[2] == 4:
        has_alpha = image.mode == "RGBA"
        return np.ascontiguousarray(array[..., :3]), np.ascontiguousarray(
            array[..., 3]
        ) if has_alpha else None
    return np.ascontiguousarray(array), None


def _strips(image: Any) -> Samples:
    """Copy 8-bit RGB or grey samples out strip by strip, into memory that leaves the worker uncopied."""
    size = image.size
    room = _decoded_in_place(image)
    image.load()
    width, height = image.size
    own = room is None or image.im is not room[0] or image.size != size  # Pillow's memory, or a plug-in's
    memory = buffer(width * height * 3) if own or room is None else room[1][: width * height * 3]
    samples = np.frombuffer(memory, np.uint8).reshape(height, width, 3)
    bands = len(image.mode)
    rows = max(1, _STRIP_BYTES // (width * 4))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = np.frombuffer(image.crop((0, top, width, bottom)).tobytes(), np.uint8)
        samples[top:bottom] = strip.reshape(bottom - top, width, bands)
    return samples


def _decoded_in_place(image: Any) -> tuple[Any, memoryview] | None:
    """Have Pillow decode RGB, four bytes a pixel, into memory that leaves the worker; None where it is not to be.

    The strips, three bytes a pixel, are then written over what was read already: a strip is copied out before it is
    written, and its place ends no later than it did.
    """
    from PIL import Image

    turned = image.size != getattr(image, "_tile_size", image.size)  # TIFF, turned upright while it is loaded
    if image.mode != "RGB" or image._im is not None or not image.tile or turned:
        return None
    width, height = image.size
    memory = buffer(width * height * 4)
    core: Any = Image.core  # type: ignore[attr-defined]  # Pillow's own, as its plug-ins use it
    image.im = core.map_buffer(memory, image.size, "raw", 0, (image.mode, width * 4, 1))
    return image.im, memory


def _rgb(array: NDArray[Any]) -> Samples:
    if array.ndim == 2:
        return np.repeat(array[..., None], 3, axis=2)
    return np.ascontiguousarray(array)


def _eight(wide: NDArray[Any], bits: int) -> Samples:
    """Scale so that black stays 0 and white 255, rounded to nearest (PNG 3rd edition, section 13.12)."""
    white = (1 << bits) - 1
    eight = np.empty(wide.shape, np.uint8)
    for top in range(0, len(wide), _BLOCK_ROWS):  # the wider sums of a large picture would not fit
        block = wide[top : top + _BLOCK_ROWS].astype(np.uint32) * 255
        eight[top : top + _BLOCK_ROWS] = np.minimum((block + white // 2) // white, 255)
    return eight


def _wide(image: Any, reopen: Callable[[], Any]) -> NDArray[np.uint16] | None:
    """Return all 16 bits of colour samples, which Pillow has no mode for; None where samples have 8.

    Pillow unpacks such samples by their high byte. Naming the other byte order makes it unpack the low byte,
    so that two passes give both.
    """
    from PIL import TiffImagePlugin

    raw = [tile.args if isinstance(tile.args, str) else tile.args[0] for tile in image.tile if tile.args]
    if image.format == "PNG" and raw == ["LA;16B"]:
        image._mode = "CMYK"  # four bytes a pixel, none touched
        image.tile = [tile._replace(args="CMYK") for tile in image.tile]
        four = np.asarray(image).astype(np.uint16)
        both: NDArray[np.uint16] = four[..., 0::2] * np.uint16(256) + four[..., 1::2]
        return both
    native = {f"{mode};16N": f"{mode};16{_NATIVE}" for mode in ("RGB", "RGBA")}
    modes = {native.get(mode, mode) for mode in raw}
    if len(modes) != 1 or not modes <= _LOW_BYTES.keys():
        return None
    low_mode = _LOW_BYTES[modes.pop()]
    high = np.asarray(image)
    other = reopen()
    if isinstance(other, TiffImagePlugin.TiffImageFile):
        other.tile = [tile._replace(args=(low_mode, *(tile.args or ())[1:])) for tile in other.tile]
    else:
        other.tile = [tile._replace(args=low_mode) for tile in other.tile]
    wide: NDArray[np.uint16] = high.astype(np.uint16) * np.uint16(256) + np.asarray(other)
    return wide


_NATIVE = "L" if np.little_endian else "B"


def _from_cmyk(image: Any, notes: list[str]) -> Samples:
    """Convert device CMYK to RGB without a profile, deterministically, and say so."""
    notes.append("CMYK converted to RGB without its colour profile")
    if image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG as inverted, which holds for Adobe's only.
        from PIL import ImageChops

        image = ImageChops.invert(image)
    return np.ascontiguousarray(np.asarray(image.convert("RGB")))
