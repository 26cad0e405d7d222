"""Putting an XMP packet into a file without touching its picture: JPEG, PNG, WebP and PDF."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

from assay.provenance.errors import MalformedError, UnsupportedError
from assay.provenance.files.bytemap import Map, View
from assay.provenance.files.walk_containers import riff
from assay.provenance.files.walk_pictures import jpeg, png
from assay.provenance.files.worker import Answer, run
from assay.provenance.files.xmp import IPTC_EXT, MAX_PACKET, TC260, source_type_uri
from assay.provenance.limits import Limits
from assay.provenance.text import safe_text

Change = Callable[[bytes], bytes]
"""Takes the packet that is there, empty if none, and returns the one that is to be there."""

_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_ROOM = 65_533 - len(_JPEG_XMP)
_PNG_XMP = b"XML:com.adobe.xmp\0"


def put_jpeg(source: BinaryIO, target: BinaryIO, change: Change, limits: Limits) -> None:
    """Replace the XMP segment (XMP specification part 3, section 1.1.3), or add one after JFIF and EXIF.

    Raises UnsupportedError where the packet would not fit its segment.
    """
    view, found = View(source), Map()
    jpeg(view, found, limits)
    at, end, packet = 2, 2, b""
    for part in found.metadata:
        payload = view.peek(part.start + 4, part.end - part.start - 4)
        if part.name == "APP1" and payload.startswith(_JPEG_XMP):
            at, end, packet = part.start, part.end, payload[len(_JPEG_XMP) :]
            break
        if part.start == at and payload.startswith((b"JFIF\0", b"JFXX\0", b"Exif\0\0")):
            at = end = part.end
    new = change(packet)
    if len(new) > _JPEG_ROOM:
        raise UnsupportedError(f"an XMP packet of {len(new)} bytes does not fit into a JPEG segment")
    segment = b"\xff\xe1" + struct.pack(">H", len(_JPEG_XMP) + len(new) + 2) + _JPEG_XMP + new
    _splice(source, target, at, end, segment)


def put_png(source: BinaryIO, target: BinaryIO, change: Change, limits: Limits) -> None:
    """Replace the XMP chunk (XMP specification part 3, section 1.1.5), or add one after IHDR."""
    view, found = View(source), Map()
    png(view, found, limits)
    at = end = 33
    packet = b""
    for part in found.metadata:
        if part.name == "iTXt" and view.peek(part.start + 8, len(_PNG_XMP)) == _PNG_XMP:
            at, end = part.start, part.end
            packet = _itxt(view.read(at + 8 + len(_PNG_XMP), end - at - 12 - len(_PNG_XMP)))
            break
    body = b"iTXt" + _PNG_XMP + b"\0\0\0\0" + change(packet)
    _splice(
        source, target, at, end, struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    )


def _itxt(data: bytes) -> bytes:
    compressed, rest = data[:1] == b"\1", data[2:].split(b"\0", 2)
    if len(rest) != 3:
        raise MalformedError("has an XMP chunk without its fields")
    if not compressed:
        return rest[2]
    unpacker = zlib.decompressobj()
    try:
        packet = unpacker.decompress(rest[2], MAX_PACKET)
    except zlib.error as error:
        raise MalformedError("has a broken XMP chunk") from error
    if unpacker.unconsumed_tail:
        raise MalformedError(f"has an XMP chunk of more than {MAX_PACKET} bytes")
    return packet


def put_webp(source: BinaryIO, target: BinaryIO, change: Change, limits: Limits) -> None:
    """Replace or append the ``XMP `` chunk, making the file an extended one (RFC 9649, section 2.7)."""
    view, found = View(source), Map()
    riff(view, found, limits)
    chunks: list[tuple[bytes, bytes]] = []
    packet, at = b"", 12
    while at + 8 <= found.end:
        name, length = view.read(at, 4), view.number(at + 4, 4, "little")
        data = view.read(at + 8, length)
        at += 8 + length + (length & 1)
        if name == b"XMP ":
            packet = packet or data
        else:
            chunks.append((name, data))
    if chunks and chunks[0][0] != b"VP8X":
        chunks.insert(0, (b"VP8X", _vp8x(*chunks[0])))
    if not chunks or len(chunks[0][1]) != 10:
        raise MalformedError("has no WebP picture")
    extended = chunks[0][1]
    chunks[0] = (b"VP8X", bytes((extended[0] | 0x04,)) + extended[1:])
    chunks.append((b"XMP ", change(packet)))
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1) for name, data in chunks
    )
    target.write(b"RIFF" + struct.pack("<I", len(body)) + body)
    source.seek(found.end)
    shutil.copyfileobj(source, target)


def _vp8x(name: bytes, data: bytes) -> bytes:
    """Return the extended header that a simple WebP file implies (RFC 9649, 2.5 to 2.7; RFC 6386, 9.1)."""
    if name == b"VP8 " and len(data) >= 10 and data[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(data[i : i + 2], "little") & 0x3FFF for i in (6, 8))
        alpha = False
    elif name == b"VP8L" and len(data) >= 5 and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        width, height, alpha = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    else:
        raise MalformedError("has no WebP picture")
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes((0x10 if alpha else 0, 0, 0, 0)) + size


def put_pdf(source: BinaryIO, target: BinaryIO, source_type: str, label: str, limits: Limits) -> None:
    """Set the fields in a PDF's XMP metadata, in the worker.

    Raises UnsupportedError for encrypted PDFs, and for those with digital signatures, which rewriting breaks.
    """
    import pikepdf

    def work(own: BinaryIO) -> Answer:
        out = BytesIO()
        try:
            with pikepdf.open(own) as document:
                form = document.Root.get("/AcroForm")
                if document.is_encrypted or (form is not None and int(form.get("/SigFlags", 0)) & 1):
                    raise UnsupportedError("is encrypted or carries signatures, which rewriting would break")
                with document.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
                    metadata.register_xml_namespace(IPTC_EXT, "Iptc4xmpExt")
                    metadata.register_xml_namespace(TC260, "TC260")
                    metadata["Iptc4xmpExt:DigitalSourceType"] = source_type_uri(source_type)
                    if label and "TC260:AIGC" not in metadata:
                        metadata["TC260:AIGC"] = label
                document.save(out, fix_metadata_version=False)
        except (pikepdf.PdfError, pikepdf.PasswordError) as error:
            raise UnsupportedError(f"cannot be rewritten: {safe_text(error, 200)}") from error
        return Answer({}, (out.getvalue(),))

    target.write(run(work, source, limits).blobs[0])


def _splice(source: BinaryIO, target: BinaryIO, at: int, end: int, new: bytes) -> None:
    """Copy ``source`` with the bytes ``[at, end)`` replaced."""
    source.seek(0)
    left = at
    while left:
        piece = source.read(min(left, 1 << 20))
        if not piece:
            raise MalformedError("ended while it was copied")
        target.write(piece)
        left -= len(piece)
    target.write(new)
    source.seek(end)
    shutil.copyfileobj(source, target)
