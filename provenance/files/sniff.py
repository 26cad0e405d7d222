"""What a file is, by content alone, and the one way a file is opened."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from assay.provenance.asset import Asset, Digest
from assay.provenance.errors import InputError, LimitError, MalformedError, UsageError
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.media import Kind
from assay.provenance.text import safe_text

HEAD_BYTES = 64 * 1024
"""How much of a file's start is looked at; brands, IFDs and XML prologues lie well inside."""

_ADD_SEALS, _GET_SEALS, _ALL_SEALS = 1033, 1034, 0b1111
UNKNOWN = "application/octet-stream"

_MAX_BRANDS = 64
_MAX_IFD_ENTRIES = 512
_DNG_VERSION = 0xC612  # DNG 1.7 specification, "DNGVersion"

# Formats told by fixed bytes at a fixed place: (offset, bytes, kind, media type).
_MAGIC: tuple[tuple[int, bytes, Kind, str], ...] = (
    (0, b"\xff\xd8\xff", Kind.IMAGE, "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", Kind.IMAGE, "image/png"),
    (0, b"GIF87a", Kind.IMAGE, "image/gif"),
    (0, b"GIF89a", Kind.IMAGE, "image/gif"),
    (0, b"\xff\x0a", Kind.IMAGE, "image/jxl"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", Kind.IMAGE, "image/jxl"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", Kind.IMAGE, "image/jp2"),
    (0, b"BM", Kind.IMAGE, "image/bmp"),
    (0, b"8BPS", Kind.IMAGE, "image/vnd.adobe.photoshop"),
    (0, b"\x00\x00\x01\x00", Kind.IMAGE, "image/x-icon"),
    (0, b"qoif", Kind.IMAGE, "image/qoi"),
    (0, b"%!PS", Kind.DOCUMENT, "application/postscript"),
    (0, b"fLaC", Kind.AUDIO, "audio/flac"),
    (0, b"OggS", Kind.AUDIO, "application/ogg"),
    (0, b"\x1aE\xdf\xa3", Kind.VIDEO, "video/x-matroska"),
    (0, b"FLV\x01", Kind.VIDEO, "video/x-flv"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind.VIDEO, "video/x-ms-asf"),
    (0, b"#!AMR", Kind.AUDIO, "audio/amr"),
    (128, b"DICM", Kind.IMAGE, "application/dicom"),
    (0, b"PK\x03\x04", Kind.DOCUMENT, "application/zip"),
    (0, b"PK\x05\x06", Kind.DOCUMENT, "application/zip"),
    (0, b"\x00\x01\x00\x00\x00", Kind.UNKNOWN, "font/ttf"),
    (0, b"OTTO", Kind.UNKNOWN, "font/otf"),
    (0, b"wOF2", Kind.UNKNOWN, "font/woff2"),
    (0, b"\x1f\x8b", Kind.UNKNOWN, "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", Kind.UNKNOWN, "application/x-7z-compressed"),
    (0, b"MZ", Kind.UNKNOWN, "application/vnd.microsoft.portable-executable"),
    (0, b"\x7fELF", Kind.UNKNOWN, "application/x-elf"),
)

# ISO base media file format brands (ISO/IEC 14496-12; MP4RA registry) in order of preference: a file is the
# first of these types that any of its brands names, so that a "mif1" container says what it really carries.
_BRANDS: tuple[tuple[frozenset[bytes], Kind, str], ...] = (
    (frozenset({b"avif", b"avis"}), Kind.IMAGE, "image/avif"),
    (frozenset({b"hei" + c for c in (b"c", b"x", b"m", b"s")}), Kind.IMAGE, "image/heic"),
    (frozenset({b"hev" + c for c in (b"c", b"x", b"m", b"s")}), Kind.IMAGE, "image/heic"),
    (frozenset({b"crx "}), Kind.IMAGE, "image/x-canon-cr3"),
    (frozenset({b"qt  "}), Kind.VIDEO, "video/quicktime"),
    (frozenset({b"M4A ", b"M4B ", b"M4P "}), Kind.AUDIO, "audio/mp4"),
    (
        frozenset({b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"mp41",
                   b"mp42", b"mp71", b"avc1", b"M4V ", b"MSNV", b"dash", b"msdh", b"msix", b"cmfc", b"f4v ",
                   b"3gp4", b"3gp5", b"3gp6", b"3gp7", b"3g2a", b"M4VP", b"M4VH"}),
        Kind.VIDEO,
        "video/mp4",
    ),
    (frozenset({b"mif1", b"msf1", b"mif2", b"miaf", b"1pic"}), Kind.IMAGE, "image/heif"),
)  # fmt: skip

_RIFF = {
    b"WEBP": (Kind.IMAGE, "image/webp"),
    b"WAVE": (Kind.AUDIO, "audio/wav"),
    b"AVI ": (Kind.VIDEO, "video/x-msvideo"),
}

_SVG_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]{0,40}:)?svg[\s>/]")
_XML_ROOT = re.compile(rb"<([A-Za-z_][\w.:-]{0,80})")


def sniff(head: bytes) -> tuple[Kind, str]:
    """Say from a file's first ``HEAD_BYTES`` bytes what it is: kind and media type.

    Names and extensions are never looked at. Unknown content is ``(UNKNOWN, "application/octet-stream")``.
    TIFF files that carry DNGVersion in their first directory within ``head`` are DNG. Never raises.
    """
    for test in (_riff, _bmff, _tiff, _c2pa_store, _pdf, _magic, _mpeg_audio, _markup):
        answer = test(head)
        if answer:
            return answer
    return Kind.UNKNOWN, UNKNOWN


def sniff_stream(stream: BinaryIO) -> tuple[Kind, str]:
    """Say what a seekable stream holds, leaving it at its start; a TIFF directory further in is followed."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    answer = sniff(head)
    if answer[1] == "image/tiff":
        answer = _tiff_at(stream, head)
    stream.seek(0)
    return answer


def open_asset(path: Path | str, limits: Limits = DEFAULT_LIMITS) -> tuple[Asset, BinaryIO]:
    """Open one file, once, and say what it is; the caller closes the stream, which stands at its start.

    Size is checked on the open descriptor before a byte is read. What is hashed is what every reader gets: a sealed
    copy in memory of a file up to ``limits.copied_bytes``, which nobody can write to any more; of a larger one the
    same descriptor, through which a change made in place is seen: ``written_at`` then tells of it.
    A link that the user names is followed; anything but a regular file is refused without waiting.

    Raises InputError (missing, unreadable, not a regular file), MalformedError (empty), LimitError
    (larger than ``limits.file_bytes``).
    """
    path = Path(path)
    stream = open_regular(path)
    try:
        size = os.fstat(stream.fileno()).st_size
        if size == 0:
            raise MalformedError(
                "is empty", hint="the file has no bytes: get it again from its source", path=path
            )
        if size > limits.file_bytes:
            raise LimitError(
                f"has {size} bytes, more than the limit file_bytes of {limits.file_bytes}",
                hint="raise the limit in the policy if the file is to be trusted with the time", path=path,
            )  # fmt: skip
        stream = _private(stream, size, limits)
        size = os.fstat(stream.fileno()).st_size
        digest = Digest.of_file(stream)
        kind, media_type = sniff_stream(stream)
    except BaseException:
        stream.close()
        raise
    return Asset(path=path, kind=kind, media_type=media_type, size=size, digest=digest), stream


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; raises InputError, UsageError for a name that is none."""
    # O_NONBLOCK keeps a FIFO from blocking the open; it has no effect on regular files.
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    shown = safe_text(path)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise InputError("does not exist", hint="check the name and the folder", path=shown) from error
    except PermissionError as error:
        raise InputError(
            "cannot be read: permission denied", hint="check the file's rights", path=shown
        ) from error
    except ValueError as error:  # an embedded NUL
        raise UsageError(f"not a file name: {shown!r}") from error
    except OSError as error:
        what = {errno.ELOOP: "is a link that leads nowhere", errno.ENXIO: "is not a regular file"}
        reason = what.get(error.errno or 0, f"cannot be opened: {error.strerror}")
        raise InputError(reason, path=shown) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError("is not a regular file", hint="folders, pipes and devices are not read", path=shown)
    return os.fdopen(descriptor, "rb")


def _private(stream: BinaryIO, size: int, limits: Limits) -> BinaryIO:
    """Return a copy that cannot be changed and close ``stream``, or ``stream`` where there can be none."""
    if size > limits.copied_bytes or sys.platform != "linux":
        return stream
    import fcntl  # not everywhere

    try:
        copy = os.fdopen(os.memfd_create("assay", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b", buffering=0)
    except OSError:
        return stream
    try:
        left = limits.copied_bytes  # it may grow while it is copied
        while left and (piece := stream.read(min(left, 1 << 20))):
            copy.write(piece)
            left -= len(piece)
        fcntl.fcntl(copy, _ADD_SEALS, _ALL_SEALS)
        sealed = os.fdopen(os.dup(copy.fileno()), "rb")
    except OSError:
        stream.seek(0)
        return stream
    finally:
        copy.close()
    stream.close()
    return sealed


def written_at(stream: BinaryIO) -> tuple[int, int, int] | None:
    """Return size and times of the last change, in nanoseconds, of an open file; None for a copy that is sealed.

    What others wrote through mapped memory is brought to disk first, so that the next such change has a time too.
    """
    descriptor = stream.fileno()
    if sys.platform == "linux":
        import fcntl  # not everywhere

        with contextlib.suppress(OSError):  # no such memory
            if fcntl.fcntl(descriptor, _GET_SEALS) == _ALL_SEALS:
                return None
    with contextlib.suppress(OSError):
        os.fsync(descriptor)
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _magic(head: bytes) -> tuple[Kind, str] | None:
    for offset, magic, kind, media_type in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            if media_type == "video/x-matroska" and b"webm" in head[:64]:
                return kind, "video/webm"
            return kind, media_type
    return None


def _riff(head: bytes) -> tuple[Kind, str] | None:
    if head[:4] not in (b"RIFF", b"RF64"):
        return None
    return _RIFF.get(head[8:12], (Kind.UNKNOWN, UNKNOWN))


def _bmff(head: bytes) -> tuple[Kind, str] | None:
    box = head[4:8]
    if box in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot") and len(head) >= 8:
        # QuickTime files older than the ftyp box start with one of these.
        return Kind.VIDEO, "video/quicktime"
    if box in (b"styp", b"sidx", b"moof"):
        return Kind.VIDEO, "video/mp4"  # a DASH or CMAF media segment
    if box != b"ftyp":
        return None
    size = min(int.from_bytes(head[:4], "big"), len(head))
    places = (8, *range(16, max(size, 12), 4)[:_MAX_BRANDS])
    major = head[8:12]
    brands = {head[at : at + 4] for at in places}
    for names, kind, media_type in _BRANDS:
        if major in names and media_type not in ("image/heif", "video/mp4"):
            return kind, media_type
    for names, kind, media_type in _BRANDS:
        # "qt  " and M4A among the compatible brands of an MP4 say only that such players cope with it.
        if brands & names and (media_type not in ("video/quicktime", "audio/mp4") or major in names):
            return kind, media_type
    return Kind.VIDEO, "video/mp4"


def _tiff(head: bytes) -> tuple[Kind, str] | None:
    if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    tags = _ifd_tags(head, 0, _first_ifd(head), _order(head), big=head[2:4] in (b"+\0", b"\0+"))
    return Kind.IMAGE, "image/x-adobe-dng" if _DNG_VERSION in tags else "image/tiff"


def _tiff_at(stream: BinaryIO, head: bytes) -> tuple[Kind, str]:
    at = _first_ifd(head)
    big = head[2:4] in (b"+\0", b"\0+")
    stream.seek(0, os.SEEK_END)
    if not 8 <= at < stream.tell():
        return Kind.IMAGE, "image/tiff"
    stream.seek(at)
    window = stream.read(8 + _MAX_IFD_ENTRIES * 20)
    tags = _ifd_tags(window, at, at, _order(head), big=big)
    return Kind.IMAGE, "image/x-adobe-dng" if _DNG_VERSION in tags else "image/tiff"


def _order(head: bytes) -> str:
    return "little" if head[:2] == b"II" else "big"


def _first_ifd(head: bytes) -> int:
    big = head[2:4] in (b"+\0", b"\0+")
    return _number(head[8:16] if big else head[4:8], _order(head))


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "little" if order == "little" else "big")


def _ifd_tags(window: bytes, base: int, at: int, order: str, *, big: bool) -> set[int]:
    """Return the tags of the directory at file offset ``at``, of which ``window`` starts at ``base``."""
    start = at - base
    width, count_bytes = (20, 8) if big else (12, 2)
    if start < 0 or start + count_bytes > len(window):
        return set()
    count = min(_number(window[start : start + count_bytes], order), _MAX_IFD_ENTRIES)
    first = start + count_bytes
    return {_number(window[first + i * width : first + i * width + 2], order) for i in range(count)}


def _c2pa_store(head: bytes) -> tuple[Kind, str] | None:
    # ISO 19566-5 JUMBF superbox whose description box has the C2PA manifest store's type.
    if head[4:8] == b"jumb" and head[12:16] == b"jumd" and head[16:20] == b"c2pa":
        return Kind.UNKNOWN, "application/c2pa"
    return None


def _pdf(head: bytes) -> tuple[Kind, str] | None:
    # Readers accept the header within the first 1,024 bytes; here only where nothing else claims them.
    if head[:5] == b"%PDF-" or (b"%PDF-" in head[:1024] and head[:1024].lstrip()[:5] == b"%PDF-"):
        return Kind.DOCUMENT, "application/pdf"
    return None


def _mpeg_audio(head: bytes) -> tuple[Kind, str] | None:
    if head[:3] == b"ID3" and len(head) >= 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        if head[10 + size : 14 + size] == b"fLaC":
            return Kind.AUDIO, "audio/flac"
        return Kind.AUDIO, "audio/mpeg"
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        layer, rate, frequency = head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
        if layer == 1 and rate not in (0, 15) and frequency != 3:
            return Kind.AUDIO, "audio/mpeg"
        if layer == 0 and head[1] & 0xF6 == 0xF0:
            return Kind.AUDIO, "audio/aac"
    return None


def _markup(head: bytes) -> tuple[Kind, str] | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = (
            head.decode("utf-16", "replace").encode("utf-8", "replace").removeprefix(b"\xef\xbb\xbf").lstrip()
        )
    if not text.startswith(b"<"):
        return None
    lower = text[:512].lower()
    if lower.startswith((b"<!doctype html", b"<html")):
        return Kind.DOCUMENT, "text/html"
    bare = re.sub(rb"<!--.{0,16384}?-->|<\?.{0,4096}?\?>", b"", text, flags=re.DOTALL)
    bare = re.sub(
        rb"<!DOCTYPE[^\[>]{0,4096}(?:\[.{0,32768}?\]\s*)?>", b"", bare, flags=re.DOTALL | re.IGNORECASE
    )
    root = _XML_ROOT.search(bare)
    svg = _SVG_ROOT.search(bare)
    if root and svg and root.start() == svg.start():
        return Kind.IMAGE, "image/svg+xml"
    if text.startswith(b"<?xml"):
        return Kind.DOCUMENT, "text/xml"
    return (Kind.DOCUMENT, "text/html") if root and root[1].lower() == b"html" else None
