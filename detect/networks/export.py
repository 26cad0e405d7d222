"""Writes a network as ONNX, with its preprocessing inside, and measures how far another runtime is from torch."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.detect.card import Figure
from assay.detect.networks.blocks import Witness
from assay.provenance.errors import MalformedError, UsageError

OPSET = 17
"""Version of ONNX's operators: read by ONNX Runtime from 1.13 on, and the last that torch writes without onnx."""
TOLERANCE = 1e-4
"""Largest difference between the logits of torch and of ONNX Runtime, relative to one or to the logit if larger."""
FRAMES = 4
"""Frames that a network of moving pictures is written and compared with; it takes any number."""
BATCHES = (1, 3)
"""Crops at a time that are compared."""
_SEED = 1

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Runs an exported model: crops (n, 3, side, side), or frames, to logits (n,)."""


def example(model: Witness, side: int, n: int) -> Tensor:
    """Return random crops of the shape that ``model`` takes, float32, always the same ones."""
    shape = (n, FRAMES, 3, side, side) if model.moving else (n, 3, side, side)
    return torch.rand(shape, generator=torch.Generator().manual_seed(_SEED + n))


def export(model: Witness, side: int, path: Path) -> None:
    """Write ``model`` as ONNX: one input, "crops" or "frames", and one output, "logit" (n,), all float32.

    docs/formats/model.md says more. The number of crops is free, and their side where the architecture allows it,
    else it is ``side``. Batch normalisation is folded into the convolutions. The same weights give the same bytes.
    Raises UsageError where ``side`` is less than the network takes.
    """
    if side < model.least:
        raise UsageError(f"the network takes crops of at least {model.least} pixels a side, not {side}")
    axes = {0: "n"}
    if model.moving:
        axes[1] = "frames"
    if model.any_side:
        axes |= {len(axes) + 1: "rows", len(axes) + 2: "columns"}
    name = "frames" if model.moving else "crops"
    still = copy.deepcopy(model).cpu().float().eval()
    with warnings.catch_warnings():
        # The older exporter says that it is the older one; the newer needs onnxscript. It also warns of every
        # shape that becomes a constant: ``difference`` sees whether what must stay free is free.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            still,
            (example(model, side, 2),),
            str(path),
            input_names=[name],
            output_names=["logit"],
            dynamic_axes={name: axes, "logit": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )


def difference(model: Witness, side: int, run: Run) -> float:
    """Return how far the logits of ``run``, the exported model, are from torch's on random crops.

    Divided by the logit where that is larger than one. Batches of one and of several are tried, and another side
    where sides are free. The model counts as the same up to ``TOLERANCE``.
    """
    still = copy.deepcopy(model).cpu().float().eval()
    largest = 0.0
    for n in BATCHES:
        crops = example(model, side + n if model.any_side else side, n)
        with torch.no_grad():
            expected = still(crops).double()
        found = torch.from_numpy(run(crops.numpy())).double()
        if found.shape != expected.shape:
            return float("inf")
        largest = max(largest, float(((found - expected).abs() / expected.abs().clamp(min=1)).max()))
    return largest


def agreed(model: Witness, side: int, run: Run, command: str) -> Figure:
    """Return what ``difference`` finds, as a figure of the card; ``command`` is what printed it.

    Raises MalformedError where it is more than ``TOLERANCE``.
    """
    return figure(difference(model, side, run), "random crops", command)


def figure(found: float, on: str, command: str) -> Figure:
    """Return a difference of logits as a figure of the card; raises MalformedError above ``TOLERANCE``."""
    if not found <= TOLERANCE:
        raise MalformedError(
            f"what was written gives other scores than torch: by {found:.1e}, where {TOLERANCE:.0e} is allowed",
            hint="other versions of torch and onnxruntime may agree better",
        )
    return Figure("largest difference of logits from torch's", on, found, None, None, command)
