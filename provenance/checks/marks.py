"""The watermark witnesses: our own mark, and the marks that known generators leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from assay.provenance import wording
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.listening import intervals, lacking, listen, spans_words
from assay.provenance.mark import Reading
from assay.provenance.media import Kind
from assay.provenance.protocols import KnownMarks, Watermark
from assay.provenance.subject import Subject

NO_READER = "There is no watermark reader for {kind} here, so none could be found."

UNMARKED = {Kind.IMAGE: "pictures", Kind.VIDEO: "films", Kind.AUDIO: "recordings"}
"""What a mark is searched in, in words."""
KNOWN_LLR = -3.0
"""log10 likelihood ratio of a known generator's mark: the share of unmarked pictures that show one was
measured at less than 1 in 1,000 (bench/watermark.py), which is all that a ratio may claim."""


def _detail(reading: Reading) -> dict[str, Any]:
    return {
        "scheme": reading.scheme,
        "found": reading.found,
        "id": reading.mark.id if reading.mark else None,
        "p_value": reading.p_value,
        "reason": reading.reason,
        "extent": reading.extent.to_json() if reading.extent else None,
        **(reading.details or {}),
    }


class MarkCheck:
    """Looks for our own mark with each scheme that the workspace names. A mark is a lead, never proof."""

    name = "mark"

    def __init__(self, schemes: Callable[[Kind], Sequence[Watermark]]) -> None:
        self._schemes = schemes
        self.version = ""

    def job(self, subject: Subject) -> None:
        """Need nothing parsed."""

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return the first mark found; its identifier leads the receipt check to the ledger."""
        kind = subject.asset.kind
        if kind not in (Kind.IMAGE, Kind.VIDEO, Kind.AUDIO):
            return _silent(self.name, self.version, subject)
        media = subject.media()
        schemes = self._schemes(media.kind)
        self.version = ", ".join(s.scheme for s in schemes)
        if not schemes:
            return _silent(self.name, self.version, subject)
        readings: list[Reading] = []
        for scheme in schemes:
            readings.append(listen(scheme, media))
            if readings[-1].found:
                break
        details = {"readings": [_detail(r) for r in readings]}
        best = next((r for r in readings if r.found), None)
        if best is None or best.mark is None:
            reasons = tuple(dict.fromkeys(f"{r.scheme}: {r.reason or 'no mark'}" for r in readings))
            return Evidence(
                self.name,
                self.version,
                Status.ABSENT,
                "No watermark of ours was read.",
                reasons=reasons,
                details=details,
            )
        missing = wording.missing_sentence(best.extent) or stretches_sentence(best)
        said = (
            f"Our watermark {best.mark.id} was read; "
            f"chance finds one in unmarked {UNMARKED[media.kind]} with p < {_bound(best.p_value)}."
        )
        reasons = ("A watermark can be copied, so it is a lead to the ledger and not a proof.",)
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            f"{said} {missing}".strip(),
            reasons=(*reasons, wording.HOLE_CAUTION) if missing and best.extent else reasons,
            found=best,
            details=details,
        )


class KnownMarksCheck:
    """Looks for the marks that known generators leave, each below a measured false-positive rate."""

    name = "known-marks"
    version = "1"

    def __init__(self, reader: KnownMarks) -> None:
        self.reader = reader

    def job(self, subject: Subject) -> None:
        """Need nothing parsed."""

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return MARKED_AI if a generator's mark is read."""
        if subject.asset.kind is not Kind.IMAGE:
            return _silent(self.name, self.version, subject)
        readings = self.reader.read(subject.picture().media)
        details: dict[str, Any] = {"readings": [_detail(r) for r in readings]}
        best = next((r for r in readings if r.found), None)
        if best is None or best.mark is None:
            return Evidence(
                self.name,
                self.version,
                Status.ABSENT,
                "No known generator's watermark was read.",
                reasons=("Marks without a public reader (SynthID, Meta, Amazon) cannot be checked here.",),
                details=details,
            )
        details["calibration"] = {
            "id": "known-marks/1",
            "false_alarms_per_1000": 1,
            "condition": "unmarked photographs",
        }
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            f"A watermark that {best.mark.id} leaves was read (p < {_bound(best.p_value)} in unmarked pictures).",
            llr=KNOWN_LLR,
            facts=frozenset({Fact.MARKED_AI}),
            reasons=(
                "Generators write this mark by default; whoever has the picture could also have added it.",
            ),
            found=best,
            details=details,
        )


def stretches_sentence(reading: Reading) -> str:
    """Return in words which seconds carry a mark, and which of those listened to do not; "" of a picture."""
    carried, heard = (intervals(reading.details, name) for name in ("intervals", "heard"))
    if not carried:
        return ""
    sampled = (reading.details or {}).get("sampled")
    said = f"Of {len(heard)} stretches listened to" if sampled else "Of what was listened to"
    silent = lacking(heard, carried)
    gaps = f"; it is missing in {spans_words(silent)}" if silent else "; it is missing nowhere"
    return f"{said}, the seconds {spans_words(carried)} carry it{gaps}."


def _bound(p_value: float | None) -> str:
    if p_value is None:
        return "1"
    return "1e-300" if p_value < 1e-300 else f"{p_value:.0e}"


def _silent(name: str, version: str, subject: Subject) -> Evidence:
    summary = NO_READER.format(kind=subject.asset.kind)
    return Evidence(name, version, Status.ABSENT, summary, details={"reason": "not-applicable"})
