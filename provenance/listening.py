"""Reading a mark from media of any length: short ones whole, long films in stretches spread over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from assay.provenance.errors import MalformedError
from assay.provenance.mark import Reading
from assay.provenance.media import Kind, Media
from assay.provenance.protocols import LocatingWatermark, Watermark

WHOLE_SECONDS = 120
"""Length up to which a film is listened to whole, in seconds; sounds always are."""
STRETCH_SECONDS = 4
"""Length of a stretch of a longer film."""
STRETCHES = 30
"""How many of them are listened to, one in the middle of each equal part: 120 seconds in all."""
LEAST_GAP = 1.0
"""Shortest stretch without a mark that is told, in seconds."""
MOST_SPANS = 6
"""Most stretches named one by one."""


def listen(scheme: Watermark, media: Media) -> Reading:
    """Read with a scheme that marks media of this kind; of a picture also where the mark is.

    Of a long film ``details["sampled"]`` is true, and ``intervals`` and ``heard`` are what the stretches gave; the
    p-value is the best one's times their number. Raises what passes over the media raise.
    """
    if isinstance(scheme, LocatingWatermark) and media.kind is Kind.IMAGE:
        return scheme.locate(media)
    seconds = media.seconds
    if media.kind is not Kind.VIDEO or seconds is None or seconds <= WHOLE_SECONDS:
        return scheme.read(media)
    return _spread(scheme, media, seconds)


def stretches(seconds: Fraction) -> list[tuple[Fraction, Fraction]]:
    """Return the (start, stop) of the stretches of a film of so many seconds."""
    step = seconds / STRETCHES
    starts = [step * n + (step - STRETCH_SECONDS) / 2 for n in range(STRETCHES)]
    return [(start, start + STRETCH_SECONDS) for start in starts]


def _spread(scheme: Watermark, media: Media, seconds: Fraction) -> Reading:
    readings = [scheme.read(media.part(*stretch)) for stretch in stretches(seconds)]
    looked = [r for r in readings if r.p_value is not None]
    if not looked:
        return readings[0]
    best = min(looked, key=lambda r: (not r.found, r.p_value))
    same = [r for r in readings if r.mark == best.mark] if best.found else []
    assert best.p_value is not None
    details = {
        **(best.details or {}),
        "sampled": True,
        "intervals": joined(same, "intervals"),
        "heard": joined(readings, "heard"),
    }
    return replace(best, p_value=min(1.0, best.p_value * len(looked)), details=details, frame=None)


def joined(readings: list[Reading], name: str) -> list[list[float]]:
    """Return the intervals that several readings give under a name, in order."""
    found: list[list[float]] = []
    for reading in readings:
        found += intervals(reading.details, name)
    return sorted(found)


def intervals(details: dict[str, Any] | None, name: str = "intervals") -> list[list[float]]:
    """Return the [start, stop] pairs under a name, in seconds; raises MalformedError where they are none."""
    value = (details or {}).get(name) or []
    try:
        return [[float(start), float(stop)] for start, stop in value]
    except (TypeError, ValueError) as error:
        raise MalformedError("a watermark reader gave intervals in no known form") from error


def lacking(
    whole: Sequence[Sequence[float]], parts: Sequence[Sequence[float]], least: float = LEAST_GAP
) -> list[list[float]]:
    """Return what of some stretches lies in none of the others, from ``least`` seconds on."""
    left: list[list[float]] = []
    for start, stop in whole:
        at = start
        for begin, end in sorted(map(tuple, parts)):
            if end > at and begin < stop:
                left.append([at, max(at, begin)])
                at = max(at, end)
        left.append([at, stop])
    return [[start, stop] for start, stop in left if stop - start >= least]


def spans_words(found: Sequence[Sequence[float]]) -> str:
    """Name stretches by their seconds, the first MOST_SPANS of them one by one."""
    said = [f"{start:.1f}–{stop:.1f}" for start, stop in found[:MOST_SPANS]]
    more = len(found) - len(said)
    return ", ".join(said) + (f" and {more} more" if more else "")
