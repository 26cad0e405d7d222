"""Attacks on a network by its own gradient, on the picture's pixels, as whole grey levels: FGSM and PGD.

A generated picture is moved, by at most a few levels a sample, to where the network calls it authentic; real
pictures stay as they are, for nobody gains by an alarm on them. The network is attacked on the very crops that
its witness looks at. What other witnesses then say of the same pictures is the attack's transfer.
Goodfellow, Shlens, Szegedy 2015 (FGSM); Madry et al. 2018 (PGD).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from assay.detect.card import CROPS
from assay.detect.crops import Box, places
from assay.detect.measure.conditions import SIDE, Condition, Scene, at_most, encoded
from assay.detect.networks.registry import build
from assay.detect.store import read_card, refuse_unfit
from assay.detect.tensors import load
from assay.provenance.errors import UsageError
from assay.provenance.media import Picture, Samples

STRENGTHS = (1, 2, 4)
"""Most levels, of 255, by which a sample is moved."""
STEPS = 10
"""Steps of PGD."""
_REACH = 2.5  # the steps together could go so many times as far as is allowed

NetworkOpener = Callable[[], nn.Module]
"""Opens the network in the process that attacks: picklable. Crops (n, 3, side, side) in 0..1 to logits (n,)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A network to attack: its name, how it is opened, and the crops that its witness cuts."""

    name: str
    opener: NetworkOpener
    side: int
    crops: int


def target(path: Path) -> Target:
    """Return the network of a card, with safetensors weights beside it, as a target.

    Raises UsageError for a card whose network takes no crops or has no gradient (ONNX), and what reading the card,
    its weights and its architecture raises.
    """
    card, data = read_card(path)
    if card.weights.format != "safetensors" or card.input.takes != CROPS:
        raise UsageError(
            "an attack needs the gradient of a network over crops: a card with safetensors weights", path=path
        )
    refuse_unfit(card, data)
    settings: dict[str, Any] = dict(card.settings)
    return Target(
        card.name, partial(_network, card.architecture, settings, data), card.input.side, card.input.crops
    )


def _network(architecture: str, settings: dict[str, Any], data: bytes) -> nn.Module:
    network = build(architecture, **settings)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in load(data).items()})
    return network


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack on one network, as a change of a picture; the result is what a PNG of it would hold.

    ``strength`` in levels, 0 for the picture without an attack; ``steps`` 1 is FGSM, more are PGD with a random
    start. Without effect where the picture is smaller than a crop.
    """

    target: Target
    strength: int
    steps: int

    def __call__(self, picture: Picture, scene: Scene) -> Picture:
        """Return the attacked picture if it is synthetic, else the same without attack."""
        pixels = at_most(picture.pixels, SIDE)
        if scene.synthetic and self.strength:
            boxes = places(pixels.shape[0], pixels.shape[1], self.target.side, self.target.crops)
            network = _opened(self.target.opener)
            pixels = attacked(pixels, network, boxes, self.strength, self.steps, scene.rng)
        return encoded(pixels, "PNG")


@cache
def _opened(opener: NetworkOpener) -> nn.Module:
    return opener().eval().requires_grad_(False)


def attacked(
    pixels: Samples,
    network: nn.Module,
    boxes: list[Box],
    strength: int,
    steps: int = STEPS,
    rng: np.random.Generator | None = None,
) -> Samples:
    """Return the picture, uint8 (height, width, 3), moved to lower the network's mean logit over the boxes.

    No sample moves by more than ``strength`` levels, and only samples in a box move; every step ends in whole
    levels, and the picture with the lowest logit is returned. With ``rng`` the start is random within these bounds.
    The network's parameters need no gradient. Raises UsageError for steps below 1.
    """
    if steps < 1:
        raise UsageError("an attack has at least one step")
    if not boxes:
        return pixels
    origin = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float()
    low, high = (origin - strength).clamp(min=0), (origin + strength).clamp(max=255)
    moved = origin.clone()
    if rng is not None:
        start = rng.integers(-strength, strength + 1, tuple(origin.shape)).astype(np.float32)
        moved = torch.where(_inside(origin, boxes), origin + torch.from_numpy(start), origin).clamp(low, high)
    stride = strength if steps == 1 else max(1, round(_REACH * strength / steps))
    best, least = origin, math.inf
    for step in range(steps + 1):
        moved.requires_grad_(True)
        crops = torch.stack([moved[:, b.top : b.top + b.height, b.left : b.left + b.width] for b in boxes])
        logit = network(crops / 255).mean()
        if float(logit.detach()) < least:
            best, least = moved.detach(), float(logit.detach())
        if step < steps:
            (slope,) = torch.autograd.grad(logit, moved)
            moved = (moved.detach() - stride * slope.sign()).clamp(low, high)
    found: Samples = best.to(torch.uint8).permute(1, 2, 0).numpy()
    return found


def _inside(picture: Tensor, boxes: list[Box]) -> Tensor:
    mask = torch.zeros(picture.shape, dtype=torch.bool)
    for b in boxes:
        mask[:, b.top : b.top + b.height, b.left : b.left + b.width] = True
    return mask


def conditions(target: Target) -> tuple[Condition, ...]:
    """Return the table of attacks on one network: FGSM and PGD, each without effect and at each of STRENGTHS."""
    return tuple(
        Condition(
            f"{name}{s}@{target.name}",
            f"{said} on {target.name}",
            f"{said} on {target.name}, {s} of 255" if s else f"longer side {SIDE}, PNG",
            Attack(target, s, steps),
            s,
            "levels of 255",
            is_attack=True,
        )
        for name, said, steps in (("fgsm", "FGSM", 1), ("pgd", f"PGD-{STEPS}", STEPS))
        for s in (0, *STRENGTHS)
    )
