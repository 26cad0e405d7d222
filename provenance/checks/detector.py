"""The neural witnesses: what detectors think of the pixels. A leaning with its false alarms; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from assay.provenance.decide import settled
from assay.provenance.errors import UsageError
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.leaning import CAUTION, OUTWEIGHED, score_sentence
from assay.provenance.media import Kind, Picture
from assay.provenance.opinion import Answered, Explanation
from assay.provenance.protocols import Check, Detector, ExplainingDetector, TimedDetector
from assay.provenance.subject import Subject

PREFIX = "detector:"
"""What the names of these checks begin with."""
PICTURES = frozenset({Kind.IMAGE})
"""What a detector is asked for that names no kinds of media."""

_FACTS = {"ai": Fact.LEANS_AI, "captured": Fact.LEANS_CAPTURED}


class DetectorCheck:
    """Asks one detector. What is silent or not there is no error, and what it says never makes a verdict."""

    def __init__(
        self, name: str, opener: Callable[[], Detector | TimedDetector], kinds: frozenset[Kind] = PICTURES
    ) -> None:
        self.name = f"{PREFIX}{name}"
        self.version = ""
        self.kinds = kinds
        self._opener = opener

    def job(self, subject: Subject) -> None:
        """Need nothing parsed."""

    def __call__(self, subject: Subject, seen: tuple[Evidence, ...]) -> Evidence:
        """Return its leaning; nothing is loaded before there are samples to look at."""
        if subject.asset.kind not in self.kinds:
            return self._silent(f"there is no detector for {subject.asset.kind} yet")
        media = subject.media()
        try:
            detector = self._opener()
        except UsageError as error:
            return self._silent(error.message, error.hint, "Not looked")
        self.version = detector.version
        if isinstance(detector, TimedDetector):
            if media.kind not in self.kinds:
                return self._silent(f"it was not made for {media.kind}")
            explanation = Explanation(detector.examine_media(media))
        else:
            explanation = explained(detector, subject.picture())
        opinion = explanation.opinion
        if opinion.answered is Answered.ERROR:
            return self._evidence(Status.ERROR, f"Could not look: {opinion.reason}.", explanation)
        if opinion.answered is Answered.NOT_APPLICABLE or opinion.llr is None:
            return self._silent(opinion.reason or "it is not calibrated", found=explanation)
        return self._leaning(explanation, settled(seen))

    def _leaning(self, explanation: Explanation, outweighed: bool) -> Evidence:
        opinion = explanation.opinion
        said = " ".join((*opinion.says, score_sentence(opinion)))
        reasons = (*explanation.reasons, OUTWEIGHED if outweighed else CAUTION)
        fact = _FACTS.get(opinion.leaning)
        return Evidence(
            self.name,
            self.version,
            Status.PASS,
            said,
            llr=None if outweighed or opinion.llr is None else round(opinion.llr, 3),
            facts=frozenset({fact}) if fact and not outweighed else frozenset(),
            reasons=reasons,
            found=explanation,
            details=_details(explanation),
        )

    def _silent(
        self, why: str, hint: str = "", said: str = "No opinion", found: Explanation | None = None
    ) -> Evidence:
        details = {"reason": "not-applicable", "why": why, **(_details(found) if found else {})}
        return Evidence(
            self.name,
            self.version,
            Status.ABSENT,
            f"{said}: {why}.",
            reasons=(hint,) if hint else (),
            found=found,
            details=details,
        )

    def _evidence(self, status: Status, summary: str, found: Explanation) -> Evidence:
        return Evidence(self.name, self.version, status, summary, found=found, details=_details(found))


def fitting(checks: Sequence[Check], kind: Kind) -> list[Check]:
    """Return the checks without detectors of other kinds of media; where none fits, the first says that."""
    detectors = [check for check in checks if isinstance(check, DetectorCheck)]
    fit = [check for check in detectors if kind in check.kinds] or detectors[:1]
    return [check for check in checks if not isinstance(check, DetectorCheck) or check in fit]


def explained(detector: Detector, picture: Picture) -> Explanation:
    """Return what a detector thinks of a picture, with its reasons where it can give any."""
    if isinstance(detector, ExplainingDetector):
        return detector.explain(picture)
    return Explanation(detector.examine(picture))


def _details(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON values, without what differs from one run to the next."""
    opinion = explanation.opinion
    document = explanation.to_json()
    for part in (document, *_list(document["parts"])):
        part.pop("ms")
    found: dict[str, Any] = {
        "leaning": opinion.leaning,
        "score": document["score"],
        "opinion": document,
    }
    if opinion.calibration and opinion.llr is not None:
        found["calibration"] = opinion.calibration.to_json()
    return found


def _list(parts: object) -> list[dict[str, Any]]:
    """Return parts and their parts, all as JSON objects."""
    assert isinstance(parts, list)
    return [one for part in parts for one in (part, *_list(part["parts"]))]
