"""What is drawn over the pictures of a report: regions that differ, regions without the mark, with their words."""

from __future__ import annotations

from typing import Any

from assay.provenance import wording
from assay.provenance.mark import Extent, Reading
from assay.provenance.recovered import Recovered
from assay.provenance.report import Report

HOLES = 26
"""Most regions without the mark drawn on a picture: each has a letter."""


def alignment(recovered: Recovered | None) -> str:
    """Say how the received picture lies over its original, or nothing where it lies as it is."""
    comparison = recovered.comparison if recovered and recovered.matches else None
    return comparison.alignment if comparison and comparison.alignment != "as is" else ""


def lies_as_it_is(recovered: Recovered | None) -> bool:
    """Return whether the received picture matches its original and lies over it neither cut, turned nor moved."""
    comparison = recovered.comparison if recovered and recovered.matches else None
    return comparison is not None and comparison.alignment == "as is"


def extent_of(report: Report) -> Extent | None:
    """Return where our mark was heard and where not, if it was read."""
    found = (e.found.extent for e in report.evidence if e.check == "mark" and isinstance(e.found, Reading))
    return next(found, None)


def regions_of(recovered: Recovered | None, extent: Extent | None) -> tuple[dict[str, Any], ...]:
    """Return the regions that differ from the original, numbered, with their words."""
    if not recovered or not recovered.matches or not recovered.comparison:
        return ()
    return tuple(
        _drawn(
            number, region, "; the watermark is missing there too" if extent and extent.misses(region) else ""
        )
        for number, region in enumerate(recovered.comparison.regions, 1)
    )


def holes_of(report: Report) -> tuple[dict[str, Any], ...]:
    """Return the regions without the mark, lettered, with their words."""
    extent = extent_of(report)
    holes = extent.holes[:HOLES] if extent else ()
    return tuple(_drawn(chr(ord("A") + number), hole) for number, hole in enumerate(holes))


def _drawn(name: object, region: wording.Region, remark: str = "") -> dict[str, Any]:
    left, top, width, height = (f"{value * 100:.2f}" for value in wording.clipped(region))
    words = f"{wording.region_words(region)}{remark}"
    return {"number": name, "left": left, "top": top, "width": width, "height": height, "words": words}
