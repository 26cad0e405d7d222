"""The watermark witnesses: our own mark, and the marks that known generators leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assay.provenance import wording
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.mark import Reading
from assay.provenance.media import Kind
from assay.provenance.protocols import KnownMarks, LocatingWatermark, Watermark
from assay.provenance.subject import Subject

NOT_PICTURES = "There is no watermark reader for {kind} yet, so none could be found."

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

    def __init__(self, schemes: Sequence[Watermark]) -> None:
        self.schemes = schemes
        self.version = ", ".join(s.scheme for s in schemes)

    def job(self, subject: Subject) -> None:
        """Need nothing parsed."""

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return the first mark found; its identifier leads the receipt check to the ledger."""
        if subject.asset.kind is not Kind.IMAGE:
            return _silent(self.name, self.version, subject)
        media = subject.picture().media
        readings: list[Reading] = []
        for scheme in self.schemes:
            readings.append(
                scheme.locate(media) if isinstance(scheme, LocatingWatermark) else scheme.read(media)
            )
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
        missing = wording.missing_sentence(best.extent)
        said = (
            f"Our watermark {best.mark.id} was read; "
            f"chance finds one in unmarked pictures with p < {_bound(best.p_value)}."
        )
        reasons = ("A watermark can be copied, so it is a lead to the ledger and not a proof.",)
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            f"{said} {missing}".strip(),
            reasons=(*reasons, wording.HOLE_CAUTION) if missing else reasons,
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


def _bound(p_value: float | None) -> str:
    if p_value is None:
        return "1"
    return "1e-300" if p_value < 1e-300 else f"{p_value:.0e}"


def _silent(name: str, version: str, subject: Subject) -> Evidence:
    summary = NOT_PICTURES.format(kind=subject.asset.kind)
    return Evidence(name, version, Status.ABSENT, summary, details={"reason": "not-applicable"})
