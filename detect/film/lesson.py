"""How the detectors of films are learned: ridge regression on bursts, each source left out once, and a network.

There are few sources: nothing with more freedom than a line in standardised numbers is fitted to the vectors. The
network (``cnn-lstm``) is learned from the frames themselves.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from assay.detect.card import VECTORS
from assay.detect.networks.cnn_lstm import CnnLstm
from assay.detect.networks.export import OPSET

FARTHEST = 3.0
"""Standard deviations at which a number is cut off."""

Floats = NDArray[Any]
Labels = NDArray[np.bool_]


class Ridge(nn.Module):
    """Standardises vectors (n, length), cuts off what lies far out, and gives a logit (n,) by one linear layer."""

    def __init__(self, mean: Tensor, spread: Tensor, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.mean: Tensor
        for name, value in {"mean": mean, "spread": spread, "weight": weight, "bias": bias}.items():
            self.register_buffer(name, value.float())
        self.spread: Tensor
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, vectors: Tensor) -> Tensor:
        """Return logits, higher = more synthetic."""
        standard = torch.clamp((vectors - self.mean) / self.spread, -FARTHEST, FARTHEST)
        return standard @ self.weight + self.bias

    def logits(self, vectors: Floats) -> NDArray[np.float64]:
        """Return the logits of float vectors (n, length)."""
        with torch.no_grad():
            said: NDArray[np.float64] = (
                self(torch.from_numpy(np.asarray(vectors, np.float32))).numpy().astype(np.float64)
            )
        return said


def weights(fake: Labels, sources: Sequence[str]) -> NDArray[np.float64]:
    """Return weights (n,) of sum 1: each label a half, sources within it by the root of their size."""
    counted = Counter(sources)
    root = np.array([1 / np.sqrt(counted[s]) for s in sources])
    shares: NDArray[np.float64] = np.where(
        fake, 0.5 * root / root[fake].sum(), 0.5 * root / root[~fake].sum()
    )
    return shares


def ridge(vectors: Floats, fake: Labels, weight: NDArray[np.float64], strength: float) -> Ridge:
    """Fit vectors (n, length) in closed form; ``strength`` is the weight of the squared weights, about 0.1 to 10."""
    mean = weight @ vectors
    spread = np.sqrt(weight @ (vectors - mean) ** 2) + 1e-3
    table = np.clip((vectors - mean) / spread, -FARTHEST, FARTHEST).astype(np.float64)
    middle = weight @ table
    target = np.where(fake, 1.0, -1.0)
    root = np.sqrt(weight)[:, None]
    centred = (table - middle) * root
    # The kernel's form: there are more numbers than bursts.
    kernel = centred @ centred.T / vectors.shape[1]
    dual = np.linalg.solve(kernel + strength * 1e-3 * np.eye(len(kernel)), target * root[:, 0])
    slope = centred.T @ dual / vectors.shape[1]
    return Ridge(*(torch.from_numpy(np.asarray(v)) for v in (mean, spread, slope, -middle @ slope)))


def held_out(vectors: Floats, fake: Labels, sources: Sequence[str], strength: float) -> NDArray[np.float64]:
    """Return what is said of each vector by what was learned from all other sources, (n,)."""
    names = np.array(sources)
    said = np.zeros(len(vectors))
    for source in sorted(set(sources)):
        mine = names == source
        rest = ~mine
        kept = names[rest].tolist()
        said[mine] = ridge(vectors[rest], fake[rest], weights(fake[rest], kept), strength).logits(
            vectors[mine]
        )
    return said


def export_ridge(model: Ridge, path: Path) -> None:
    """Write it as ONNX: vectors (n, length) float32 to the logit (n,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter says that it is the older one
        torch.onnx.export(
            model.eval(),
            (torch.zeros(2, len(model.mean)),),
            str(path),
            input_names=[VECTORS],
            output_names=["logit"],
            dynamic_axes={VECTORS: {0: "n"}, "logit": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )


@dataclass(frozen=True, slots=True)
class Drill:
    """How the network is taught: ``steps`` of ``batch`` films by AdamW; ``width`` and ``hidden`` are its own."""

    steps: int = 200
    batch: int = 8
    rate: float = 2e-3
    width: int = 8
    hidden: int = 32
    seed: int = 0


def taught(
    films: NDArray[np.uint8],
    fake: Labels,
    weight: NDArray[np.float64],
    drill: Drill,
    tell: Callable[[int, float], None],
) -> CnnLstm:
    """Teach a ``cnn-lstm`` films, uint8 (n, frames, side, side, 3), drawn by ``weight`` and mirrored at random.

    ``tell`` is told the step and the loss.
    """
    torch.manual_seed(drill.seed)
    rng = np.random.default_rng(drill.seed)
    model = CnnLstm(drill.width, 1, drill.hidden)
    model.begin()
    optimiser = torch.optim.AdamW(model.parameters(), drill.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, drill.rate, drill.steps)
    model.train()
    for step in range(drill.steps):
        chosen = rng.choice(len(films), drill.batch, p=weight / weight.sum())
        # In any other order of memory the backward pass of torch 2.13 corrupts the heap.
        batch = torch.from_numpy(np.ascontiguousarray(films[chosen].transpose(0, 1, 4, 2, 3))).float() / 255
        if rng.random() < 0.5:
            batch = batch.flip(4)
        loss = functional.binary_cross_entropy_with_logits(
            model(batch), torch.from_numpy(fake[chosen].astype(np.float32))
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        tell(step, float(loss.detach()))
    return model.eval()
