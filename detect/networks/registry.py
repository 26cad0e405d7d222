"""The networks by name: what a card calls an architecture, and how it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from assay.detect.networks.blocks import Ensemble, Witness
from assay.detect.networks.cnn_lstm import CnnLstm
from assay.detect.networks.frequency import Frequency
from assay.detect.networks.heads import Clip, Npr, Timm
from assay.detect.networks.mobile import Mobile
from assay.detect.networks.residual import Residual
from assay.detect.networks.resnet import ResNet50
from assay.detect.networks.vit import VitS
from assay.detect.networks.xception import Xception
from assay.provenance.errors import UsageError

NETWORKS: dict[str, type[Witness]] = {
    "residual": Residual,
    "frequency": Frequency,
    "resnet50": ResNet50,
    "xception": Xception,
    "mobile": Mobile,
    "vit-s": VitS,
    "cnn-lstm": CnnLstm,
    "npr": Npr,
    "clip": Clip,
    "timm": Timm,
}
"""Every architecture. "cnn-lstm" takes frames, (n, frames, 3, side, side), the others crops, (n, 3, side, side)."""


MOST = {
    "width": 4096,
    "depth": 64,
    "heads": 64,
    "hidden": 4096,
    "side": 1024,
    "patch": 64,
    "projection": 4096,
    "members": 16,
}
"""Largest values of settings that are numbers; the least is above 0, for ``projection`` 0."""
MAX_PARAMETERS = 1_000_000_000
"""Largest network that is built: settings come with cards, and cards from anywhere."""


def build(name: str, **settings: float | str) -> Witness:
    """Return a new network with random weights; ``settings`` are the arguments of its class.

    ``members``, where it is given and not 1, is how many such networks are averaged.

    Weights come from torch's generator: seed it first. Raises UsageError for a name or a setting that is not
    there or too large, ConfigurationError where a network of another library wants that library.
    """
    if name not in NETWORKS:
        raise UsageError(f"there is no network {name!r}", hint=f"choose one of {', '.join(NETWORKS)}")
    kind: Callable[..., Witness] = NETWORKS[name]  # each class has settings of its own, checked when called

    own = dict(settings)
    members = own.pop("members", 1)

    def make() -> Witness:
        if members == 1:
            return kind(**own)
        if not isinstance(members, int):
            raise ValueError("members is a whole number")
        return Ensemble([kind(**own) for _ in range(members)])

    try:
        _refuse_outsize(settings)
        with torch.device("meta"):  # nothing is held yet
            size = count(make())
        if size > MAX_PARAMETERS:
            raise ValueError(f"it would have {size} weights, {MAX_PARAMETERS} at most")
        model = make()
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise UsageError(
            f"the network {name!r} cannot be built with {settings}: {error}",
            hint=f"its settings are those of assay.detect.networks' class {NETWORKS[name].__name__}",
        ) from error
    model.begin()
    return model


def _refuse_outsize(settings: Mapping[str, float | str]) -> None:
    for key, most in MOST.items():
        value = settings.get(key, 1)
        least = value == 0 and key == "projection"
        if isinstance(value, str) or not (0 < value <= most or least):
            raise ValueError(f"{key} is a number above 0 and at most {most}")


def count(model: nn.Module) -> int:
    """Return how many numbers training may change."""
    return sum(parameter.numel() for parameter in model.parameters())
