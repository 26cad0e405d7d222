"""What a neural witness thinks of a picture: a score with its reasons, or why it is silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

EMPTY: Mapping[str, Any] = {}
LEANS = 0.3
"""log10 likelihood ratio, either way, from which an opinion leans."""
MOST_OF_WORST = 50.0
"""Of 1,000 real photographs of the worst source in calibration, most that may look as much like generated ones."""


class Answered(StrEnum):
    """How a detector fared: it has an opinion, it was not made for such a file, or it failed."""

    OK = "ok"
    NOT_APPLICABLE = "not-applicable"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Region:
    """One crop and what was thought of it: place and size in pixels, ``logit`` higher = more synthetic."""

    left: int
    top: int
    width: int
    height: int
    logit: float

    def to_json(self) -> list[float]:
        """Return left, top, width, height, logit."""
        return [self.left, self.top, self.width, self.height, round(self.logit, 3)]


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch of a film or a sound, in seconds, and what was thought of it: ``score`` as an Opinion's."""

    start: float
    stop: float
    score: float

    def to_json(self) -> list[float]:
        """Return start, stop, score."""
        return [round(self.start, 3), round(self.stop, 3), round(self.score, 4)]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What an opinion's ratio rests on: the calibration's ``id``, and ``n`` pictures in files of the same sort.

    ``bound`` is the largest |log10 likelihood ratio| that they can carry. Of 1,000 pictures of which ``condition``
    says what they are, of sources that were not learned from, ``per_1000`` reach such a ratio for synthetic, of the
    worst source ``worst_per_1000``; None where that was not counted.
    """

    id: str
    condition: str
    files: str
    n: int
    bound: float
    per_1000: float | None = None
    worst_per_1000: float | None = None

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports; what was not counted is left out."""
        document: dict[str, object] = {
            "id": self.id,
            "condition": self.condition,
            "files": self.files,
            "n": self.n,
            "bound": round(self.bound, 3),
        }
        alarms = {"false_alarms_per_1000": self.per_1000, "worst_per_1000": self.worst_per_1000}
        return document | {name: round(value, 1) for name, value in alarms.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Opinion:
    """One detector's, or a panel's, opinion of one picture, film or sound.

    ``score`` 0..1, higher = more synthetic, 0.5 says nothing; ``logit`` the raw output behind it. ``llr`` is log10
    P(evidence | authentic) / P(evidence | synthetic), calibrated and bounded, None where no calibration holds.
    ``conditions`` are JSON values (condition, JPEG quality, crops). ``says`` are plain sentences that are true of
    what was measured. ``ms`` is how long it took. ``parts`` are the opinions that a panel weighed. ``moments`` are
    the stretches of a film or a sound that were looked at, ascending; where it was silent there is none.
    """

    detector: str
    version: str
    answered: Answered
    reason: str = ""
    logit: float | None = None
    score: float | None = None
    llr: float | None = None
    conditions: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    regions: tuple[Region, ...] = ()
    says: tuple[str, ...] = ()
    ms: float = 0.0
    parts: tuple[Opinion, ...] = ()
    calibration: Calibration | None = None
    moments: tuple[Moment, ...] = ()

    @property
    def leaning(self) -> str:
        """Which way it leans: ``ai``, ``captured`` or ``none``.

        Never to ``ai`` where some kind of real photographs looks as much so more often than MOST_OF_WORST.
        """
        ratio = self.llr or 0.0
        worst = self.calibration.worst_per_1000 if self.calibration else None
        if ratio <= -LEANS:
            return "ai" if worst is None or worst <= MOST_OF_WORST else "none"
        return "captured" if ratio >= LEANS else "none"

    def to_json(self) -> dict[str, object]:
        """Return the form used by ``assay detect scan --json`` and in reports (docs/formats/report.md)."""
        return {
            "detector": self.detector,
            "version": self.version,
            "status": str(self.answered),
            "reason": self.reason,
            "score": None if self.score is None else round(self.score, 4),
            "llr": None if self.llr is None else round(self.llr, 3),
            "leaning": self.leaning,
            "logit": None if self.logit is None else round(self.logit, 3),
            "conditions": dict(self.conditions),
            "says": list(self.says),
            "regions": [region.to_json() for region in self.regions],
            "ms": round(self.ms, 1),
            "calibration": self.calibration.to_json() if self.calibration else None,
            "parts": [part.to_json() for part in self.parts],
            **({"moments": [moment.to_json() for moment in self.moments]} if self.moments else {}),
        }


@dataclass(frozen=True, slots=True)
class Spectrum:
    """How strong coarse and fine detail are: the radial power spectrum, in decibels about its own mean.

    ``frequencies`` in cycles a pixel, ascending; ``picture`` a value a frequency; ``usual`` the same for ``usual_of``,
    in words, or empty where that is not known.
    """

    frequencies: tuple[float, ...]
    picture: tuple[float, ...]
    usual: tuple[float, ...] = ()
    usual_of: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {
            "frequencies": [round(v, 4) for v in self.frequencies],
            "picture": [round(v, 2) for v in self.picture],
            "usual": [round(v, 2) for v in self.usual],
            "usual_of": self.usual_of,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """An opinion and why: what each family of measurements added to the logit, the reasons in words, a spectrum."""

    opinion: Opinion
    reasons: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    spectrum: Spectrum | None = None

    def to_json(self) -> dict[str, object]:
        """Return the form used by ``assay detect explain --json`` and in reports."""
        return {
            **self.opinion.to_json(),
            "shares": {name: round(value, 3) for name, value in self.shares.items()},
            "reasons": list(self.reasons),
            "spectrum": self.spectrum.to_json() if self.spectrum else None,
        }
