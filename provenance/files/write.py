"""Writing marked samples in the original's format, like the original.

A mark changes the samples and nothing else: quantisation tables, subsampling, compression, metadata, colour
profile, resolution, alpha and orientation stay. What cannot be kept is refused (UnsupportedError with the
reason, so that signing goes on unmarked and says so) or named by ``losses``.
"""

from __future__ import annotations

import base64
import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.provenance.errors import UnsupportedError
from assay.provenance.files.picture import FORMATS, load_codecs
from assay.provenance.files.samples import as_stored
from assay.provenance.media import Picture, Samples
from assay.provenance.text import safe_text

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

LOSSY_QUALITY = {"WEBP": 95, "AVIF": 90, "HEIF": 92}
"""Quality of the encoders whose own setting a file does not record; high enough for a mark to live."""
JPEG_QUALITY = 95
"""Quality where a JPEG's own quantisation tables could not be read."""

_XMP_TAG = 700
_EXIF_BLOCKS = (0x8769, 0x8825)
_GREY = frozenset({"L", "LA"})
_TIFF_LOSSLESS = frozenset({"tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "lzma"})


def encode_like(picture: Picture, pixels: Samples, dst_format: str | None = None) -> bytes:
    """Return a file with ``pixels`` in the place of the picture's own, written like the original.

    ``pixels`` is uint8 (height, width, 3) RGB, upright, of the picture's size. ``dst_format`` is a name of
    ``FORMATS`` (``"PNG"``), by default the original's. Pixels are turned back to the stored orientation, so
    that EXIF stays untouched.

    Raises UnsupportedError with the reason where the format would lose the mark or the picture: animations
    and several pages, palettes of GIF, bilevel, CMYK, more than 8 bits a sample, metadata over its limit.
    """
    name = dst_format or picture.format
    if pixels.shape != picture.pixels.shape or pixels.dtype != np.uint8:
        raise ValueError(f"pixels of shape {pixels.shape} for a picture of {picture.pixels.shape}")
    _refuse(picture, name)
    load_codecs()
    image = _image(picture, pixels)
    writers = {
        "JPEG": _jpeg,
        "PNG": _png,
        "TIFF": _tiff,
        "WEBP": _webp,
        "AVIF": _avif,
        "HEIF": _heif,
        "BMP": _bmp,
    }
    options = writers[name](picture)
    if name == "JPEG" and image.mode in ("LA", "RGBA"):
        raise UnsupportedError("JPEG has no alpha channel")
    out = BytesIO()
    try:
        image.save(out, name, **options)
    except (OSError, ValueError, struct.error, RuntimeError, OverflowError, TypeError, KeyError) as error:
        raise UnsupportedError(f"cannot be written again as {name}: {safe_text(error, 200)}") from error
    return out.getvalue()


def losses(picture: Picture) -> tuple[str, ...]:
    """Say in words what writing the picture again will not keep; empty where nothing is lost."""
    lost = []
    further = int(picture.encoding.get("pictures", 1)) - 1
    if further > 0:
        lost.append(f"{further} further picture(s) in the file are not carried over")
    if picture.mode in ("P", "PA"):
        lost.append("the palette becomes full colour")
    if picture.format in LOSSY_QUALITY and not picture.encoding.get("lossless"):
        lost.append(f"compressed anew at quality {LOSSY_QUALITY[picture.format]}")
    if picture.format == "TIFF" and _tiff_compression(picture) != picture.encoding.get("compression", "raw"):
        lost.append(f"its compression ({picture.encoding['compression']}) becomes another")
    if picture.format == "JPEG" and not picture.encoding.get("qtables"):
        lost.append(f"compressed anew at quality {JPEG_QUALITY}")
    return tuple(lost)


def _refuse(picture: Picture, name: str) -> None:
    facts = picture.encoding
    if name not in FORMATS.values():
        raise UnsupportedError(f"{name} is not a format that is written here")
    if name == "GIF":
        raise UnsupportedError("GIF keeps at most 256 colours, in which a mark does not survive")
    if picture.frames > 1:
        raise UnsupportedError(f"has {picture.frames} frames, and only single pictures are written again")
    if picture.mode == "CMYK":
        raise UnsupportedError("CMYK samples cannot be written again without their loss")
    if picture.mode == "1":
        raise UnsupportedError("has only black and white samples, in which a mark does not survive")
    if int(facts.get("bits", 8)) > 8:
        raise UnsupportedError(f"{facts['bits']} bits a sample would be reduced to 8")
    if facts.get("left_out"):
        raise UnsupportedError(f"its {', '.join(facts['left_out'])} is too large to be carried over")


def _image(picture: Picture, pixels: Samples) -> PillowImage:
    from PIL import Image

    image = Image.fromarray(as_stored(pixels, picture.orientation))
    if picture.mode in _GREY:
        image = image.convert("L")
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(as_stored(picture.alpha, picture.orientation)))
    return image


def _common(picture: Picture) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if picture.exif:
        options["exif"] = picture.exif
    if picture.xmp:
        options["xmp"] = picture.xmp
    if picture.icc:
        options["icc_profile"] = picture.icc
    return options


def _dpi(picture: Picture) -> dict[str, Any]:
    dpi = picture.encoding.get("dpi")
    return {"dpi": tuple(dpi)} if dpi and all(0 < value < 65_535 for value in dpi) else {}


def _jpeg(picture: Picture) -> dict[str, Any]:
    facts = picture.encoding
    options = _common(picture) | _dpi(picture)
    options["extra"] = b"".join(_segment(marker, data) for marker, data in facts.get("segments", ()))
    if facts.get("qtables"):
        options["qtables"] = facts["qtables"]
    else:
        options["quality"] = JPEG_QUALITY
    # A sampling that Pillow has no name for is written without any, which loses nothing.
    sampling = int(facts.get("subsampling", 0))
    options["subsampling"] = sampling if sampling in (0, 1, 2) else 0
    options["progressive"] = bool(facts.get("progressive"))
    options["keep_rgb"] = bool(facts.get("keep_rgb"))
    return options


def _segment(marker: str, data: str) -> bytes:
    payload = base64.b64decode(data)
    code = 0xFE if marker == "COM" else 0xE0 + int(marker.removeprefix("APP"))
    return bytes((0xFF, code)) + struct.pack(">H", len(payload) + 2) + payload


def _png(picture: Picture) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo

    options = _common(picture)
    info = PngInfo()
    for name, data, after in picture.encoding.get("chunks", ()):
        info.add(name.encode(), base64.b64decode(data), after)
    xmp = options.pop("xmp", b"")
    if xmp:
        info.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    return {**options, **_dpi(picture), "pnginfo": info}


def _tiff(picture: Picture) -> dict[str, Any]:
    from PIL import Image

    options = _common(picture) | _dpi(picture)
    tags = Image.Exif()
    tags.load(options.pop("exif", b""))
    for tag, data in picture.encoding.get("tags", ()):
        tags[tag] = base64.b64decode(data)
    if options.pop("xmp", b""):
        tags[_XMP_TAG] = picture.xmp
    compression = _tiff_compression(picture)
    if compression == "jpeg":
        options |= {"compression": "jpeg", "quality": JPEG_QUALITY}
    elif compression != "raw":
        options["compression"] = compression
    return {**options, "exif": tags}


def _tiff_compression(picture: Picture) -> str:
    """Return the compression to write with: the original's, but none where EXIF blocks would be lost by it.

    Pillow writes compressed TIFF through libtiff, which takes no EXIF or GPS directory.
    """
    from PIL import Image

    own = str(picture.encoding.get("compression", "raw"))
    if own == "raw":
        return own
    exif = Image.Exif()
    exif.load(picture.exif)
    if any(exif.get_ifd(pointer) for pointer in _EXIF_BLOCKS):
        return "raw"
    return own if own in _TIFF_LOSSLESS or own == "jpeg" else "tiff_lzw"


def _webp(picture: Picture) -> dict[str, Any]:
    if picture.encoding.get("lossless"):
        return {**_common(picture), "lossless": True, "exact": True, "quality": 80}
    return {**_common(picture), "quality": LOSSY_QUALITY["WEBP"], "alpha_quality": 100, "exact": True}


def _avif(picture: Picture) -> dict[str, Any]:
    return {**_common(picture), "quality": LOSSY_QUALITY["AVIF"], "subsampling": "4:4:4"}


def _heif(picture: Picture) -> dict[str, Any]:
    return {**_common(picture), "quality": LOSSY_QUALITY["HEIF"], "chroma": 444}


def _bmp(picture: Picture) -> dict[str, Any]:
    return _dpi(picture)
