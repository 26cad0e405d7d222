"""The detector of generated films as ``assay verify`` asks it: a few bursts, two vectors, one fusion, silence.

Its score is of the pixels alone: sound, captions and editing are not looked at. Format: docs/formats/model.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.detect.calibrate import COARSE, SMALL
from assay.detect.film.bursts import Burst, seen
from assay.detect.film.features import CHANGES, described
from assay.detect.fuse import Fusion, share
from assay.detect.gate import SMALL_PIXELS
from assay.detect.panel import BANDS
from assay.detect.panels import read_fusion
from assay.detect.runtime import Session
from assay.detect.store import FOLDER, SHIPPED, Store
from assay.detect.witness import Clock, disagree
from assay.provenance.errors import ConfigurationError
from assay.provenance.media import Kind, Media
from assay.provenance.opinion import Answered, Calibration, Moment, Opinion

NAME = "film"
KIND = "video"
PANEL = "film.json"
"""The fusion of the detectors of films, beside the shipped models."""
MODELS = {"film-changes": slice(0, len(CHANGES)), "film-traces": slice(len(CHANGES), None)}
"""The detectors of films, and which numbers of a burst each is given."""
DISAGREEING = "its parts disagree"
COUNTED = "real clips"
"""Among what false alarms were counted."""


@dataclass(frozen=True)
class FilmPanel:
    """What judges films: a session by model, and how they are weighed."""

    sessions: dict[str, Session]
    fusion: Fusion
    clock: Clock
    name: str = NAME

    @property
    def version(self) -> str:
        """The fusion's id."""
        return self.fusion.id

    def examine_media(self, media: Media) -> Opinion:
        """Return what it thinks of a film, with a moment for each burst; raises what the film's passes raise."""
        start = self.clock()
        found = seen(media)
        height, width = media.shape[:2]
        condition = SMALL if height * width < SMALL_PIXELS else COARSE
        conditions: dict[str, object] = {"condition": condition, "bursts": len(found.bursts)}
        if found.reason:
            return self._silent(found.reason, conditions, start)
        table = np.stack([described(burst.frames) for burst in found.bursts])
        said = {
            name: session.run(np.ascontiguousarray(table[:, MODELS[name]])).astype(np.float64)
            for name, session in self.sessions.items()
        }
        conditions |= {f"{name} spread": round(float(v.std()), 3) for name, v in said.items()}
        parts = tuple(self._part(name, values, condition) for name, values in said.items())
        fused = np.array(
            [self.fusion.logit({k: v[n] for k, v in said.items()}) or 0.0 for n in range(len(table))],
            np.float64,
        )
        return self._opinion(found.bursts, fused, parts, conditions, start)

    def _opinion(
        self,
        bursts: tuple[Burst, ...],
        fused: NDArray[np.float64],
        parts: tuple[Opinion, ...],
        conditions: dict[str, object],
        start: float,
    ) -> Opinion:
        condition = str(conditions["condition"])
        line = self.fusion.lines.get(condition)
        if line is None:
            return self._silent("not calibrated for such films", conditions, start, parts)
        logit = float(fused.mean())
        moments = tuple(
            Moment(b.start, b.stop, share(line.log10(float(v)))) for b, v in zip(bursts, fused, strict=True)
        )
        if disagree(line.slope * fused + line.intercept):
            return self._silent(DISAGREEING, conditions, start, parts, moments)
        ratio = line.log10(logit)
        alarm = self.fusion.alarm(ratio)
        return Opinion(
            self.name,
            self.version,
            Answered.OK,
            logit=logit,
            score=share(ratio),
            llr=-ratio,
            conditions=conditions,
            says=(says(ratio),),
            ms=1000 * (self.clock() - start),
            parts=parts,
            moments=moments,
            calibration=Calibration(
                self.fusion.id,
                COUNTED,
                condition,
                line.n,
                line.bound,
                alarm.per_1000 if alarm else None,
                alarm.worst_per_1000 if alarm else None,
            ),
        )

    def _part(self, name: str, values: NDArray[np.float64], condition: str) -> Opinion:
        card = self.sessions[name].card
        line = card.calibration.lines.get(condition) if card.calibration else None
        logit = float(values.mean())
        ratio = None if line is None else line.log10(logit)
        return Opinion(
            name,
            card.version,
            Answered.OK,
            logit=logit,
            score=None if ratio is None else share(ratio),
            llr=None if ratio is None else -ratio,
        )

    def _silent(
        self,
        reason: str,
        conditions: dict[str, object],
        start: float,
        parts: tuple[Opinion, ...] = (),
        moments: tuple[Moment, ...] = (),
    ) -> Opinion:
        return Opinion(
            self.name,
            self.version,
            Answered.NOT_APPLICABLE,
            reason=reason,
            conditions=conditions,
            ms=1000 * (self.clock() - start),
            parts=parts,
            moments=moments,
        )


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
        return self._panel.name

    @property
    def version(self) -> str:
        """The fusion's id."""
        return self._panel.version

    def examine_media(self, media: Media) -> Opinion:
        """Return the panel's opinion of a film."""
        return self._panel.examine_media(media)


def open_films(store: Store, clock: Clock) -> FilmPanel:
    """Open the detectors of films and what fuses them; raises ConfigurationError."""
    fusion = read_fusion(SHIPPED / PANEL, KIND)
    sessions = {}
    for name in sorted(MODELS):
        model = store.find(name)
        if fusion.digests.get(name) not in (None, model.card.weights.sha256):
            raise ConfigurationError(
                f"the detectors of films were calibrated with other weights of {name}",
                hint=f"assay models remove {name}",
                path=SHIPPED / PANEL,
            )
        sessions[name] = Session.load(model)
    return FilmPanel(sessions, fusion, clock)
