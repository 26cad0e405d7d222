"""A published checkpoint becomes a model of ours: card and weights, compared with the network that was read."""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assay.detect.card import CROPS, MAX_WEIGHTS_BYTES, UNMEASURED, Card, Input, Setting, Weights
from assay.detect.networks.blocks import Witness
from assay.detect.networks.export import agreed, export
from assay.detect.networks.published import PUBLISHED, convert, written
from assay.detect.networks.registry import count
from assay.detect.runtime import Session
from assay.detect.store import read_file
from assay.provenance.errors import AssayError, UsageError
from assay.provenance.text import safe_text

ONNX_BYTES = MAX_WEIGHTS_BYTES - (64 << 20)
"""Bytes of numbers above which a network is not written as ONNX, whose files end at 2 GiB."""
_NUMBER = 4  # bytes of a float32


@dataclass(frozen=True, slots=True)
class Adopted:
    """A model to be added: its card and weights; ``reason`` says in words why it is not ONNX, empty where it is."""

    card: Card
    data: bytes
    reason: str


def adopt(
    kind: str,
    files: Sequence[Path],
    *,
    name: str,
    licence: str,
    crops: int,
    settings: Mapping[str, Setting],
    made: dt.date,
    onnx: bool = True,
) -> Adopted:
    """Read a published detector's files and return its card and weights: ONNX, or safetensors where that cannot be.

    ``kind`` is a name of ``PUBLISHED``, ``settings`` are put over its own, an empty ``licence`` means the known one.
    What was written is run and compared with torch: the difference stands in the card. Raises what ``convert``
    raises, UsageError where no licence is known, MalformedError where scores differ.
    """
    model = convert(kind, files, **settings)
    known = PUBLISHED[kind]
    chosen = {**known.settings, **settings}
    if not licence and not known.licence:
        raise UsageError(
            f"the licence of {kind}'s weights is not known here",
            hint=f"--licence names it; their makers: {known.source}",
        )
    side = chosen.get("side", known.side)
    side = side if isinstance(side, int) else known.side
    card = Card(
        name=name,
        version="1",
        kind="image",
        family=known.family,
        architecture=known.architecture,
        settings=chosen,
        weights=Weights("", "", "", 0),
        input=Input(CROPS, side, crops, side),
        calibration=None,
        sources=(),
        licence=licence or known.licence,
        fails=(UNMEASURED, f"Made by others, who say what it learned from: {known.source}."),
        measured=(),
        made=f"{made:%Y-%m-%d}",
    )
    command = f"assay models convert {kind} FILE… --name {name}"
    reason = "safetensors were asked for"
    if onnx:
        try:
            return Adopted(*_checked(model, card, _onnx(model, side), "onnx", command), "")
        except _NoOnnxError as error:
            reason = str(error)
    return Adopted(*_checked(model, card, written(model), "safetensors", command), reason)


class _NoOnnxError(Exception):
    """Why a network is not written as ONNX, in words."""


def _onnx(model: Witness, side: int) -> bytes:
    if _NUMBER * count(model) > ONNX_BYTES:
        raise _NoOnnxError(f"{count(model)} weights are more than a file of ONNX holds")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        try:
            export(model, side, path)
        except AssayError:
            raise
        except Exception as error:  # whatever torch's exporter says of what it cannot write
            raise _NoOnnxError(f"torch cannot write it as ONNX: {safe_text(error, 160)}") from error
        return read_file(path, MAX_WEIGHTS_BYTES)


def _checked(model: Witness, card: Card, data: bytes, form: str, command: str) -> tuple[Card, bytes]:
    """Return the whole card, and the weights, that were run and compared."""
    weights = Weights(f"weights.{form}", form, hashlib.sha256(data).hexdigest(), len(data))
    card = replace(card, weights=weights)
    figure = agreed(model, card.input.side, Session.of(card, data).run, command)
    return replace(card, measured=(figure,)), data
