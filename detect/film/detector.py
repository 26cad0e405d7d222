"""The detector of generated films as ``assay verify`` asks it: a few bursts, two opinions, one fusion, silence.

Its score is of the frames alone: sound, captions and editing are not looked at. Format: docs/formats/model.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.calibrate import COARSE
from assay.detect.film.bursts import Burst, seen
from assay.detect.film.features import changes
from assay.detect.film.votes import MODEL, vote
from assay.detect.fuse import Fusion, share
from assay.detect.panel import BANDS
from assay.detect.panels import open_witness, read_fusion
from assay.detect.runtime import Session
from assay.detect.store import FOLDER, SHIPPED, Store
from assay.detect.witness import Clock, Witness, disagree
from assay.provenance.errors import ConfigurationError
from assay.provenance.media import Kind, Media
from assay.provenance.opinion import Answered, Calibration, Moment, Opinion

NAME = "film"
KIND = "video"
PANEL = "film.json"
"""The fusion of the detectors of films, beside the shipped models."""
CHANGES_MODEL = "film-changes"
"""The detector of how frames follow one another; the detector of pictures votes besides."""
CONDITION = COARSE
"""Films count as coarsely encoded, whatever their size: there are too few sources for more conditions."""
DISAGREEING = "its parts disagree"
NARROW = "too-narrow: its frames are too long and narrow to be seen as a whole"
COUNTED = "real clips"
"""Among what false alarms were counted."""


@dataclass(frozen=True)
class FilmPanel:
    """What judges films: how frames follow one another, what the detector of pictures says of them, one fusion."""

    follower: Session
    voter: Witness
    fusion: Fusion
    clock: Clock

    @property
    def version(self) -> str:
        """The fusion's id."""
        return self.fusion.id

    def examine_media(self, media: Media) -> Opinion:
        """Return what it thinks of a film, with a moment for each burst; raises what the film's passes raise."""
        start = self.clock()
        found = seen(media)
        conditions: dict[str, object] = {"condition": CONDITION, "bursts": len(found.bursts)}
        if found.reason:
            return self._opinion(Answered.NOT_APPLICABLE, start, found.reason, conditions=conditions)
        votes = [vote(self.voter, burst.frames[1]) for burst in found.bursts]
        if None in votes:
            return self._opinion(Answered.NOT_APPLICABLE, start, NARROW, conditions=conditions)
        table = np.stack([changes(burst.frames) for burst in found.bursts])
        said = {
            CHANGES_MODEL: self.follower.run(table).astype(np.float64),
            MODEL: np.array(votes, np.float64),
        }
        conditions |= {f"{name} spread": round(float(values.std()), 3) for name, values in said.items()}
        parts = tuple(
            Opinion(name, card.version, Answered.OK, logit=float(said[name].mean()))
            for name, card in ((CHANGES_MODEL, self.follower.card), (MODEL, self.voter.card))
        )
        weights = np.array([self.fusion.weights.get(name, 0.0) for name in said], np.float64)
        fused = self.fusion.intercept + weights @ np.stack(list(said.values()))
        return self._fused(found.bursts, fused, parts, conditions, start)

    def _fused(
        self,
        bursts: tuple[Burst, ...],
        fused: NDArray[np.float64],
        parts: tuple[Opinion, ...],
        conditions: dict[str, object],
        start: float,
    ) -> Opinion:
        line = self.fusion.lines.get(CONDITION)
        if line is None:
            why = "not calibrated for films"
            return self._opinion(Answered.NOT_APPLICABLE, start, why, conditions=conditions, parts=parts)
        moments = tuple(
            Moment(b.start, b.stop, share(line.log10(float(v)))) for b, v in zip(bursts, fused, strict=True)
        )
        if disagree(line.slope * fused + line.intercept):
            return self._opinion(
                Answered.NOT_APPLICABLE,
                start,
                DISAGREEING,
                conditions=conditions,
                parts=parts,
                moments=moments,
            )
        logit = float(fused.mean())
        ratio = line.log10(logit)
        alarm = self.fusion.alarm(ratio)
        calibration = Calibration(
            self.fusion.id,
            COUNTED,
            CONDITION,
            line.n,
            line.bound,
            alarm.per_1000 if alarm else None,
            alarm.worst_per_1000 if alarm else None,
        )
        return self._opinion(
            Answered.OK, start, logit=logit, score=share(ratio), llr=-ratio, conditions=conditions, parts=parts,
            moments=moments, says=(says(ratio),), calibration=calibration,
        )  # fmt: skip

    def _opinion(
        self,
        answered: Answered,
        start: float,
        reason: str = "",
        *,
        conditions: dict[str, object],
        logit: float | None = None,
        score: float | None = None,
        llr: float | None = None,
        parts: tuple[Opinion, ...] = (),
        moments: tuple[Moment, ...] = (),
        says: tuple[str, ...] = (),
        calibration: Calibration | None = None,
    ) -> Opinion:
        return Opinion(
            NAME, self.version, answered, reason, logit, score, llr, conditions, says=says, parts=parts,
            moments=moments, calibration=calibration, ms=1000 * (self.clock() - start),
        )  # fmt: skip


def says(ratio: float) -> str:
    """Say in words what a log10 ratio for synthetic means."""
    band = next((word for least, word in reversed(BANDS) if abs(ratio) >= least), "")
    if not band:
        return "The detectors lean neither way."
    if ratio < 0:
        return (
            f"The frames are {band} more like films from cameras than like generated ones that the detectors know of. "
            "Generators that they do not know can look the same."
        )
    return f"The frames are {band} more like generated films than like films from cameras."


class FilmDetector:
    """The detectors of films, shipped or a workspace's own copies of them. Conforms to ``TimedDetector``.

    Raises ConfigurationError where something of them cannot be used.
    """

    kinds = frozenset({Kind.VIDEO})

    def __init__(self, home: Path, clock: Clock) -> None:
        self._panel = open_films(Store(home / FOLDER), clock)

    @property
    def name(self) -> str:
        """The panel's name."""
        return NAME

    @property
    def version(self) -> str:
        """The panel's version."""
        return self._panel.version

    def examine_media(self, media: Media) -> Opinion:
        """Return the panel's opinion of a film."""
        return self._panel.examine_media(media)


def open_films(store: Store, clock: Clock, path: Path = SHIPPED / PANEL) -> FilmPanel:
    """Open the detectors of films and what fuses them, kept at ``path``; raises ConfigurationError."""
    fusion = read_fusion(path, KIND)
    for name in (CHANGES_MODEL, MODEL):
        if fusion.digests.get(name) not in (None, store.find(name).card.weights.sha256):
            raise ConfigurationError(
                f"the detectors of films were calibrated with other weights of {name}",
                hint=f"assay models remove {name}",
                path=path,
            )
    follower = Session.load(store.find(CHANGES_MODEL))
    return FilmPanel(follower, open_witness(store, MODEL, clock), fusion, clock)
