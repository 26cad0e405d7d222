"""Running a model's weights: the room's home of ONNX Runtime; what ONNX is not, torch runs (``torch_runtime``)."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assay.detect.card import CROPS, VECTORS, Card, Input
from assay.detect.graph import OUTPUT, read_graph, refuse_misfit
from assay.provenance.errors import ConfigurationError, InputError, MalformedError
from assay.provenance.files import worker
from assay.provenance.limits import DEFAULT_LIMITS, Limits
from assay.provenance.text import safe_text

if TYPE_CHECKING:
    from assay.detect.store import Model

THREADS = 2
"""Threads of one session."""
BATCH = 16
"""Most crops, vectors or films that a network sees at once: bounds the memory it takes."""
TRIAL_FRAMES = 2
"""Frames of the film that a network is tried with."""
_HINT = "install Assay and onnxruntime again; onnxruntime's own page says on which platforms it runs"

Floats = NDArray[np.float32]


class Session:
    """A model ready to run; safe to share between threads."""

    def __init__(self, card: Card, ask: Callable[[Floats], Floats]) -> None:
        self.card = card
        self._ask = ask

    @classmethod
    def load(cls, model: Model, threads: int = THREADS) -> Session:
        """Load a model from bytes whose SHA-256 was taken in the same reading.

        ``threads`` are ONNX Runtime's; torch has its own for the whole process. Raises ConfigurationError where the
        weights are missing, changed or unfit, and where what runs them is damaged or missing.
        """
        data = model.read()
        try:
            return cls(model.card, _opened(model.card, data, threads))
        except InputError as error:
            raise ConfigurationError(
                f"the model {model.card.name} {error.message}",
                hint=f"assay models remove {model.card.name}",
                path=model.path,
            ) from error

    @classmethod
    def of(cls, card: Card, data: bytes) -> Session:
        """Return weights that are not kept yet, ready to run; raises InputError where they are unfit."""
        return cls(card, _opened(card, data, THREADS))

    def run(self, given: Floats) -> Floats:
        """Return one logit a member of ``given``, float32 (n,), higher = more synthetic.

        ``given`` is float32, as the card's input says: crops (n, 3, side, side) RGB 0..1, vectors (n, length) or
        frames (n, frames, 3, side, side). Raises ConfigurationError where the network fails or answers no number.
        """
        rank = {CROPS: 4, VECTORS: 2}.get(self.card.input.takes, 5)
        if given.dtype != np.float32 or given.ndim != rank:
            raise ValueError(f"{given.dtype} of {given.ndim} dimensions for {self.card.input.takes}")
        parts = (given[start : start + BATCH] for start in range(0, len(given), BATCH))
        try:
            return np.concatenate([np.zeros(0, np.float32), *(_sound(self._ask(p), len(p)) for p in parts)])
        except MalformedError as error:
            raise ConfigurationError(
                f"the model {self.card.name} {error.message}", hint=f"assay models verify {self.card.name}"
            ) from error


def _opened(card: Card, data: bytes, threads: int) -> Callable[[Floats], Floats]:
    """Return what answers by the weights of a card; raises InputError where they are unfit."""
    if card.weights.format == "onnx":
        refuse_at_sight(data, card.input)
        return partial(_asked, _session(data, threads), card.input)
    ask: Callable[[Floats], Floats] = torch_runtime().opened(card, data)
    return ask


def torch_runtime() -> ModuleType:
    """Return ``assay.detect.torch_runtime``; raises ConfigurationError where torch is not installed."""
    try:
        from assay.detect import torch_runtime as found
    except ImportError as error:
        raise ConfigurationError(
            f"safetensors models are run by torch, which cannot be loaded: {error}",
            hint="pip install 'assay[torch]'",
        ) from error
    return found


def refuse_at_sight(data: bytes, given: Input) -> None:
    """Raise MalformedError or UnsupportedError where an ONNX file shows, unrun, that it is not what its card says."""
    refuse_misfit(read_graph(data), given)


def try_out(data: bytes, given: Input, limits: Limits = DEFAULT_LIMITS) -> None:
    """Load and run a network on noise in a child process that may die.

    Raises MalformedError where ONNX Runtime refuses it or it answers no numbers, LimitError where it takes more
    time or memory than ``limits`` give a worker, UnsupportedError or MalformedError where it is unfit at sight.
    """
    refuse_at_sight(data, given)
    _library()

    def work(stream: Any) -> worker.Answer:
        noise = _noise(given)
        _sound(_asked(_session(data, 1), given, noise), len(noise))
        return worker.Answer({})

    worker.run(work, io.BytesIO(), limits)


def _noise(given: Input) -> Floats:
    shape = {CROPS: (2, 3, given.side, given.side), VECTORS: (2, given.length)}.get(
        given.takes, (2, TRIAL_FRAMES, 3, given.side, given.side)
    )
    return np.random.default_rng(0).random(shape, np.float32)


def _library() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigurationError(f"ONNX Runtime cannot be loaded: {error}", hint=_HINT) from error
    return onnxruntime


def _session(data: bytes, threads: int) -> Any:
    """Raises MalformedError where ONNX Runtime refuses the network, ConfigurationError where it is missing."""
    onnxruntime = _library()
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # its log would bring a hostile file's names to the terminal
        # Without this a file in ONNX Runtime's own format would be taken too, which nothing here has looked into.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise MalformedError(
            f"is refused by ONNX Runtime: {safe_text(error, 200)}", hint="export it again"
        ) from error


def _asked(session: Any, given: Input, values: Floats) -> Floats:
    try:
        (answer,) = session.run([OUTPUT], {given.takes: np.ascontiguousarray(values)})
    except Exception as error:  # as above
        raise MalformedError(f"cannot be run: {safe_text(error, 200)}", hint="export it again") from error
    logits: Floats = answer
    return logits


def _sound(logits: Floats, count: int) -> Floats:
    """Return so many logits; raises MalformedError where they are others, or no numbers."""
    if logits.dtype != np.float32 or logits.shape != (count,) or not np.isfinite(logits).all():
        raise MalformedError(
            f"answered {logits.dtype} of shape {logits.shape} to {count} inputs, or no numbers",
            hint="export it again",
        )
    return logits
