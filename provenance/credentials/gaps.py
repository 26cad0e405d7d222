"""From the hash assertions of a manifest to the bytes of the file that they leave out, and what lies there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any, BinaryIO

from assay.provenance.coverage import Coverage, Gap, Held, fuse
from assay.provenance.files.boxpaths import excluded_boxes
from assay.provenance.files.bytemap import Part, Span, View, merge, subtract
from assay.provenance.files.structure import Layout
from assay.provenance.files.walk_containers import judge_paths

STORE = bytes.fromhex("6332706100110010800000aa00389b71")
"""The JUMBF type of a C2PA manifest store (C2PA 2.x, section 11.1.4.2)."""
_SVG_STORE = b"c2pa:manifest"
_LOOK = 1 << 20
# One store may lie in several parts of these names: the segments of a JPEG, an entry of a TIFF and its value.
_SPLIT = ("APP11", "tag ")


def map_gaps(
    stream: BinaryIO, layout: Layout | None, assertions: Mapping[str, Any], content: Sequence[Span]
) -> Coverage | None:
    """Return what the hash assertions of one manifest leave out of a file; None where none binds it.

    ``layout`` is the file's byte map, None where there is none; ``content`` the (start, length) ranges outside
    the hash that are known to be content. Assertions are those of the engine's detailed JSON. Meant for the worker.
    """
    view = View(stream)
    method = ""
    spans: list[Span] = []
    said: list[Gap] = []
    for name, assertion in assertions.items():
        if not isinstance(assertion, dict):
            continue
        excluded = [e for e in assertion.get("exclusions") or [] if isinstance(e, dict)]
        if name.startswith("c2pa.hash.data"):
            method = "data"
            spans += [
                (int(e.get("start", 0)), int(e.get("start", 0)) + int(e.get("length", 0))) for e in excluded
            ]
        elif name.startswith("c2pa.hash.bmff"):
            method = "bmff"
            bad, tables = (frozenset(paths) for paths in judge_paths(excluded))
            for path, (start, end) in excluded_boxes(view, excluded):
                if path in bad or path in tables:
                    held = Held.CONTENT if path in bad else Held.STRUCTURE
                    said.append(Gap(start, end - start, held, path))
                else:
                    spans.append((start, end))
        elif name.startswith("c2pa.hash.boxes"):
            method = "boxes"
            spans += [
                (p.start, p.end)
                for p in (layout.metadata if layout else ())
                if _has_store(view, p.start, p.end)
            ]
    if not method:
        return None
    inside = merge([(max(start, 0), min(end, view.size)) for start, end in spans])
    inside = subtract(inside, [(g.start, g.start + g.length) for g in said])
    gaps = [*said, *_named(view, layout, inside, [(s, s + n) for s, n in content])]
    stores = {g.name for g in gaps if g.held is Held.MANIFEST and g.name.startswith(_SPLIT)}
    gaps = [Gap(g.start, g.length, Held.MANIFEST, g.name) if g.name in stores else g for g in gaps]
    return Coverage(method, view.size, fuse(gaps))


def _named(
    view: View, layout: Layout | None, spans: Sequence[Span], content: Sequence[Span]
) -> Iterator[Gap]:
    """Yield the pieces of ``spans``: content first, as what a part calls itself makes it no metadata."""
    parts = _disjoint(layout.metadata) if layout else []
    after = layout.size - layout.appended if layout else view.size
    for start, end in _common(list(spans), list(content)):
        yield Gap(start, end - start, Held.CONTENT)
    left = subtract(list(spans), list(content))
    at = 0
    for start, end in left:
        while at < len(parts) and parts[at].end <= start:
            at += 1
        for part in takewhile(lambda p: p.start < end, islice(parts, at, None)):  # noqa: B023  (used at once)
            first, last = max(start, part.start), min(end, part.end)
            held = Held.MANIFEST if _has_store(view, first, last) else Held.METADATA
            yield Gap(first, last - first, held, part.name)
    left = subtract(left, [(part.start, part.end) for part in parts])
    for start, end in _common(left, [(after, view.size)]):
        yield Gap(start, end - start, Held.APPENDED)
    for start, end in subtract(left, [(after, view.size)]):
        held = Held.MANIFEST if _has_store(view, start, end) else Held.UNKNOWN
        yield Gap(start, end - start, held)


def _disjoint(parts: Sequence[Part]) -> list[Part]:
    """Return parts in the file's order, without what an earlier one has already."""
    found: list[Part] = []
    for part in sorted(parts, key=lambda p: (p.start, p.end)):
        start = max(part.start, found[-1].end if found else 0)
        if start < part.end:
            found.append(Part(part.name, start, part.end))
    return found


def _common(spans: list[Span], others: list[Span]) -> list[Span]:
    return subtract(spans, subtract(spans, others))


def _has_store(view: View, start: int, end: int) -> bool:
    data = view.peek(start, min(end - start, _LOOK))
    return STORE in data or _SVG_STORE in data
