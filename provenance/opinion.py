"""What a neural witness thinks of a picture: a score with its reasons, or why it is silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

EMPTY: Mapping[str, Any] = {}


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
class Opinion:
    """One detector's, or a panel's, opinion of one picture.

    ``score`` 0..1, higher = more synthetic, 0.5 says nothing; ``logit`` the raw output behind it. ``llr`` is log10
    P(evidence | authentic) / P(evidence | synthetic), calibrated and bounded, None where no calibration holds.
    ``conditions`` are JSON values (condition, JPEG quality, crops). ``says`` are plain sentences that are true of
    what was measured. ``ms`` is how long it took. ``parts`` are the opinions that a panel weighed.
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

    def to_json(self) -> dict[str, object]:
        """Return the form used by ``assay detect scan --json`` and in reports (docs/formats/report.md)."""
        return {
            "detector": self.detector,
            "version": self.version,
            "status": str(self.answered),
            "reason": self.reason,
            "score": None if self.score is None else round(self.score, 4),
            "llr": None if self.llr is None else round(self.llr, 3),
            "logit": None if self.logit is None else round(self.logit, 3),
            "conditions": dict(self.conditions),
            "says": list(self.says),
            "regions": [region.to_json() for region in self.regions],
            "ms": round(self.ms, 1),
            "parts": [part.to_json() for part in self.parts],
        }
