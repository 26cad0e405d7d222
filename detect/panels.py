"""Where a panel's fusion is kept, and how a panel is opened. Format: docs/formats/model.md, "Panel"."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.detect.calibrate import Line
from assay.detect.fuse import Alarm, Fusion
from assay.detect.panel import Panel
from assay.detect.runtime import Session
from assay.detect.store import PANEL_FILE, SHIPPED, Store
from assay.detect.witness import Clock, Witness
from assay.provenance.canonical import json_object
from assay.provenance.errors import ConfigurationError, InputError, UsageError
from assay.provenance.files.atomic import atomic_output
from assay.provenance.text import safe_text

PANEL_TYPE = "assay.detector-panel/v1"
OPTIONAL = ("synthetic", "inherited", "digests")
"""Fields of a panel that may be missing."""
REFERENCE = "reference.npy"
MAX_PANEL_BYTES = 1 << 18
"""Largest panel read."""


def open_panel(store: Store, clock: Clock) -> Panel:
    """Open the detectors of pictures and what fuses them: the workspace's own panel, or the shipped one.

    Raises UsageError where there is none, ConfigurationError where something of it cannot be used.
    """
    places = [p / PANEL_FILE for p in (store.folder, SHIPPED) if p is not None]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        raise UsageError("no detectors are calibrated here", hint="assay detect train makes one")
    fusion = read_fusion(path)
    witnesses = []
    for name in fusion.weights:
        witness = open_witness(store, name, clock)
        if fusion.digests.get(name) not in (None, witness.card.weights.sha256):
            raise ConfigurationError(
                f"the panel was calibrated with other weights of {name}",
                hint="calibrate again, or go back to the shipped panel: assay detect calibrate --reset",
                path=path,
            )
        witnesses.append(witness)
    return Panel(witnesses, fusion, clock)


def open_witness(store: Store, name: str, clock: Clock) -> Witness:
    """Open one detector; raises UsageError where there is none, ConfigurationError where it cannot be used."""
    model = store.find(name)
    return Witness(model.card, Session.load(model), clock, _reference(name, model.card.input.length))


def _reference(name: str, length: int) -> NDArray[np.float32] | None:
    """Return the mean vector in training of a shipped model, None where there is none that fits."""
    path = SHIPPED / name / REFERENCE
    if not path.is_file():
        return None
    try:
        vector = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return vector.astype(np.float32) if vector.shape == (length,) else None


def read_fusion(path: Path, kind: str = "image") -> Fusion:
    """Read the fusion of a panel of a kind; raises ConfigurationError where it is none."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PANEL_BYTES + 1)
        document = json_object(data[: MAX_PANEL_BYTES + 1], "the panel")
        if len(data) > MAX_PANEL_BYTES or document.pop("type") != PANEL_TYPE or document.pop("kind") != kind:
            raise ValueError(f"not a panel of version 1 for {kind}")
        return _fusion(document)
    except (OSError, InputError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"the panel of detectors cannot be read: {error}",
            hint="make it again, or install Assay again",
            path=path,
        ) from error


def write_fusion(path: Path, fusion: Fusion, kind: str = "image") -> None:
    """Write the fusion of a panel of a kind; what may be left out of it is, where it is empty."""
    document = {"type": PANEL_TYPE, "kind": kind, **asdict(fusion)}
    for name in OPTIONAL:
        if not document[name]:
            del document[name]
    # Numbers of one source stand on one line, as they are many.
    text = re.sub(r"\[\s+([-\d.,\se]+?)\s+\]", _on_one_line, json.dumps(document, indent=2))
    with atomic_output(path, overwrite=True) as file:
        file.write((text + "\n").encode())


def _on_one_line(found: re.Match[str]) -> str:
    return f"[{' '.join(found[1].split())}]"


def _fusion(document: dict[str, Any]) -> Fusion:
    weights = {str(name): float(value) for name, value in document.pop("weights").items()}
    lines = {str(name): Line(**line) for name, line in document.pop("lines").items()}
    alarms = tuple(Alarm(**alarm) for alarm in document.pop("alarms"))
    for line in lines.values():
        if not (line.slope >= 0 and 0 < line.bound <= 4):
            raise ValueError("a line that no calibration gives")
    inherited = tuple(str(name) for name in document.pop("inherited", ()))
    if not set(inherited) <= lines.keys():
        raise ValueError("a condition without a line is inherited")
    synthetic = {
        str(condition): {str(source): tuple(map(float, values)) for source, values in sources.items()}
        for condition, sources in document.pop("synthetic", {}).items()
    }
    digests = {str(name): str(digest) for name, digest in document.pop("digests", {}).items()}
    name, intercept = str(document.pop("id")), float(document.pop("intercept"))
    if document:
        raise ValueError(f"unknown: {safe_text(', '.join(document), 80)}")
    return Fusion(name, weights, intercept, lines, alarms, synthetic, inherited, digests)
