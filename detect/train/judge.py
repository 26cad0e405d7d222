"""A small network over vectors: it standardises them itself, so that its file needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from assay.detect.statistics import Vector


@dataclass(frozen=True, slots=True)
class Course:
    """How a judge is trained: ``steps`` of ``batch`` vectors, ``mixup`` the width of its beta distribution."""

    hidden: int = 48
    steps: int = 1500
    batch: int = 256
    rate: float = 2e-3
    decay: float = 0.1
    drop: float = 0.3
    mixup: float = 0.3
    smooth: float = 0.05
    seed: int = 0


class Judge(nn.Module):
    """Standardises vectors (n, length), cuts off what lies far out, and gives a logit (n,) through a hidden layer."""

    def __init__(self, mean: Tensor, spread: Tensor, hidden: int, drop: float) -> None:
        super().__init__()
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.layers = nn.Sequential(
            nn.Dropout(drop), nn.Linear(len(mean), hidden), nn.GELU(), nn.Dropout(0.5), nn.Linear(hidden, 1)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """Return logits, higher = more synthetic."""
        standard = torch.clamp((vectors - self.mean) / self.spread, -4.0, 4.0)
        logits: Tensor = self.layers(standard)[:, 0]
        return logits

    def logits(self, values: Vector) -> NDArray[np.float64]:
        """Return the logits of vectors (n, length)."""
        with torch.no_grad():
            said: NDArray[np.float64] = self(torch.from_numpy(values)).numpy().astype(np.float64)
        return said


class Bench(nn.Module):
    """Several judges, whose logits are averaged."""

    def __init__(self, judges: Sequence[Judge]) -> None:
        super().__init__()
        self.judges = nn.ModuleList(judges)
        self.length = len(judges[0].mean)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the mean logit (n,)."""
        return torch.stack([judge(vectors) for judge in self.judges]).mean(0)


def taught(
    values: Vector,
    fake: NDArray[np.bool_],
    weight: NDArray[np.float64],
    course: Course,
    tell: Callable[[int, float], None],
) -> Judge:
    """Train a judge on vectors (n, length) drawn by ``weight``; ``tell`` is told the step and the loss."""
    torch.manual_seed(course.seed)
    rng = np.random.default_rng(course.seed)
    chance = weight / weight.sum()
    seen = rng.choice(len(values), min(len(values), 20_000), p=chance)
    inputs = torch.from_numpy(values)
    mean, spread = inputs[seen].mean(0), inputs[seen].std(0) + 1e-3
    judge = Judge(mean, spread, course.hidden, course.drop)
    optimiser = torch.optim.AdamW(judge.parameters(), course.rate, weight_decay=course.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, course.rate, course.steps)
    targets = torch.from_numpy(fake.astype(np.float32)) * (1 - 2 * course.smooth) + course.smooth
    judge.train()
    for step in range(course.steps):
        chosen = torch.from_numpy(rng.choice(len(values), 2 * course.batch, p=chance))
        one, other = chosen[: course.batch], chosen[course.batch :]
        share = torch.from_numpy(rng.beta(course.mixup, course.mixup, (course.batch, 1))).float()
        mixed = share * inputs[one] + (1 - share) * inputs[other]
        wanted = share[:, 0] * targets[one] + (1 - share[:, 0]) * targets[other]
        loss = functional.binary_cross_entropy_with_logits(judge(mixed), wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        tell(step, float(loss.detach()))
    return judge.eval()
