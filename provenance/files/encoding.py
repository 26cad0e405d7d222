"""What a picture file's own encoder did, as far as it takes to write another file like it."""

from __future__ import annotations

import base64
import contextlib
import zlib
from typing import Any, BinaryIO

from assay.provenance.files.bytemap import View
from assay.provenance.limits import Limits

# JPEG segments that are not carried over: written anew by the encoder, or bound to the old bytes.
_OWN_SEGMENTS = (
    b"JFIF\0",
    b"JFXX\0",
    b"Exif\0\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"ICC_PROFILE\0",
    b"MPF\0",
    b"Adobe",
    b"JP",
)
# The ancillary chunks that Pillow writes as they are given; resolution, EXIF, ICC and XMP go another way.
_PNG_KEPT = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"tIME", b"tEXt", b"zTXt", b"iTXt"})
_TIFF_KEPT = (33723, 34377)  # IPTC-IIM and Photoshop's resources
_PNG_XMP = b"XML:com.adobe.xmp\0"


def raw_bytes(value: object) -> bytes:
    """Return a metadata block that Pillow gives as bytes or text, as bytes; empty where there is none."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return bytes(value) if isinstance(value, (bytes, bytearray)) else b""


def encoding_facts(
    stream: BinaryIO, image: Any, name: str, media_type: str, notes: list[str]
) -> dict[str, Any]:
    """Return what an encoder needs to write like the original; JSON values only."""
    facts: dict[str, Any] = {"media_type": media_type}
    dpi = image.info.get("dpi")
    if isinstance(dpi, tuple) and len(dpi) == 2:
        with contextlib.suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
            facts["dpi"] = [float(dpi[0]), float(dpi[1])]
    view = View(stream)
    if name == "JPEG":
        facts |= _jpeg_facts(image)
    elif name == "PNG":
        facts |= _png_facts(view)
    elif name == "WEBP":
        facts["lossless"] = _webp_lossless(view)
    elif name == "TIFF":
        bits = image.tag_v2.get(258, (1,))
        kept = {tag: raw_bytes(image.tag_v2.get(tag)) for tag in _TIFF_KEPT}
        facts |= {
            "compression": str(image.info.get("compression", "raw")),
            "bits": int(bits[0]),
            "tags": [[tag, base64.b64encode(data).decode()] for tag, data in kept.items() if data],
        }
    elif name == "HEIF":
        facts["bits"] = int(image.info.get("bit_depth", 8) or 8)
    elif name == "AVIF":
        facts["bits"] = _avif_bits(view)
    if facts.get("bits", 8) > 8 and name in ("HEIF", "AVIF"):
        notes.append(f"{facts['bits']} bits a sample reduced to 8")
    return facts


def _jpeg_facts(image: Any) -> dict[str, Any]:
    from PIL import JpegImagePlugin

    tables = [image.quantization.get(layer[3]) for layer in image.layer[: image.layers]]
    if len(tables) > 1 and all(table == tables[1] for table in tables[1:]):
        tables = tables[:2]
    whole = all(table is not None for table in tables)
    segments, room = [], 1 << 22
    for marker, data in image.applist:
        room -= len(data)
        if data.startswith(_OWN_SEGMENTS) and marker != "COM":
            continue
        if room > 0:
            segments.append([marker, base64.b64encode(data).decode()])
    components = [layer[0] for layer in image.layer[:3]]
    return {
        "bits": 8,
        "qtables": [[int(step) for step in table] for table in tables] if whole else [],
        "subsampling": int(JpegImagePlugin.get_sampling(image)),
        "progressive": bool(image.info.get("progressive")),
        "keep_rgb": image.layers == 3
        and (image.info.get("adobe_transform") == 0 or components == [82, 71, 66]),
        "segments": segments,
    }


def _png_facts(view: View) -> dict[str, Any]:
    bits, colour = view.read(24, 2)
    facts: dict[str, Any] = {"bits": bits, "colour": colour, "interlaced": bool(view.read(28, 1)[0])}
    chunks, at, room = [], 8, 1 << 23
    data_seen = False
    while at + 12 <= view.size:
        length, name = view.number(at, 4), view.read(at + 4, 4)
        if name == b"IEND":
            break
        data_seen |= name == b"IDAT"
        if name in _PNG_KEPT and length < room:
            data = view.peek(at + 8, length)
            if not (name == b"iTXt" and data.startswith(_PNG_XMP)):
                room -= length
                chunks.append([name.decode(), base64.b64encode(data).decode(), data_seen])
        at += 12 + length
    return {**facts, "chunks": chunks}


def png_text(view: View, limits: Limits) -> dict[str, str]:
    """Return the text of a PNG's tEXt, zTXt and iTXt chunks wherever they stand, decoding no picture.

    Chunks that cannot be unpacked, and those over ``limits.metadata_bytes`` in all, are left out.
    """
    found: dict[str, str] = {}
    room = limits.metadata_bytes
    for name, encoded, _ in _png_facts(view)["chunks"]:
        key, _, rest = base64.b64decode(encoded).partition(b"\0")
        if name == "iTXt" and rest.count(b"\0", 2) >= 2:
            packed, body = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[2]
        elif name in ("tEXt", "zTXt"):
            packed, body = name == "zTXt", rest[1:] if name == "zTXt" else rest
        else:
            continue
        try:
            body = zlib.decompressobj().decompress(body, max(room, 1)) if packed else body
        except zlib.error:
            continue
        room -= len(body)
        if room < 0:
            break
        text = body.decode("utf-8" if name == "iTXt" else "latin-1", "replace")
        found.setdefault(key.decode("latin-1"), text)
    return found


def _webp_lossless(view: View) -> bool:
    at = 12
    while at + 8 <= view.size:
        name, length = view.read(at, 4), view.number(at + 4, 4, "little")
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        if name == b"ANMF":
            return view.peek(at + 24, 4) == b"VP8L"
        at += 8 + length + (length & 1)
    return False


def _avif_bits(view: View) -> int:
    """Read the bit depth from the AV1 codec configuration box (AV1-ISOBMFF, section 2.3)."""
    head = view.peek(0, 1 << 16)
    at = head.find(b"av1C")
    if at < 0 or at + 7 > len(head):
        return 8
    flags = head[at + 6]
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
