"""What a report knows of single seconds of a film or a sound: lanes over its length, and their words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assay.provenance import wording
from assay.provenance.evidence import Evidence, Status
from assay.provenance.listening import intervals, lacking, spans_words
from assay.provenance.mark import Reading
from assay.provenance.media import Kind
from assay.provenance.opinion import Explanation
from assay.provenance.report import Report

MOST_SPANS = 2000
"""Most stretches of one lane."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch in seconds. ``value`` 0..1: of a detector its score, else 1 where it is as it should be, or 0."""

    start: float
    stop: float
    value: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One witness's stretches, ascending; what lies between them it did not look at.

    ``kind`` is ``mark``, ``original`` or ``score``; ``words`` say the same as the stretches.
    """

    kind: str
    name: str
    words: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The length of a film or a sound in seconds, as far as it is known, and what is known of its stretches."""

    seconds: float
    lanes: tuple[Lane, ...]


def timeline(report: Report, seconds: float = 0.0) -> Timeline:
    """Return what a report says of single seconds; ``seconds`` is the file's length, where that is known.

    Of a picture, and where nothing is said of single seconds, there are no lanes.
    """
    if report.asset.kind not in (Kind.VIDEO, Kind.AUDIO):
        return Timeline(0.0, ())
    found = [(e, _reading(e)) for e in report.evidence]
    heard = [s for _, r in found if r for s in (*intervals(r.details), *intervals(r.details, "heard"))]
    comparison = report.recovered.comparison if report.recovered and report.recovered.matches else None
    changes = list(comparison.changes) if comparison else []
    moments = [m for e in report.evidence for m in _moments(e)]
    ends = [stop for _, stop in (*heard, *changes)] + [m.stop for m in moments]
    if comparison and comparison.span:
        ends.append(comparison.span[1] - comparison.span[0])
    length = seconds if seconds > 0 else max((e for e in ends if math.isfinite(e)), default=0.0)
    lanes = [_marked(r, length) for _, r in found if r]
    if comparison and comparison.span:
        lanes.append(_followed(changes, comparison.alignment, length))
    lanes += (_scored(e, length) for e in report.evidence if _moments(e))
    return Timeline(length, tuple(lane for lane in lanes if lane.spans))


def _reading(evidence: Evidence) -> Reading | None:
    found = evidence.found
    return found if evidence.check == "mark" and isinstance(found, Reading) and found.found else None


def _moments(evidence: Evidence) -> tuple[Span, ...]:
    found = evidence.found
    if not isinstance(found, Explanation) or evidence.status is not Status.PASS:
        return ()
    return tuple(Span(m.start, m.stop, m.score) for m in found.opinion.moments)


def _marked(reading: Reading, length: float) -> Lane:
    carried, heard = intervals(reading.details), intervals(reading.details, "heard")
    silent = lacking(heard, carried)
    spans = _within((Span(a, b, 1.0) for a, b in carried), length)
    gaps = _within((Span(a, b, 0.0) for a, b in silent), length)
    words = f"Carried in the seconds {spans_words(carried)}."
    if silent:
        words += f" Missing in {spans_words(silent)}: put in there, or too still, dark or quiet to carry it."
    return Lane("mark", "Our watermark", words, tuple(sorted((*spans, *gaps), key=lambda s: s.start)))


def _followed(changes: Sequence[Sequence[float]], alignment: str, length: float) -> Lane:
    same = lacking([[0.0, length]], changes, least=0.0)
    spans = _within((Span(a, b, 1.0) for a, b in same), length)
    gaps = _within((Span(a, b, 0.0) for a, b in changes), length)
    words = f"It follows the original the ledger knows: {alignment}."
    if changes:
        words += f" Something else in the seconds {spans_words(changes)}."
    return Lane("original", "The original", words, tuple(sorted((*spans, *gaps), key=lambda s: s.start)))


def _scored(evidence: Evidence, length: float) -> Lane:
    spans = _within(_moments(evidence), length)
    if not spans:
        return Lane("score", "", "", ())
    top = max(spans, key=lambda s: s.value)
    mean = sum(s.value for s in spans) / len(spans)
    words = (
        f"Its score on average {mean:.2f}, highest {top.value:.2f} at {top.start:.1f} s; 0 is like recordings of real "
        "scenes and voices, 1 like generated ones, the line at 0.5 says nothing. A second that stands out was not "
        "necessarily altered."
    )
    return Lane("score", wording.check_name(evidence.check), words, spans)


def _within(spans: Iterable[Span], length: float) -> tuple[Span, ...]:
    """Return stretches cut to 0..length and their values to 0..1; what is no number is left out."""
    kept = []
    for span in spans:
        if not all(map(math.isfinite, (span.start, span.stop, span.value))):
            continue
        start, stop = max(0.0, span.start), min(length, span.stop)
        if stop > start:
            kept.append(Span(start, stop, min(1.0, max(0.0, span.value))))
    return tuple(kept[:MOST_SPANS])


def at(lane: Lane, second: float) -> float | None:
    """Return a lane's value at a second; None where it did not look."""
    return next((s.value for s in lane.spans if s.start <= second < s.stop), None)
