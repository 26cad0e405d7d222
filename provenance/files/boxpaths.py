"""Where the boxes lie that a ``c2pa.hash.bmff`` assertion leaves out, by path and by what they hold.

C2PA 2.x, section 18.7: an exclusion names boxes by an absolute path of four-letter types, and may ask for a
length, for bytes at an offset, and for a version or flags; with ``subset`` it leaves out parts of such a box only.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assay.provenance.files.bytemap import Span, View

BOXES = 20_000
"""Most boxes looked at in one file."""
DEPTH = 12
"""Deepest box looked at."""
_FULL = frozenset({"meta"})  # containers whose children follow a version and flags


def excluded_boxes(view: View, exclusions: Sequence[Mapping[str, Any]]) -> list[tuple[str, Span]]:
    """Return what the exclusions leave out, each span with its box's path; what cannot be a box ends the walk."""
    wanted: dict[str, list[Mapping[str, Any]]] = {}
    for exclusion in exclusions:
        wanted.setdefault(str(exclusion.get("xpath", "")), []).append(exclusion)
    found: list[tuple[str, Span]] = []
    for path, start, body, end in _walk(view, tuple(wanted)):
        for exclusion in wanted.get(path, ()):
            if _matches(view, exclusion, start, body, end):
                found += [(path, span) for span in _parts(exclusion, start, end)]
    return found


def _walk(view: View, paths: Sequence[str]) -> Iterator[tuple[str, int, int, int]]:
    """Yield (path, start, start of the body, end) of the boxes on the way to one of ``paths``."""
    left = [("", 0, view.size)]
    seen = 0
    while left:
        path, at, end = left.pop()
        while at + 8 <= end and seen < BOXES:
            seen += 1
            size, kind, body = int.from_bytes(view.peek(at, 4)), view.peek(at + 4, 4), at + 8
            if size == 1:
                size, body = int.from_bytes(view.peek(at + 8, 8)), at + 16
            after = end if size == 0 else at + size
            if after > end or after <= at:
                break
            own = f"{path}/{kind.decode('latin-1')}"
            if any(p == own or p.startswith(f"{own}/") for p in paths):
                yield own, at, body, after
                if own.count("/") < DEPTH:
                    left.append((own, body + (4 if own.rpartition("/")[2] in _FULL else 0), after))
            at = after


def _matches(view: View, exclusion: Mapping[str, Any], start: int, body: int, end: int) -> bool:
    if exclusion.get("length") not in (None, end - start):
        return False
    version, flags = exclusion.get("version"), exclusion.get("flags")
    if version is not None and view.peek(body, 1) != bytes([int(version) & 0xFF]):
        return False
    if flags is not None:
        own, asked = int.from_bytes(view.peek(body + 1, 3)), int.from_bytes(_bytes(flags))
        if own != asked if exclusion.get("exact", True) else own & asked != asked:
            return False
    return all(
        isinstance(item, dict)
        and view.peek(start + int(item.get("offset", 0)), len(value := _bytes(item.get("value")))) == value
        for item in exclusion.get("data") or []
    )


def _parts(exclusion: Mapping[str, Any], start: int, end: int) -> list[Span]:
    subset = [s for s in exclusion.get("subset") or [] if isinstance(s, dict)]
    if not subset:
        return [(start, end)]
    parts = [(start + int(s.get("offset", 0)), int(s.get("length", 0))) for s in subset]
    return [(at, min(at + length, end) if length else end) for at, length in parts if at < end]


def _bytes(value: object) -> bytes:
    """Read bytes as the engine's JSON has them: base64, or a list of numbers."""
    if isinstance(value, list):
        return bytes(int(v) & 0xFF for v in value)
    try:
        return base64.b64decode(str(value or ""), validate=True)
    except (ValueError, binascii.Error):
        return b""
