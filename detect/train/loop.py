"""Training of crop networks: seeded batches, averaged weights, a checkpoint from which it goes on."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from assay.detect.networks.blocks import Witness
from assay.detect.networks.registry import build
from assay.detect.tensors import load, save
from assay.detect.train.cuttings import Cuttings
from assay.detect.train.lesson import Again, Batch, Draw, batches
from assay.provenance.errors import InputError
from assay.provenance.files.atomic import atomic_output

EVERY = 200
"""Steps between checkpoints."""
AVERAGED = 0.998
"""Share of the averaged weights that stays from step to step."""


@dataclass(frozen=True, slots=True)
class Drill:
    """How a crop network is trained: ``steps`` of ``batch`` crops at a highest ``rate``, weight ``decay``.

    ``mixup`` is the share of batches whose crops are mixed, ``smooth`` how far labels are from 0 and 1, ``half``
    whether convolutions run in bfloat16.
    """

    steps: int = 4000
    batch: int = 48
    rate: float = 3e-3
    decay: float = 0.02
    mixup: float = 0.2
    smooth: float = 0.05
    half: bool = True
    seed: int = 0
    draw: Draw = field(default_factory=Draw)


@dataclass(frozen=True)
class Lesson:
    """What is learned from: cuttings, labels, how often each picture is drawn, and reconstructions if there are any."""

    cuttings: Cuttings
    fake: NDArray[np.bool_]
    weight: NDArray[np.float64]
    again: Again | None = None


def drilled(
    architecture: str,
    settings: dict[str, float | str],
    lesson: Lesson,
    drill: Drill,
    checkpoint: Path,
    tell: Callable[[int, float], None],
) -> Witness:
    """Train a network, from its checkpoint where there is one; ``tell`` is told the step and the mean loss.

    The curve is kept beside the checkpoint (.jsonl: step, loss, seconds). Raises InputError where the checkpoint is
    of another training.
    """
    torch.manual_seed(drill.seed)
    model = build(architecture, **settings)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(model.parameters(), drill.rate, weight_decay=drill.decay)
    average: Witness = copy.deepcopy(model)
    words = {
        "architecture": architecture,
        "settings": json.dumps(settings),
        "drill": json.dumps(asdict(drill)),
    }
    step = _resumed(checkpoint, words, model, average, optimiser)
    start, mean = time.monotonic(), 0.0
    made = batches(
        lesson.cuttings, lesson.fake, lesson.weight, drill.draw, drill.batch, (drill.seed,), step, drill.steps,
        lesson.again,
    )  # fmt: skip
    model.train()
    for batch in made:
        for group in optimiser.param_groups:
            group["lr"] = drill.rate * warmed(step / drill.steps)
        loss = _step(model, optimiser, batch, drill, step)
        _averaged(average, model, min(AVERAGED, (step + 1) / (step + 10)))
        mean = loss if not mean else 0.98 * mean + 0.02 * loss
        step += 1
        tell(step, mean)
        if step % EVERY == 0 or step == drill.steps:
            _keep(checkpoint, words, step, model, average, optimiser)
            with checkpoint.with_suffix(".jsonl").open("a", encoding="utf-8") as curve:
                took = round(time.monotonic() - start, 1)
                curve.write(json.dumps({"step": step, "loss": round(mean, 4), "seconds": took}) + "\n")
    average.eval()
    return average


def warmed(done: float) -> float:
    """Return the share of the highest rate after a share of the steps: up for a twentieth, then down as a cosine."""
    if done < 0.05:
        return max(0.02, done / 0.05)
    return max(0.01, 0.5 * (1 + float(np.cos(np.pi * (done - 0.05) / 0.95))))


def logits(model: Witness, crops: NDArray[np.uint8], half: bool = True) -> NDArray[np.float64]:
    """Return the logits of crops uint8 (n, side, side, 3)."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        said: NDArray[np.float64] = model(_inputs(crops)).double().numpy()
    return said


def _inputs(crops: NDArray[np.uint8]) -> Tensor:
    # The crops lie in memory as channels_last does: the permutation is only another way to look at them.
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(255)


def _step(model: Witness, optimiser: torch.optim.Optimizer, batch: Batch, drill: Drill, step: int) -> float:
    rng = np.random.default_rng((drill.seed, step, 1))
    inputs = _inputs(batch.crops)
    targets = torch.from_numpy(batch.labels) * (1 - 2 * drill.smooth) + drill.smooth
    if rng.random() < drill.mixup:
        other = torch.from_numpy(rng.permutation(len(inputs)))
        share = float(rng.beta(0.4, 0.4))
        inputs = share * inputs + (1 - share) * inputs[other]
        targets = share * targets + (1 - share) * targets[other]
    with torch.autocast("cpu", torch.bfloat16, enabled=drill.half):
        said = model(inputs)
    loss = functional.binary_cross_entropy_with_logits(said.float(), targets)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 2.0)
    optimiser.step()
    return float(loss.detach())


def _averaged(average: nn.Module, model: nn.Module, share: float) -> None:
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - share)
            else:
                kept.copy_(new)


def _keep(
    path: Path,
    words: dict[str, str],
    step: int,
    model: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> None:
    tensors = {f"model.{k}": v.numpy() for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v.numpy() for k, v in average.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{k}": v.numpy() for k, v in state.items()}
    tensors["step"] = np.array([step])
    tensors |= {f"word.{k}": np.frombuffer(v.encode(), np.uint8) for k, v in words.items()}
    with atomic_output(path, overwrite=True) as file:
        file.write(save(tensors))


def _resumed(
    path: Path, words: dict[str, str], model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> int:
    """Return the step to go on from, with everything as it was then; 0 where there is no checkpoint."""
    tensors = {}
    with suppress(FileNotFoundError):
        tensors = load(path.read_bytes())
    if not tensors:
        return 0
    for key, word in words.items():
        if tensors.get(f"word.{key}", np.zeros(0, np.uint8)).tobytes().decode() != word:
            raise InputError(
                f"the checkpoint is of another training: its {key} differs",
                hint="train into another folder, or remove it",
                path=path,
            )
    state: dict[int, dict[str, Tensor]] = {}
    for key, array in tensors.items():
        kind, _, name = key.partition(".")
        if kind == "optimiser":
            number, _, part = name.partition(".")
            state.setdefault(int(number), {})[part] = torch.from_numpy(array)
    for kind, module in (("model", model), ("average", average)):
        own = {
            k.removeprefix(f"{kind}."): torch.from_numpy(v) for k, v in tensors.items() if k.startswith(kind)
        }
        module.load_state_dict(own)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(tensors["step"][0])
