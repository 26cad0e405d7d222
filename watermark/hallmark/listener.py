"""Two listeners that bring out a pattern from under a picture: a rule and a small network. Neither knows a key."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from assay.provenance.errors import ConfigurationError
from assay.watermark.hallmark.canvas import THREADS, Plane
from assay.watermark.hallmark.mask import amplitude

WEIGHTS = "listener.onnx"
"""The network, made by bench/train_hallmark.py."""
SHA256 = "aa91a940c806d225fc8ab0a0fa4ffd708a6544ba752538fd8c96de39ec07dfed"
"""Digest of the network's file, checked when it is loaded."""
MULTIPLE = 8
"""The network wants sides that are multiples of this; planes are padded by reflection."""
CODING_NOISE = 4.0
"""Variance, in squared grey levels, that a picture's own coding is taken to add everywhere."""
_SMOOTH, _LOCAL, _LOUDEST = 7, 9, 2.5
_SURROUNDINGS, _KNEE = 21, 8.0
_HINT = "install Assay and onnxruntime again; onnxruntime's own page says on which platforms it runs"


def by_rule(plane: Plane) -> Plane:
    """Return what is heard by high-pass, division by the local standard deviation and clipping, float32.

    ``plane`` is rendered luma, 0..255. Each place counts as the mask would have marked it.
    """
    level = uniform_filter(uniform_filter(plane, _SMOOTH, mode="nearest"), _SMOOTH, mode="nearest")
    detail = plane - level
    spread = np.sqrt(uniform_filter(detail * detail, _LOCAL, mode="nearest") + np.float32(CODING_NOISE))
    heard: Plane = np.clip(detail / spread, -_LOUDEST, _LOUDEST) * (amplitude(plane) / spread)
    return heard


def senses(plane: Plane) -> NDArray[np.float32]:
    """Return what the network is given, (2, rows, columns) float32: compressed detail, and light."""
    level = uniform_filter(plane, _SURROUNDINGS, mode="nearest")
    detail = np.arcsinh((plane - level) / np.float32(_KNEE))
    return np.stack((detail, (level - np.float32(128)) / np.float32(64))).astype(np.float32)


def by_network(plane: Plane) -> Plane:
    """Return what the trained network hears: the pattern it expects, float32; zero where nothing can be known.

    Raises ConfigurationError where the network or ONNX Runtime is damaged or missing.
    """
    rows, columns = plane.shape
    lacking = (-rows % MULTIPLE, -columns % MULTIPLE)
    padded = np.pad(plane, ((0, lacking[0]), (0, lacking[1])), mode="symmetric")
    heard = _run(_session(), senses(padded)[None])
    cut: Plane = heard[0, 0, :rows, :columns]
    return cut


@lru_cache(maxsize=1)
def _session() -> Any:
    """Load the network, checked; raises ConfigurationError where it or ONNX Runtime is damaged or missing."""
    try:
        import onnxruntime

        model = files("assay.watermark.hallmark").joinpath(WEIGHTS).read_bytes()
    except (ImportError, OSError) as error:
        raise ConfigurationError(f"the mark's network cannot be loaded: {error}", hint=_HINT) from error
    if hashlib.sha256(model).hexdigest() != SHA256:
        raise ConfigurationError(
            f"the network {WEIGHTS} is not the one this version was made with", hint="install Assay again"
        )
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise ConfigurationError(f"ONNX Runtime cannot load {WEIGHTS}: {error}", hint=_HINT) from error


def _run(session: Any, given: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        (heard,) = session.run(None, {"senses": given})
    except Exception as error:  # as above
        raise ConfigurationError(f"ONNX Runtime cannot run {WEIGHTS}: {error}", hint=_HINT) from error
    answer: NDArray[np.float32] = heard
    return answer
