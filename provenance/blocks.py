"""What blocks of evidence may weigh and how they are joined, as stored. Format: docs/formats/blocks.md."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from assay.provenance.canonical import json_object
from assay.provenance.errors import ConfigurationError, InputError, MalformedError

BLOCKS_TYPE = "assay.blocks/v1"
DETECTORS, WATERMARK, METADATA = "detectors", "watermark", "metadata"
"""The blocks: what detectors think of the pixels, marks that are read, and what unsigned structure says of a camera."""
CORRELATED = 0.2
"""Residual correlation, either way, from which two blocks are no longer added (facts of evaluative reporting)."""
MOST_METADATA = 0.29
"""Bound of log10 LR of the metadata's block: less than leans alone, for EXIF is copied by one command."""
MAX_BLOCKS_BYTES = 1 << 16
"""Largest calibration read."""


@dataclass(frozen=True, slots=True)
class ClassWeight:
    """What one class of structure weighs: log10 P(class | camera) / P(class | generated), 0 with a ``reason`` if not.

    ``real`` and ``fake`` are (sources, files) in which it was seen.
    """

    log10_lr: float
    reason: str
    real: tuple[int, int]
    fake: tuple[int, int]


@dataclass(frozen=True, slots=True)
class FormatCalibration:
    """What structure weighs in files of one format. ``off`` says why it weighs nothing there, "" where it may.

    ``cllr`` is in bits, of sources that each class's weight was not made from; ``n`` files.
    """

    real_sources: int
    fake_sources: int
    n: int
    cllr: float
    off: str
    classes: Mapping[str, ClassWeight]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two blocks measured on the same files: ``r``, and where it counts, their logistic fusion.

    ``r`` is the correlation of their log10 ratios given the class, the larger of the two classes'. The fusion's log10
    ratio is ``weights`` times theirs plus ``intercept``; None where they may be added.
    """

    between: tuple[str, str]
    r: float
    n: int
    sources: int
    weights: tuple[float, float] | None = None
    intercept: float = 0.0

    @property
    def correlated(self) -> bool:
        """Whether the two may not be added."""
        return abs(self.r) >= CORRELATED


@dataclass(frozen=True, slots=True)
class BlockCalibration:
    """All that is stored about blocks."""

    id: str
    formats: Mapping[str, FormatCalibration] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()

    def pair(self, one: str, other: str) -> Pair | None:
        """Return what was measured of two blocks in either order, None where nothing was."""
        return next((p for p in self.pairs if set(p.between) == {one, other}), None)

    def structure(self, found: str, format: str) -> tuple[float, str]:
        """Return the log10 ratio of a class in files of a format, and why it is 0 where it is."""
        calibrated = self.formats.get(format)
        if calibrated is None:
            return 0.0, "format-not-calibrated"
        if calibrated.off:
            return 0.0, calibrated.off
        weight = calibrated.classes.get(found)
        return (weight.log10_lr, weight.reason) if weight else (0.0, "class-not-calibrated")


@cache
def shipped() -> BlockCalibration:
    """Return the calibration that comes with Assay."""
    return read_blocks(files(__package__).joinpath("data", "blocks.json").read_bytes(), "data/blocks.json")


def read_blocks(data: bytes, where: str) -> BlockCalibration:
    """Read a calibration strictly; raises ConfigurationError, which names ``where``, for anything else."""
    try:
        if len(data) > MAX_BLOCKS_BYTES:
            raise ValueError(f"more than {MAX_BLOCKS_BYTES} bytes")
        document = json_object(data, "the calibration of blocks")
        if document.pop("type") != BLOCKS_TYPE:
            raise ValueError("not a calibration of blocks of version 1")
        found = BlockCalibration(
            str(document.pop("id")),
            {str(name): _format(value) for name, value in document.pop("metadata").items()},
            tuple(_pair(value) for value in document.pop("pairs")),
        )
        if document:
            raise ValueError(f"{sorted(document)[0]!r} is not known")
        named = [name for pair in found.pairs for name in pair.between]
        if len(set(named)) != len(named):
            raise ValueError("a block stands in two pairs, or is its own")
    except (InputError, MalformedError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"{where} is no calibration of blocks: {error}", hint="docs/formats/blocks.md says what one holds"
        ) from error
    return found


def write_blocks(found: BlockCalibration) -> bytes:
    """Return what ``read_blocks`` reads: JSON in UTF-8, with a line's end."""
    formats = {
        name: {
            "real_sources": f.real_sources,
            "fake_sources": f.fake_sources,
            "n": f.n,
            "cllr": round(f.cllr, 4),
            "off": f.off,
            "classes": {c: _class_json(w) for c, w in f.classes.items()},
        }
        for name, f in found.formats.items()
    }
    pairs = [
        {
            "between": list(p.between),
            "r": round(p.r, 4),
            "n": p.n,
            "sources": p.sources,
            "weights": None if p.weights is None else [round(w, 6) for w in p.weights],
            "intercept": round(p.intercept, 6),
        }
        for p in found.pairs
    ]
    document = {"type": BLOCKS_TYPE, "id": found.id, "metadata": formats, "pairs": pairs}
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()


def _class_json(weight: ClassWeight) -> dict[str, object]:
    return {
        "log10_lr": round(weight.log10_lr, 4),
        "reason": weight.reason,
        "real": list(weight.real),
        "fake": list(weight.fake),
    }


def _format(document: dict[str, Any]) -> FormatCalibration:
    classes = {str(name): _class(dict(value)) for name, value in document["classes"].items()}
    cllr = _finite(document["cllr"])
    if cllr > 1 and not document["off"]:
        raise ValueError("a block weighs where it misleads: Cllr is over 1")
    real, fake, n = (int(document[name]) for name in ("real_sources", "fake_sources", "n"))
    return FormatCalibration(real, fake, n, cllr, str(document["off"]), classes)


def _class(document: dict[str, Any]) -> ClassWeight:
    weight = _finite(document["log10_lr"])
    if abs(weight) > MOST_METADATA:
        raise ValueError(f"a class weighs more than {MOST_METADATA}")
    if (weight == 0) is not bool(document["reason"]):
        raise ValueError("a class weighs nothing for no reason, or something with one")
    real, fake = ((int(a), int(b)) for a, b in (document["real"], document["fake"]))
    return ClassWeight(weight, str(document["reason"]), real, fake)


def _pair(document: dict[str, Any]) -> Pair:
    one, other = (str(name) for name in document["between"])
    weights = document["weights"]
    if weights is not None:
        first, second = (_finite(w) for w in weights)
        weights = (first, second)
        if min(weights) < 0:
            raise ValueError("a block has a negative say")
    found = Pair(
        (one, other),
        _finite(document["r"]),
        int(document["n"]),
        int(document["sources"]),
        weights,
        _finite(document["intercept"]),
    )
    if found.correlated and weights is None:
        raise ValueError("correlated blocks have no fusion")
    return found


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number
