"""The networks by name: what a card calls an architecture, and how it is built."""

from __future__ import annotations

from torch import nn

from assay.detect.networks.blocks import Witness, start
from assay.detect.networks.cnn_lstm import CnnLstm
from assay.detect.networks.frequency import Frequency
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
}
"""Every architecture. "cnn-lstm" takes frames, (n, frames, 3, side, side), the others crops, (n, 3, side, side)."""


def build(name: str, **settings: float) -> Witness:
    """Return a new network with random weights; ``settings`` are the arguments of its class.

    Weights come from torch's generator: seed it first. Raises UsageError for a name or a setting that is not
    there.
    """
    if name not in NETWORKS:
        raise UsageError(f"there is no network {name!r}", hint=f"choose one of {', '.join(NETWORKS)}")
    try:
        model = NETWORKS[name](**settings)  # each class has settings of its own, checked when called
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise UsageError(
            f"the network {name!r} cannot be built with {settings}: {error}",
            hint=f"its settings are those of assay.detect.networks' class {NETWORKS[name].__name__}",
        ) from error
    model.apply(start)
    return model


def count(model: nn.Module) -> int:
    """Return how many numbers training may change."""
    return sum(parameter.numel() for parameter in model.parameters())
