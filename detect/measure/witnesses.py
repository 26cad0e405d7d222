"""The panel and single models as witnesses of an evaluation."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from assay.detect.measure.run import Opener, Witness
from assay.detect.panels import open_panel
from assay.detect.runtime import Session
from assay.detect.store import Store
from assay.detect.witness import Witness as Detector


def panel(folder: Path) -> Opener:
    """Return what opens the panel of the workspace whose models are in ``folder``, or the shipped one.

    Raises UsageError where there is none, ConfigurationError where it cannot be used.
    """
    _panel(folder)
    return partial(_panel, folder)


def _panel(folder: Path) -> Witness:
    return open_panel(Store(folder), time.perf_counter).examine


def model(folder: Path, name: str) -> Opener:
    """Return what opens one model; raises UsageError where there is none, ConfigurationError where it is unfit."""
    _model(folder, name)
    return partial(_model, folder, name)


def _model(folder: Path, name: str) -> Witness:
    found = Store(folder).find(name)
    return Detector(found.card, Session.load(found), time.perf_counter).examine
