"""The panel as ``assay verify`` asks it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.detect.explain import drawn, explained
from assay.detect.panel import Panel
from assay.detect.panels import open_panel
from assay.detect.store import FOLDER, Store
from assay.detect.witness import Clock
from assay.provenance.media import Picture
from assay.provenance.opinion import Explanation, Opinion
from assay.provenance.protocols import ExplainingDetector


@dataclass(frozen=True)
class PictureDetector:
    """A panel that can say why. Conforms to ``ExplainingDetector``."""

    panel: Panel

    @property
    def name(self) -> str:
        """The panel's name."""
        return self.panel.name

    @property
    def version(self) -> str:
        """The fusion's id."""
        return self.panel.version

    def examine(self, picture: Picture) -> Opinion:
        """Return the panel's opinion of a picture."""
        return self.panel.examine(picture)

    def explain(self, picture: Picture) -> Explanation:
        """Return the panel's opinion of a picture, with its reasons and its spectrum."""
        return explained(self.panel, picture)

    def draw(self, picture: Picture, opinion: Opinion) -> bytes:
        """Return a PNG of the picture with its crops tinted by what was thought of them."""
        return drawn(picture, opinion)


def open_detector(home: Path, clock: Clock) -> ExplainingDetector:
    """Open the panel of a workspace, or the shipped one; raises what ``open_panel`` does."""
    return PictureDetector(open_panel(Store(home / FOLDER), clock))
