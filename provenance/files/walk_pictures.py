"""Where metadata lie in JPEG, PNG, GIF and TIFF files; nothing is decoded here."""

from __future__ import annotations

import re
from typing import Literal

from assay.provenance.errors import LimitError, MalformedError
from assay.provenance.files.bytemap import Map, View
from assay.provenance.limits import Limits

MAX_PICTURES = 64
"""Most JPEG pictures counted in one file."""

_JPEG_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Segments that change how the samples are shown: ICC profile, and Adobe's colour transform.
_JPEG_COLOUR = (b"ICC_PROFILE\0", b"Adobe")
# Chunks that a PNG viewer shows nothing of (PNG 3rd edition, table of ancillary chunks; caBX is C2PA's).
_PNG_METADATA = frozenset({b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME", b"pHYs", b"caBX", b"sPLT", b"hIST"})
_GIF_SHOWN = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")
# Tags that describe and do not shape a picture: TIFF 6.0 sections 8 and 12, XMP, IPTC, Photoshop resources,
# EXIF and GPS directories, and C2PA's own (0xCD41).
_TIFF_METADATA = frozenset({
    269, 270, 271, 272, 282, 283, 285, 296, 297, 305, 306, 315, 316, 33432,
    700, 33723, 34377, 34665, 34853, 37510, 40091, 40092, 40093, 40094, 40095, 0xCD41,
})  # fmt: skip
_TIFF_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_STRIPS = {273: 279, 324: 325}  # StripOffsets: StripByteCounts, TileOffsets: TileByteCounts
_SUB_IFDS = 330
_MAX_ENTRIES = 4096


def jpeg(view: View, out: Map, limits: Limits) -> None:
    """Walk JPEG segments (ITU-T T.81 annex B) of the first picture, and count the pictures that follow it."""
    out.end = _jpeg_picture(view, 0, out)
    out.after = out.end
    while out.pictures < MAX_PICTURES:
        start = out.after
        while start < view.size and view.peek(start, 1) == b"\0":  # padding between the pictures of an MPO
            start += 1
        if view.peek(start, 3) != b"\xff\xd8\xff":
            return
        try:
            out.after = _jpeg_picture(view, start, Map())
        except MalformedError:
            return
        out.pictures += 1


def _jpeg_picture(view: View, at: int, out: Map) -> int:
    at += 2
    while True:
        at = start = _next_marker(view, at)
        while view.read(at, 1) == b"\xff":
            at += 1
        marker = view.read(at, 1)[0]
        at += 1
        if marker == 0xD9:
            return at
        if marker in (0x01, *range(0xD0, 0xD8)):
            continue
        length = view.number(at, 2)
        if length < 2:
            raise MalformedError(f"has a JPEG segment of length {length} at byte {start}")
        payload = view.read(at + 2, min(length - 2, 16))
        at += length
        if at > view.size:
            raise MalformedError(f"ends at byte {view.size}, within a JPEG segment")
        if marker == 0xFE:
            out.add("COM", start, at)
        elif 0xE0 <= marker <= 0xEF and not payload.startswith(_JPEG_COLOUR):
            out.add(f"APP{marker - 0xE0}", start, at)
        if marker == 0xDA:
            at = _jpeg_scan(view, at)


def _next_marker(view: View, at: int) -> int:
    """Step over bytes that are no marker, as libjpeg does; they count as content."""
    while at < view.size:
        piece = view.peek(at, 1 << 16)
        found = piece.find(b"\xff")
        if found >= 0:
            return at + found
        at += len(piece)
    raise MalformedError("ends within its picture: the JPEG end marker is missing")


def _jpeg_scan(view: View, at: int) -> int:
    while at < view.size:
        piece = view.peek(at, 1 << 16)
        found = _JPEG_SCAN_END.search(piece)
        if found:
            return at + found.start()
        at += max(len(piece) - 1, 1)
    raise MalformedError("ends within its picture: the JPEG end marker is missing")


def png(view: View, out: Map, limits: Limits) -> None:
    """Walk PNG chunks (PNG 3rd edition, section 5) to IEND."""
    at = 8
    while True:
        length, name = view.number(at, 4), view.read(at + 4, 4)
        end = at + 12 + length
        if end > view.size:
            raise MalformedError(f"ends at byte {view.size}, within the PNG chunk {name!r}")
        if name == b"acTL" and length >= 4:
            out.frames = max(1, min(view.number(at + 8, 4), limits.frames))
        if name in _PNG_METADATA:
            out.add(name.decode(), at, end)
        at = end
        if name == b"IEND":
            return out.stop(at)


def gif(view: View, out: Map, limits: Limits) -> None:
    """Walk GIF blocks (GIF89a specification) to the trailer, counting frames up to ``limits.frames``."""
    flags = view.read(10, 1)[0]
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    frames = 0
    while True:
        start, kind = at, view.read(at, 1)
        if kind == b";":
            out.frames = max(1, min(frames, limits.frames))
            return out.stop(at + 1)
        if kind == b",":
            frames += 1
            flags = view.read(at + 9, 1)[0]
            at = _gif_blocks(view, at + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
        elif kind == b"!":
            label = view.read(at + 1, 1)[0]
            name = view.peek(at + 3, 11)
            at = _gif_blocks(view, at + 2)
            if label == 0xFE:
                out.add("comment", start, at)
            elif label == 0xFF and name not in _GIF_SHOWN:
                out.add(name.decode("latin-1"), start, at)
        else:
            raise MalformedError(f"has no GIF block at byte {at}")


def _gif_blocks(view: View, at: int) -> int:
    while True:
        length = view.read(at, 1)[0]
        at += 1 + length
        if not length:
            return at


def tiff(view: View, out: Map, limits: Limits) -> None:
    """Walk TIFF 6.0 and BigTIFF directories; TIFF has no end mark, so nothing counts as appended.

    Strips, tiles and the values of every tag not known to be descriptive are content, even where a
    descriptive tag's value claims the same bytes.
    """
    order: Literal["big", "little"] = "little" if view.read(0, 2) == b"II" else "big"
    big = view.number(2, 2, order) == 43
    width = 8 if big else 4
    pending = [(view.number(8 if big else 4, width, order), True)]
    seen: set[int] = set()
    out.frames = 0
    while pending:
        at, page = pending.pop()
        if not at or at in seen:
            continue
        seen.add(at)
        if len(seen) > limits.frames:
            raise LimitError(f"has more TIFF directories than the limit frames of {limits.frames}")
        out.frames += page
        following, children = _tiff_directory(view, out, at, order, big)
        pending += [(child, False) for child in children]
        pending.append((following, page))
    out.frames = max(out.frames, 1)
    out.stop(view.size)


def _tiff_directory(
    view: View, out: Map, at: int, order: Literal["big", "little"], big: bool
) -> tuple[int, list[int]]:
    entry_bytes, count_bytes, width = (20, 8, 8) if big else (12, 2, 4)
    count = view.number(at, count_bytes, order)
    if count > _MAX_ENTRIES:
        raise LimitError(f"has a TIFF directory of {count} entries, more than {_MAX_ENTRIES}")
    numbers: dict[int, list[int]] = {}
    for index in range(count):
        entry = at + count_bytes + index * entry_bytes
        tag, kind = view.number(entry, 2, order), view.number(entry + 2, 2, order)
        items = view.number(entry + 4, width, order)
        size = items * _TIFF_SIZES.get(kind, 1)
        inline = size <= width
        place = entry + 4 + width if inline else view.number(entry + 4 + width, width, order)
        if tag in _TIFF_METADATA:
            out.add(f"tag {tag}", entry, entry + entry_bytes)
            if not inline:
                out.add(f"tag {tag}", place, min(place + size, view.size))
        elif not inline:
            out.claimed.append((place, place + size))
        if tag in (_SUB_IFDS, *_STRIPS, *_STRIPS.values()) and kind in (3, 4, 13, 16, 18):
            numbers[tag] = _tiff_numbers(view, place, items, _TIFF_SIZES[kind], order)
    for offsets, sizes in _STRIPS.items():
        out.claimed += [
            (start, start + size)
            for start, size in zip(numbers.get(offsets, ()), numbers.get(sizes, ()), strict=False)
        ]
    end = at + count_bytes + count * entry_bytes
    following = view.number(end, width, order) if end + width <= view.size else 0  # some writers leave it out
    return following, numbers.get(_SUB_IFDS, [])[:_MAX_ENTRIES]


def _tiff_numbers(view: View, at: int, items: int, size: int, order: Literal["big", "little"]) -> list[int]:
    data = view.read(at, items * size) if items * size <= view.size else b""
    return [int.from_bytes(data[i : i + size], order) for i in range(0, len(data), size)]
