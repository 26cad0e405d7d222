"""Gathering a file's metadata blocks, XMP, EXIF and text, without decoding its picture."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from assay.provenance.errors import AssayError, UnsupportedError
from assay.provenance.files.bytemap import View
from assay.provenance.files.picture import FORMATS, load_codecs, metadata_of
from assay.provenance.files.xmp import load_parser
from assay.provenance.limits import Limits

_TAGS = {270: "ImageDescription", 271: "Make", 272: "Model", 305: "Software", 315: "Artist"}
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_DATE_TIME_ORIGINAL, _USER_COMMENT = 0x9003, 0x9286
_CHARSETS = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "", b"JIS\0\0\0\0\0": "iso2022_jp", b"\0" * 8: "utf-8"}
_XMP_START, _XMP_END = b"<x:xmpmeta", b"</x:xmpmeta>"
_SCAN = 64 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A file's metadata blocks as found; ``broken`` names those that could not be read."""

    xmp: bytes = b""
    exif: bytes = b""
    text: dict[str, str] = field(default_factory=dict)
    broken: tuple[str, ...] = ()

    @property
    def exif_text(self) -> dict[str, str]:
        """The EXIF fields that tell of a file's making, by name; empty where EXIF is missing or broken."""
        return _exif(self.exif)[0]

    @property
    def has_gps(self) -> bool:
        """Whether EXIF records a position."""
        return _exif(self.exif)[1]


def load_readers(media_type: str) -> None:
    """Import what ``read_source`` needs for a format; done in the parent, because a sealed child can import nothing."""
    load_parser()
    if media_type in FORMATS:
        load_codecs()
        for charset in (*_CHARSETS.values(), "utf-16-le", "utf-16-be"):
            codecs.lookup(charset or "ascii")
    if media_type == "application/pdf":
        import pikepdf  # noqa: F401


def read_source(stream: BinaryIO, media_type: str, limits: Limits) -> Source:
    """Gather the metadata blocks of a file; pictures through their decoder's header reader, PDF by pikepdf.

    Of other formats only XMP is looked for, by its packet's own tags (XMP specification part 3, section 2,
    packet scanning), in the first 64 MiB.
    """
    try:
        if media_type in FORMATS:
            xmp, exif, text = metadata_of(stream, limits)
            return Source(xmp, exif, text)
        if media_type == "application/pdf":
            return Source(_pdf_xmp(stream, limits))
        return Source(_scan(stream, limits))
    except UnsupportedError:
        return Source(_scan(stream, limits))
    except AssayError as error:
        return Source(_scan(stream, limits), broken=(f"metadata ({error.message})",))


def _pdf_xmp(stream: BinaryIO, limits: Limits) -> bytes:
    import pikepdf

    try:
        stream.seek(0)
        with pikepdf.open(stream) as document:
            if "/Metadata" not in document.Root:
                return b""
            data = bytes(document.Root.Metadata.read_bytes())
    except (
        pikepdf.PdfError,
        pikepdf.PasswordError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
    ) as error:
        raise UnsupportedError("is a PDF that cannot be opened") from error
    return data if len(data) <= limits.metadata_bytes else b""


def _scan(stream: BinaryIO, limits: Limits) -> bytes:
    view = View(stream)
    at, step = 0, 1 << 20
    while at < min(view.size, _SCAN):
        piece = view.peek(at, step)
        found = piece.find(_XMP_START)
        if found >= 0:
            block = view.peek(at + found, limits.metadata_bytes)
            end = block.find(_XMP_END)
            return block[: end + len(_XMP_END)] if end >= 0 else b""
        at += max(len(piece) - len(_XMP_START), 1)
    return b""


def _exif(data: bytes) -> tuple[dict[str, str], bool]:
    from PIL import Image

    if not data:
        return {}, False
    exif = Image.Exif()
    found: dict[str, str] = {}
    try:
        exif.load(data)
        found = {name: _words(exif.get(tag)) for tag, name in _TAGS.items() if exif.get(tag)}
        block = exif.get_ifd(_EXIF_IFD)
        found |= _exif_block(block)
        return {name: value for name, value in found.items() if value}, bool(exif.get_ifd(_GPS_IFD))
    except Exception:  # broken EXIF raises whatever its bytes lead to; what was read before it counts
        return found, False


def _exif_block(block: dict[int, Any]) -> dict[str, str]:
    found = {"DateTimeOriginal": _words(block.get(_DATE_TIME_ORIGINAL))}
    comment = block.get(_USER_COMMENT)
    if isinstance(comment, bytes):
        charset = _CHARSETS.get(comment[:8])
        body = comment if charset is None else comment[8:]
        if charset == "":  # EXIF says UCS-2 in the file's byte order, which writers get wrong both ways
            charset = "utf-16-le" if body[1::2].count(0) > body[0::2].count(0) else "utf-16-be"
        found["UserComment"] = body.decode(charset or "utf-8", "replace").strip("\0 ")
    elif isinstance(comment, str):
        found["UserComment"] = comment
    return found


def _words(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 ")
    return value.strip("\0 ") if isinstance(value, str) else ""
