"""Which bytes of a file its signature does not cover, what lies there, and how that is said and drawn.

A signed hash always leaves out the manifest that holds it, and may leave out more. Nothing that is left out is
wrong by itself: this is a map, and the rule ``uncovered-content`` (checks/manifest.py) is what accuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from assay.provenance.text import safe_text

GAPS = 500
"""Most gaps kept of one file; the smallest are left out first."""
NAMED = 12
"""Most gaps named in words."""
_NARROWEST = 0.004
"""Least share of the strip that a gap is drawn with, so that it can be seen."""
# As in templates/style.css, for printers that apply no style sheet inside a drawing.
_FILLS = {"manifest": "#d5d2ca", "metadata": "#545b63"}


class Held(StrEnum):
    """What lies in a gap: the manifest itself, metadata, tables of offsets, content, bytes after the end, or unknown.

    Tables of offsets choose which bytes are shown; C2PA 1.x told every signer of a film to leave them out.
    """

    MANIFEST = "manifest"
    METADATA = "metadata"
    STRUCTURE = "structure"
    CONTENT = "content"
    APPENDED = "appended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Gap:
    """``length`` bytes from ``start`` on that no signature covers; ``name`` is the part's name in its format."""

    start: int
    length: int
    held: Held
    name: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {"start": self.start, "length": self.length, "held": str(self.held), "name": self.name}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the hard binding of a manifest leaves out of a file of ``size`` bytes.

    ``method`` is the C2PA hash assertion: ``data`` (byte ranges), ``bmff`` (boxes by path) or ``boxes`` (named
    boxes). ``gaps`` are sorted and do not overlap.
    """

    method: str
    size: int
    gaps: tuple[Gap, ...]

    @property
    def covered(self) -> int:
        """How many bytes the signature covers."""
        return self.size - sum(gap.length for gap in self.gaps)

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {
            "method": self.method,
            "size": self.size,
            "covered": self.covered,
            "gaps": [gap.to_json() for gap in self.gaps],
        }

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> Coverage:
        """Read what ``to_json`` gave."""
        gaps = (
            Gap(int(g["start"]), int(g["length"]), Held(g["held"]), str(g["name"])) for g in document["gaps"]
        )
        return cls(str(document["method"]), int(document["size"]), tuple(gaps))


def fuse(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Return gaps sorted, neighbours that hold the same made one; of too many, the largest."""
    fused: list[Gap] = []
    for gap in sorted((g for g in gaps if g.length > 0), key=lambda g: (g.start, -g.length)):
        last = fused[-1] if fused else None
        if last and (last.held, last.name) == (gap.held, gap.name) and gap.start <= last.start + last.length:
            end = max(last.start + last.length, gap.start + gap.length)
            fused[-1] = Gap(last.start, end - last.start, gap.held, gap.name)
        else:
            fused.append(gap)
    largest = sorted(fused, key=lambda g: -g.length)[:GAPS]
    return tuple(sorted(largest, key=lambda g: g.start))


_WORDS = {
    Held.MANIFEST: "the credentials themselves",
    Held.METADATA: "metadata",
    Held.STRUCTURE: "tables that choose which bytes are shown",
    Held.CONTENT: "part of the content",
    Held.APPENDED: "bytes after the end of the format",
    Held.UNKNOWN: "what cannot be told",
}


def held_words(gap: Gap) -> str:
    """Say what lies in a gap, with the name that the part has in its format."""
    named = f" ({safe_text(gap.name, 40)})" if gap.name else ""
    return f"{_WORDS[gap.held]}{named}"


def coverage_sentence(coverage: Coverage) -> str:
    """Say how much of the file the signature covers."""
    left = coverage.size - coverage.covered
    if not left:
        return f"The signature covers all {coverage.size:,} bytes of the file."
    return f"The signature covers {coverage.covered:,} of {coverage.size:,} bytes; {left:,} it leaves out."


def gap_words(coverage: Coverage) -> tuple[str, ...]:
    """Name the gaps in the file's order; of too many, the last is a count."""
    said = [
        f"bytes {g.start:,} to {g.start + g.length - 1:,}: {held_words(g)}, {g.length:,} bytes"
        for g in coverage.gaps[:NAMED]
    ]
    more = len(coverage.gaps) - NAMED
    return (*said, f"and {more} more") if more > 0 else tuple(said)


def coverage_view(coverage: Coverage | None) -> dict[str, Any] | None:
    """Return what a page shows: sentence, words, and the gaps as pieces of a strip 1,000 wide."""
    if coverage is None:
        return None
    return {
        "sentence": coverage_sentence(coverage),
        "gaps": gap_words(coverage),
        "strip": tuple(_pieces(coverage)),
    }


def _pieces(coverage: Coverage) -> Iterator[dict[str, str]]:
    for gap in coverage.gaps:
        width = max(gap.length / coverage.size, _NARROWEST)
        left = min(gap.start / coverage.size, 1 - width)
        fill = _FILLS.get(gap.held, "#1c2127")
        yield {"x": f"{left * 1000:.1f}", "width": f"{width * 1000:.1f}", "held": str(gap.held), "fill": fill}
