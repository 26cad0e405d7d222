"""What a file's unsigned structure says of a camera: how the record of an exposure and the file around it fit.

Only structure is looked at, never names of makers or programs. Anyone can copy all of it from another file; what it may
weigh is therefore little, and was measured (docs/formats/blocks.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from assay.provenance.errors import AssayError
from assay.provenance.files.bytemap import View
from assay.provenance.files.picture import FORMATS, metadata_of, size_of
from assay.provenance.files.thumbnails import unlike
from assay.provenance.limits import Limits

AS_TAKEN, REWRITTEN, AT_ODDS = "as-taken", "rewritten", "at-odds"
"""A file as a camera writes it; one with a camera's record that a program wrote again; a record at odds with itself."""
GENERATOR_SIZE, PLAIN = "generator-size", "plain"
"""No record, and sides that generators work in; no record, and nothing else to tell by."""
CLASSES = (AS_TAKEN, REWRITTEN, AT_ODDS, GENERATOR_SIZE, PLAIN)
SILENT = frozenset({REWRITTEN, PLAIN})
"""Classes that say nothing by definition: what was written again or stripped of its metadata is no evidence."""

GENERATOR_STEP, GENERATOR_MOST = 64, 2048
"""Generators work in sides that are multiples of this many pixels, up to that many."""
NOTE_BYTES = 64
"""Least length of a maker note that holds anything."""
APEX_APART = 0.5
"""Most that an exposure and its own logarithm (APEX, EXIF 2.32 annex C) may differ, in stops."""
MAX_SEGMENTS = 256
"""Most segments of a JPEG looked at."""

_EXIF_IFD = 0x8769
_MAKE, _MODEL, _NOTE = 271, 272, 0x927C
_TIME, _NUMBER, _ISO, _TV, _AV = 0x829A, 0x829D, 0x8827, 0x9201, 0x9202
_WIDTH, _HEIGHT = 0xA002, 0xA003
_EXPOSURE = (_TIME, _NUMBER, _ISO)


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """The class of a file's structure, and its ``format``: ``jpeg``, ``png``, ``webp``, or "" for all others."""

    found: str
    format: str

    def to_json(self) -> dict[str, str]:
        """Return the form used in reports."""
        return {"class": self.found, "format": self.format}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CameraRecord:
        """Read what ``to_json`` wrote; raises KeyError, ValueError."""
        if document["class"] not in CLASSES:
            raise ValueError(f"{document['class']!r} is no class of structure")
        return cls(str(document["class"]), str(document["format"]))


def camera_record(
    stream: BinaryIO, media_type: str, limits: Limits, others: Sequence[str] | None = None
) -> CameraRecord:
    """Return the class of a file's structure; meant for the worker. What cannot be read is PLAIN.

    ``others`` are the small pictures that show something else, by ``thumbnails.unlike``, which is asked if None.
    """
    kind = media_type.removeprefix("image/")
    kind = kind if kind in ("jpeg", "png", "webp") else ""
    if media_type not in FORMATS:
        return CameraRecord(PLAIN, "")
    try:
        exif = metadata_of(stream, limits)[1]
        width, height = size_of(stream, limits)
        segments = _segments(View(stream)) if kind == "jpeg" else ()
    except AssayError:
        return CameraRecord(PLAIN, kind)
    found = _class(_fields(exif), width, height, segments)
    if found == AS_TAKEN and (unlike(stream, limits) if others is None else others):
        found = AT_ODDS
    return CameraRecord(found, kind)


def _class(fields: Mapping[int, Any], width: int, height: int, segments: tuple[bytes, ...]) -> str:
    if all(tag in fields for tag in _EXPOSURE) and (fields.get(_MAKE) or fields.get(_MODEL)):
        if not _coherent(fields):
            return AT_ODDS
        note = fields.get(_NOTE)
        whole = isinstance(note, bytes) and len(note) >= NOTE_BYTES
        recorded = {_number(fields.get(_WIDTH)), _number(fields.get(_HEIGHT))}
        return AS_TAKEN if whole and recorded == {width, height} and _untouched(segments) else REWRITTEN
    size = (
        width % GENERATOR_STEP == 0 and height % GENERATOR_STEP == 0 and max(width, height) <= GENERATOR_MOST
    )
    return GENERATOR_SIZE if size else PLAIN


def _coherent(fields: Mapping[int, Any]) -> bool:
    """Say whether time, f-number and sensitivity are possible, and their logarithms are theirs where recorded."""
    time, number, iso = (_number(fields[tag]) for tag in _EXPOSURE)
    if not (0 < time <= 3600 and 0.5 <= number <= 128 and iso >= 1):
        return False
    tv, av = _number(fields.get(_TV)), _number(fields.get(_AV))
    return (math.isnan(tv) or abs(tv + math.log2(time)) <= APEX_APART) and (
        math.isnan(av) or av == 0 or abs(av - 2 * math.log2(number)) <= APEX_APART
    )


def _untouched(segments: tuple[bytes, ...]) -> bool:
    """Say whether EXIF comes first, as DCF 2.0 asks of cameras, and no encoder of programs left its own segment."""
    return (
        bool(segments)
        and segments[0].startswith(b"Exif\0")
        and not any(s.startswith((b"JFIF\0", b"Photoshop", b"Adobe", b"Ducky")) for s in segments)
    )


def _segments(view: View) -> tuple[bytes, ...]:
    """Return the first bytes of each application segment of a JPEG before its picture."""
    found, at = [], 2
    for _ in range(MAX_SEGMENTS):
        head = view.peek(at, 16)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0xDA, 0xD9):
            break
        if head[1] == 0xFF:  # fill bytes may stand before any marker
            at += 1
            continue
        if 0xE0 <= head[1] <= 0xEF:
            found.append(head[4:])
        at += 2 + int.from_bytes(head[2:4], "big")
    return tuple(found)


def _fields(data: bytes) -> dict[int, Any]:
    from PIL import Image

    if not data:
        return {}
    exif = Image.Exif()
    try:
        exif.load(data)
        return {**{tag: exif.get(tag) for tag in (_MAKE, _MODEL)}, **exif.get_ifd(_EXIF_IFD)}
    except Exception:  # broken EXIF raises whatever its bytes lead to; a record that is broken is none
        return {}


def _number(value: object) -> float:
    """Return a number of EXIF, the first of several; not a number where it is none."""
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return math.nan
