"""The panel: all detectors of one kind, one fused opinion, in words that say how often it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.detect.calibrate import Line
from assay.detect.fuse import Alarm, Fusion, share
from assay.detect.gate import domain
from assay.detect.witness import DISAGREEING, FEWEST_TO_DISAGREE, Clock, Witness
from assay.provenance.media import Picture
from assay.provenance.opinion import LEANS, Answered, Calibration, Opinion

BANDS = ((LEANS, "slightly"), (0.6, "moderately"), (1.0, "clearly"))
"""Least log10 ratio of each word."""
COUNTED = "real photographs"
"""Among what false alarms were counted."""


@dataclass(frozen=True)
class Panel:
    """Detectors and how they are fused. Conforms to ``assay.provenance.protocols.Detector``."""

    witnesses: Sequence[Witness]
    fusion: Fusion
    clock: Clock
    name: str = "image"

    @property
    def version(self) -> str:
        """The fusion's id."""
        return self.fusion.id

    def examine(self, picture: Picture) -> Opinion:
        """Ask every detector and weigh what they say as one; silent where one of them is, or nothing is calibrated."""
        start = self.clock()
        about = domain(picture)
        parts = tuple(witness.examine(picture, about) for witness in self.witnesses)
        conditions = parts[0].conditions if parts else {}
        # A part that is uncalibrated, or whose crops disagree, has a logit all the same: the fusion has its own line.
        spoke = {p.detector: p.logit for p in parts if p.logit is not None}
        logit = self.fusion.logit(spoke)
        condition = str(conditions.get("condition"))
        line = self.fusion.lines.get(condition)
        reason = ""
        if logit is None:
            reason = next((p.reason for p in parts if p.answered is not Answered.OK), "a detector is missing")
        elif line is None:
            reason = "not calibrated for such files"
        elif all(p.reason == DISAGREEING for p in parts if len(p.regions) >= FEWEST_TO_DISAGREE):
            reason = next((p.reason for p in parts if p.reason == DISAGREEING), "")
        if reason or logit is None or line is None:
            return Opinion(
                self.name, self.version, Answered.NOT_APPLICABLE, reason=reason, conditions=conditions,
                ms=1000 * (self.clock() - start), parts=parts,
            )  # fmt: skip
        ratio = line.log10(logit)
        regions = parts[0].regions if len(parts) == 1 else ()
        return Opinion(
            self.name,
            self.version,
            Answered.OK,
            logit=logit,
            score=share(ratio),
            llr=-ratio,
            conditions=conditions,
            regions=regions,
            says=self._says(ratio, condition),
            ms=1000 * (self.clock() - start),
            parts=parts,
            calibration=self._calibration(ratio, condition, line),
        )

    def _calibration(self, ratio: float, condition: str, line: Line) -> Calibration:
        alarm = self._alarm(ratio, condition)
        return Calibration(
            self.fusion.id,
            COUNTED,
            condition,
            line.n,
            line.bound,
            alarm.per_1000 if alarm else None,
            alarm.worst_per_1000 if alarm else None,
        )

    def _alarm(self, ratio: float, condition: str) -> Alarm | None:
        """Return the false alarms at a ratio, None where they were not counted for such files."""
        return None if condition in self.fusion.inherited else self.fusion.alarm(ratio)

    def _says(self, ratio: float, condition: str) -> tuple[str, ...]:
        """Return what the ratio means, with its false alarms where they were counted for such files."""
        band = next((word for least, word in reversed(BANDS) if abs(ratio) >= least), "")
        if not band:
            return ("The detectors lean neither way.",)
        if ratio < 0:
            return (
                f"The pixels are {band} more like photographs than like generated pictures that the detectors know "
                "of. Generators that they do not know can look the same.",
            )
        alarm = self._alarm(ratio, condition)
        wrong = _wrong(alarm) if alarm else ""
        return (f"The pixels are {band} more like generated pictures than like photographs.{wrong}",)


def _wrong(alarm: Alarm) -> str:
    if not alarm.worst_per_1000:  # a count that ended, not a rate of nought
        return " None of the real photographs that were counted looks as much so."
    about = f"about {alarm.per_1000:.0f} look" if alarm.per_1000 >= 1.5 else "hardly one looks"
    return f" Of 1,000 real photographs {about} as much so, of the worst kind measured {alarm.worst_per_1000:.0f}."
