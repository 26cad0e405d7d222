"""Running safetensors models by torch: beside ONNX Runtime, for networks that are kept as tensors.

Imported only where such a model is added, checked or run; scores are those of the same network as ONNX, within
``networks.export.TOLERANCE``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.detect import tensors
from assay.detect.card import FRAMES, VECTORS, Card
from assay.detect.networks.blocks import Witness
from assay.detect.networks.published import restore
from assay.detect.networks.registry import build
from assay.provenance.errors import MalformedError, UnsupportedError, UsageError
from assay.provenance.text import safe_text

Floats = NDArray[np.float32]
_FRAMES = 2


def opened(card: Card, data: bytes) -> Callable[[Floats], Floats]:
    """Return what gives the logits (n,) of crops, or of frames, by a card's network with these weights.

    Raises MalformedError where they are not its weights, UnsupportedError for an architecture that is not known or
    that is not built with the card's settings; what is returned raises MalformedError where the network fails.
    """
    held = {name: torch.from_numpy(array) for name, array in tensors.load(data).items()}
    with torch.random.fork_rng(devices=[]):  # the first weights are drawn, and then replaced
        model = _built(card).eval()
    restore(model, held)

    def ask(given: Floats) -> Floats:
        try:
            with torch.inference_mode():
                logits: Floats = model(torch.from_numpy(np.ascontiguousarray(given))).numpy()
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            raise MalformedError(f"cannot be run: {safe_text(error, 200)}") from error
        return logits

    return ask


def outline(card: Card) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors of a card's network, by name; no memory is taken for them.

    Raises UnsupportedError for an architecture that is not known, is not built with the card's settings, or does not
    take what the card says.
    """
    with torch.device("meta"):
        model = _built(card).eval()
        given = (2, *((_FRAMES,) if card.input.takes == FRAMES else ()), 3, card.input.side, card.input.side)
        if card.input.takes == VECTORS or model.moving is not (card.input.takes == FRAMES):
            raise UnsupportedError(f"{card.architecture} does not take {card.input.takes}, as its card says")
        try:
            fits = card.input.side >= model.least and model(torch.zeros(given)).shape == (2,)
        except Exception as error:  # whatever a network of another library says of a shape
            raise _misfit(card, model) from error
    if not fits:
        raise _misfit(card, model)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _misfit(card: Card, model: Witness) -> UnsupportedError:
    return UnsupportedError(
        f"{card.architecture} does not take {card.input.takes} of {card.input.side} pixels a side, as its card says",
        hint=f"it takes {model.least} or more, or is built for one side: set side in the card's input and settings",
    )


def _built(card: Card) -> Witness:
    settings: dict[str, Any] = dict(card.settings)  # which are right, each network says itself
    try:
        return build(card.architecture, **settings)
    except UsageError as error:
        raise UnsupportedError(error.message, hint=error.hint) from error
