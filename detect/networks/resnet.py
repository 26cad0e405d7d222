"""ResNet-50 (He et al., "Deep Residual Learning for Image Recognition", CVPR 2016), the usual baseline.

Wang et al. ("CNN-generated images are surprisingly easy to spot … for now", CVPR 2020) trained it as a detector.
The modules bear the names that published state dicts have, so that these can be loaded (``heads``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from assay.detect.networks.blocks import Normalise, Vote, Witness

EXPANSION = 4
"""How many times wider a block's output is than its 3x3 convolution."""


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; the 3x3 convolution takes the stride."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 4 * width, rows, columns), the sides divided by the stride."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Trunk(nn.Module):
    """The layers of a ResNet of bottlenecks, without its classifier.

    ``depths`` blocks in each layer (four make a whole ResNet), after a convolution ``entry`` pixels wide.
    """

    def __init__(self, depths: tuple[int, ...] = (3, 4, 6, 3), width: int = 64, entry: int = 7) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, entry, 2, entry // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.names = [f"layer{number}" for number in range(1, len(depths) + 1)]
        self.channels = width
        for number, depth in enumerate(depths):
            blocks = []
            for block in range(depth):
                stride = 2 if number and not block else 1
                blocks.append(Bottleneck(self.channels, width << number, stride))
                self.channels = EXPANSION * (width << number)
            self.add_module(self.names[number], nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Return features (n, ``channels``, rows, columns) of (n, 3, side, side)."""
        y: Tensor = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for name in self.names:
            y = self.get_submodule(name)(y)
        return y


class ResNet50(Witness):
    """The whole network with a vote over places in the classifier's stead; ``width`` 64 is the paper's."""

    def __init__(self, width: int = 64, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.trunk = Trunk(width=width)
        self.vote = Vote(self.trunk.channels, 0, dropout)

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, rows, columns), a place for each 32x32 pixels."""
        answer: tuple[Tensor, Tensor] = self.vote(self.trunk(self.normalise(crops)))
        return answer
