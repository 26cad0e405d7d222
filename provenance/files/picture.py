"""The one canonical decode of a picture, the same for every witness.

Watermark, fingerprint, detector and people must judge the same samples, or an attacker shows each of them
something else (docs/adr/0006-one-canonical-decode.md). Pillow decodes; its exceptions stop here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from assay.provenance.errors import AssayError, LimitError, MalformedError, UnsupportedError
from assay.provenance.files.bytemap import View
from assay.provenance.files.encoding import encoding_facts, png_text, raw_bytes
from assay.provenance.files.samples import rgb_and_alpha, upright
from assay.provenance.files.sniff import sniff_stream
from assay.provenance.files.structure import layout
from assay.provenance.files.worker import Answer, run
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.media import Picture
from assay.provenance.text import safe_text

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/tiff": "TIFF",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
    "image/heif": "HEIF",
    "image/bmp": "BMP",
}
"""The formats decoded, and Pillow's name for each; no other decoder is ever reached."""

_ORIENTATION_TAG = 0x0112


def load_codecs() -> None:
    """Import the decoders; done once in the parent, so that children need not."""
    import pillow_heif
    from PIL import (  # noqa: F401
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        Image,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    if "HEIF" not in Image.OPEN:
        pillow_heif.register_heif_opener()


@cache
def decoder_versions() -> dict[str, str]:
    """Return the versions of the libraries that decode pictures, for reports; absent parts are left out."""
    import pillow_heif
    from PIL import __version__, features

    parts = {
        "libjpeg-turbo": features.version_feature("libjpeg_turbo"),
        "zlib": features.version_codec("zlib"),
        "libtiff": features.version_codec("libtiff"),
        "libwebp": features.version_module("webp"),
        "libavif": features.version_module("avif"),
    }
    own = ", ".join(f"{name} {version}" for name, version in parts.items() if version)
    return {
        "pillow": f"Pillow {__version__} ({own})",
        "heif": f"pillow-heif {pillow_heif.__version__}, libheif {pillow_heif.libheif_version()}",
    }


def decode(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode one picture from a seekable stream, in this process.

    Meant for the worker: use ``decode_isolated`` on files of unknown origin. The format is decided by
    content; the picture's size is checked from its header before any sample is decoded. ``encoding`` holds,
    as JSON values, what ``encode_like`` needs to write like the original. While it runs Pillow's global
    limits are ours, so that threads had better not share it.

    Raises UnsupportedError (format, sample type), MalformedError (truncated, broken), LimitError.
    """
    load_codecs()
    media_type = sniff_stream(stream)[1]
    name = FORMATS.get(media_type)
    if name is None:
        reason = f"{media_type} is not a picture format that is decoded here"
        if media_type == "image/x-adobe-dng":
            reason = "is a raw photograph (DNG), which is not developed here"
        raise UnsupportedError(reason, hint=f"decoded are {', '.join(sorted(set(FORMATS.values())))}")
    with _pillow_errors(limits):
        return _decode(stream, media_type, name, limits)


def decode_isolated(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode one picture in the worker; raises what ``decode`` raises, and what ``worker.run`` does."""
    load_codecs()
    return _unpack(run(lambda own: _pack(decode(own, limits)), stream, limits))


def metadata_of(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> tuple[bytes, bytes, dict[str, str]]:
    """Return a picture's XMP, EXIF and text without decoding its samples; raises what ``decode`` raises."""
    load_codecs()
    name = FORMATS.get(sniff_stream(stream)[1])
    if name is None:
        raise UnsupportedError("is not a picture format that is decoded here")
    with _pillow_errors(limits):
        image = _open(stream, name, limits)
        exif = _orientation(image, name, [])[1]
        xmp = raw_bytes(image.info.get("xmp"))
        text = png_text(View(stream), limits) if name == "PNG" else _text(image, limits, [])
    return _bounded("XMP", xmp, limits, {}, []), _bounded("EXIF", exif, limits, {}, []), text


def size_of(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> tuple[int, int]:
    """Return a picture's width and height as stored, in pixels, from its header; raises what ``decode`` raises."""
    load_codecs()
    name = FORMATS.get(sniff_stream(stream)[1])
    if name is None:
        raise UnsupportedError("is not a picture format that is decoded here")
    with _pillow_errors(limits):
        width, height = _open(stream, name, limits).size
    return int(width), int(height)


# --------------------------------------------------------------------------------------------- decoding


def _decode(stream: BinaryIO, media_type: str, name: str, limits: Limits) -> Picture:
    image = _open(stream, name, limits)
    notes: list[str] = []
    encoding = encoding_facts(stream, image, name, media_type, notes)
    frames = _frames(stream, image, media_type, limits, encoding, notes)
    orientation, exif = _orientation(image, name, notes)
    mode = image.mode
    pixels, alpha = rgb_and_alpha(image, lambda: _open(stream, name, limits), encoding, notes)
    _check_size(pixels.shape[1], pixels.shape[0], limits)
    if orientation != 1:
        notes.append(f"turned upright (EXIF orientation {orientation})")
    if name != "TIFF" and orientation != 1:  # Pillow has turned TIFF upright already
        pixels = upright(pixels, orientation)
        alpha = None if alpha is None else upright(alpha, orientation)
    text = _text(image, limits, notes)
    return Picture(
        pixels=pixels,
        alpha=alpha,
        format=name,
        mode=mode,
        frames=frames,
        orientation=orientation,
        exif=_bounded("EXIF", exif, limits, encoding, notes),
        xmp=_bounded("XMP", raw_bytes(image.info.get("xmp")), limits, encoding, notes),
        icc=_bounded("ICC", raw_bytes(image.info.get("icc_profile")), limits, encoding, notes),
        text=text,
        encoding=encoding,
        notes=tuple(notes),
    )


def _open(stream: BinaryIO, name: str, limits: Limits) -> PillowImage:
    """Open with one decoder only; through the registry, for ``Image.open`` swallows a refusal's reason."""
    from PIL import Image

    stream.seek(0)
    factory, _accept = Image.OPEN[name]
    image: PillowImage = factory(stream, "")
    _check_size(*image.size, limits)
    return image


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        raise LimitError(f"has {width} × {height} pixels, more than the limit pixels of {limits.pixels}")
    if max(width, height) > limits.side:
        raise LimitError(f"has {width} × {height} pixels, longer than the limit side of {limits.side}")
    if min(width, height) < 1:
        raise MalformedError(f"has {width} × {height} pixels")


@contextlib.contextmanager
def _pillow_errors(limits: Limits) -> Iterator[None]:
    """Turn whatever Pillow raises into one of three errors, and hold its global bomb limit at ours."""
    import warnings

    from PIL import Image, ImageFile

    kept = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limits.pixels, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except AssayError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise LimitError(f"needs too much memory to decode: {safe_text(error, 200)}") from error
    except Exception as error:  # seven classes came back from Pillow on the malformed corpus alone
        said = safe_text(error, 200) or type(error).__name__
        if any(
            word in said.lower()
            for word in ("unsupported", "not supported", "cannot handle", "unknown pixel mode")
        ):
            raise UnsupportedError(f"cannot be decoded: {said}") from error
        raise MalformedError(f"cannot be decoded: {said}", hint="it may be truncated or damaged") from error
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = kept


# --------------------------------------------------------------------------------------- what else is kept


def _bounded(name: str, data: bytes, limits: Limits, encoding: dict[str, Any], notes: list[str]) -> bytes:
    if len(data) <= limits.metadata_bytes:
        return data
    notes.append(f"{name} of {len(data)} bytes left out, more than the limit metadata_bytes")
    encoding.setdefault("left_out", []).append(name)
    return b""


def _text(image: PillowImage, limits: Limits, notes: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in {**image.info, **getattr(image, "text", {})}.items():
        if isinstance(key, str) and isinstance(value, str) and not key.startswith("XML:com.adobe.xmp"):
            found[key] = str(value)
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        found["comment"] = comment.decode("utf-8", "replace")
    kept, room = {}, limits.metadata_bytes
    for key, value in found.items():
        room -= len(key) + len(value)
        if room < 0:
            notes.append("text left out, more than the limit metadata_bytes")
            break
        kept[key] = value
    return kept


def _orientation(image: PillowImage, name: str, notes: list[str]) -> tuple[int, bytes]:
    """Return the EXIF orientation (1 where none or nonsense) and the EXIF bytes as found.

    TIFF keeps its EXIF in its own tags; a block made of them stands in for it.
    """
    from PIL import Image

    raw = raw_bytes(image.info.get("exif"))
    try:
        if name == "TIFF":
            exif = image.getexif()
            value = exif.get(_ORIENTATION_TAG, 1)
            raw = _tiff_exif(exif)
        else:
            exif = Image.Exif()
            exif.load(raw)
            value = exif.get(_ORIENTATION_TAG, 1)
    except Exception as error:  # broken EXIF does not spoil a good picture
        notes.append(f"EXIF cannot be read: {safe_text(error, 100)}")
        return 1, raw
    return (value if value in range(1, 9) else 1), raw


def _tiff_exif(exif: Any) -> bytes:
    from PIL import Image

    kept = Image.Exif()
    for tag in (270, 271, 272, 305, 306, 315, 33432, _ORIENTATION_TAG):
        if tag in exif:
            kept[tag] = exif[tag]
    for pointer in (0x8769, 0x8825):
        block = exif.get_ifd(pointer)
        if block:
            kept.get_ifd(pointer).update(block)
    return bytes(kept.tobytes()) if len(kept) or kept.get_ifd(0x8769) or kept.get_ifd(0x8825) else b""


def _frames(
    stream: BinaryIO,
    image: PillowImage,
    media_type: str,
    limits: Limits,
    encoding: dict[str, Any],
    notes: list[str],
) -> int:
    """Count frames without decoding them; further whole pictures are noted, not counted."""
    frames = 1
    if media_type in ("image/gif", "image/png", "image/webp", "image/tiff", "image/jpeg"):
        try:
            found = layout(stream, media_type, limits)
        except MalformedError as error:
            notes.append(f"its byte structure breaks off: {error.message}")
        else:
            frames = found.frames
            encoding["pictures"] = found.pictures
    elif media_type == "image/avif":
        frames = min(int(getattr(image, "n_frames", 1)), limits.frames)
    else:
        encoding["pictures"] = int(getattr(image, "n_frames", 1))
    if frames > 1:
        notes.append(f"first of {frames}{' or more' if frames >= limits.frames else ''} frames")
    if encoding.get("pictures", 1) > 1:
        notes.append(f"first of {encoding['pictures']} pictures in the file")
    return frames


# ------------------------------------------------------------------------------------ through the worker

_HEADER = ("format", "mode", "frames", "orientation", "text", "encoding", "notes")


def _pack(picture: Picture) -> Answer:
    header = {name: getattr(picture, name) for name in _HEADER}
    header["shape"] = list(picture.pixels.shape[:2])
    alpha = b"" if picture.alpha is None else picture.alpha
    return Answer(header, (picture.pixels, alpha, picture.exif, picture.xmp, picture.icc))


def _unpack(answer: Answer) -> Picture:
    header = dict(answer.header)
    try:
        height, width = header.pop("shape")
        pixels, alpha, exif, xmp, icc = answer.blobs
        return Picture(
            pixels=np.frombuffer(pixels, np.uint8).reshape(height, width, 3),
            alpha=np.frombuffer(alpha, np.uint8).reshape(height, width) if len(alpha) else None,
            exif=bytes(exif),
            xmp=bytes(xmp),
            icc=bytes(icc),
            **{**header, "notes": tuple(header["notes"])},
        )
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedError("its decoder answered in no known form") from error
