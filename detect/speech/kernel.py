"""Kernel ridge regression over vectors: it remembers what it learned from and weighs it by likeness.

Of some eighty sources it generalised better than a network with a hidden layer (docs/measured.md). Each label weighs a
half, a source within it the root of its size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FAR = 4.0
"""Standard deviations at which a number is cut off."""
SCALE = 4.0
"""What the regression's answer, about -1 to 1, is multiplied with to be a logit before calibration."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """``width`` of the kernel as a share of the dimensions, ``ridge``, and how many principal components are kept."""

    width: float = 0.5
    ridge: float = 1.0
    components: int = 192


class Likeness(nn.Module):
    """Standardises vectors (n, length), turns them to principal components, and gives a logit (n,)."""

    def __init__(
        self, mean: Tensor, spread: Tensor, turn: Tensor, centres: Tensor, share: Tensor, width: float
    ) -> None:
        super().__init__()
        self.mean: Tensor
        self.spread: Tensor
        self.turn: Tensor
        self.centres: Tensor
        self.share: Tensor
        for name, value in (
            ("mean", mean), ("spread", spread), ("turn", turn), ("centres", centres), ("share", share),
        ):  # fmt: skip
            self.register_buffer(name, value)
        self.width = width

    def forward(self, vectors: Tensor) -> Tensor:
        """Return logits, higher = more synthetic."""
        standard = torch.clamp((vectors - self.mean) / self.spread, -FAR, FAR) @ self.turn
        # Sums of thousands of terms of either sign: in single precision, runtimes would differ.
        here, centres = standard.double(), self.centres.double()
        apart = (here**2).sum(1, keepdim=True) + (centres**2).sum(1) - 2 * here @ centres.T
        logits: Tensor = (torch.exp(-self.width * apart.clamp(min=0.0)) @ self.share.double()).float()
        return logits

    def logits(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the logits of vectors (n, length)."""
        with torch.no_grad():
            found: NDArray[np.float64] = self(torch.from_numpy(values)).numpy().astype(np.float64)
        return found


def learned(
    values: NDArray[np.float32], fake: NDArray[np.bool_], weight: NDArray[np.float64], kernel: Kernel
) -> Likeness:
    """Fit to vectors float32 (n, length), each of which weighs ``weight``."""
    mean, spread = values.mean(0), values.std(0) + np.float32(1e-3)
    standard = np.clip((values - mean) / spread, -FAR, FAR).astype(np.float64)
    _, turn = np.linalg.eigh(standard.T @ standard)
    turn = turn[:, ::-1][:, : kernel.components]
    centres = standard @ turn
    # Distances are rounded as they will be when it is asked.
    centres = centres.astype(np.float16).astype(np.float64)
    width = kernel.width / values.shape[1]
    square = (centres**2).sum(1)
    alike = np.exp(-width * np.maximum(square[:, None] + square - 2 * centres @ centres.T, 0))
    alike[np.diag_indices_from(alike)] += kernel.ridge * weight.mean() / weight
    share = np.linalg.solve(alike, SCALE * (2.0 * fake - 1))
    tensors = [
        torch.from_numpy(np.ascontiguousarray(p, np.float32)) for p in (mean, spread, turn, centres, share)
    ]
    one, two, three, four, five = tensors
    return Likeness(one, two, three, four.half(), five, width)
