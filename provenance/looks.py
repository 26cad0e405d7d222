"""What a report's page shows of detectors: where they looked, and a plot of the spectrum, worked out in numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from assay.provenance import leaning, wording
from assay.provenance.evidence import Status
from assay.provenance.opinion import Explanation, Spectrum
from assay.provenance.preview import Preview
from assay.provenance.report import Report

WIDTH, HEIGHT = 320, 200
"""Of a plot, in its own square units."""
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 10, 34
"""Margins for what is written beside the axes."""
LEAST_SPAN = 10.0
"""Least decibels from the bottom of a plot to its top: what hardly differs shall not look as if it did."""


def detector_views(report: Report, preview: Preview | None) -> Iterator[dict[str, Any]]:
    """Yield what the template takes of each detector that had an opinion."""
    for item in report.evidence:
        if not isinstance(item.found, Explanation) or item.status is not Status.PASS:
            continue
        drawn = preview.maps.get(item.check, "") if preview else ""
        spectrum = item.found.spectrum
        if not drawn and not spectrum:
            continue
        yield {
            "name": wording.check_name(item.check),
            "map": drawn,
            "map_words": leaning.MAP_WORDS,
            "spectrum": plot(spectrum) if spectrum else None,
            "spectrum_words": leaning.spectrum_words(spectrum) if spectrum else "",
        }


def plot(spectrum: Spectrum) -> dict[str, Any] | None:
    """Return the paths and ticks of a spectrum's plot in its own units; None where it has no two numbers to draw."""
    values = (*spectrum.picture, *spectrum.usual)
    across = spectrum.frequencies
    lengths = {len(across), len(spectrum.picture), len(spectrum.usual) or len(across)}
    if len(lengths) != 1 or len(across) < 2 or not all(map(math.isfinite, (*values, *across))):
        return None
    low, high = min(values), max(values)
    middle, half = (low + high) / 2, max(high - low, LEAST_SPAN) / 2
    end = max(across) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        right = LEFT + x / end * (WIDTH - LEFT - RIGHT)
        return right, TOP + (middle + half - y) / (2 * half) * (HEIGHT - TOP - BOTTOM)

    def path(line: Sequence[float]) -> str:
        places = (place(x, y) for x, y in zip(across, line, strict=True))
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places) if line else ""

    levels = (middle - half, middle, middle + half)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "picture": path(spectrum.picture),
        "usual": path(spectrum.usual),
        "axes": f"M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}",
        "down": [(LEFT - 5, f"{place(0, v)[1] + 3.5:.1f}", f"{v:+.0f}") for v in levels],
        "across": [
            (f"{place(end * n / 4, 0)[0]:.1f}", HEIGHT - BOTTOM + 13, f"{end * n / 4:.2g}") for n in range(5)
        ],
    }
