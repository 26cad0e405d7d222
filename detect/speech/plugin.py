"""The detector of speech as ``assay verify`` and ``assay detect scan`` ask it."""

from __future__ import annotations

from pathlib import Path

from assay.detect.panels import read_fusion
from assay.detect.runtime import Session
from assay.detect.speech.witness import WIDE, SpeechWitness
from assay.detect.store import FOLDER, SHIPPED, Store
from assay.detect.witness import Clock
from assay.provenance.errors import ConfigurationError
from assay.provenance.media import Kind, Media
from assay.provenance.opinion import Opinion

MODEL = "speech"
"""The model's name, in a workspace's folder or among the shipped ones."""


class SpeechDetector:
    """Synthetic and converted speech. Conforms to ``TimedDetector``; raises ConfigurationError where it is damaged."""

    kinds = frozenset({Kind.AUDIO})

    def __init__(self, home: Path, clock: Clock) -> None:
        model = Store(home / FOLDER).find(MODEL)
        fusion = read_fusion(SHIPPED / MODEL / "panel.json", "audio")
        if WIDE not in fusion.lines or fusion.digests.get(MODEL) != model.card.weights.sha256:
            raise ConfigurationError(
                "the detector of speech was calibrated with other weights",
                hint="install Assay again",
                path=model.path,
            )
        self._witness = SpeechWitness(model.card, Session.load(model), fusion, clock)

    @property
    def name(self) -> str:
        """The model's name."""
        return MODEL

    @property
    def version(self) -> str:
        """The calibration's id."""
        return self._witness.fusion.id

    def examine_media(self, media: Media) -> Opinion:
        """Return what it thinks of a sound; passes may raise MalformedError, LimitError."""
        return self._witness.examine(media)
