"""Xception (Chollet, "Deep Learning with Depthwise Separable Convolutions", CVPR 2017).

Rössler et al. ("FaceForensics++", ICCV 2019) made it the baseline of face forgery.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from assay.detect.networks.blocks import Normalise, Vote, Witness, convolution

MIDDLE = 8
"""Blocks of the middle flow."""


def separable(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 3x3 convolution by channel, a 1x1 convolution across channels, and batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs, bias=False), convolution(inputs, outputs, 1)
    )


class Block(nn.Module):
    """Separable convolutions from ``widths[0]`` to the last of ``widths``, with a shortcut around them.

    ``first`` puts an activation before the first convolution; a stride of 2 pools at the end.
    """

    def __init__(self, widths: tuple[int, ...], stride: int = 1, *, first: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            if number or first:
                layers.append(nn.ReLU())
            layers.append(separable(inputs, outputs))
        if stride > 1:
            layers.append(nn.MaxPool2d(3, stride, 1))
        self.body = nn.Sequential(*layers)
        same = widths[0] == widths[-1] and stride == 1
        self.shortcut = nn.Identity() if same else convolution(widths[0], widths[-1], 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, widths[-1], rows, columns), the sides divided by the stride."""
        y: Tensor = self.body(x) + self.shortcut(x)
        return y


class Xception(Witness):
    """Entry, middle and exit flow and a vote over places; ``width`` 32 is the paper's."""

    def __init__(self, width: int = 32, *, dropout: float = 0.0) -> None:
        super().__init__()
        w, middle = width, width * 728 // 32
        self.normalise = Normalise((0.5,) * 3, (0.5,) * 3)
        self.entry = nn.Sequential(
            convolution(3, w, 3, 2, act=nn.ReLU()),
            convolution(w, 2 * w, 3, act=nn.ReLU()),
            Block((2 * w, 4 * w, 4 * w), 2, first=False),
            Block((4 * w, 8 * w, 8 * w), 2),
            Block((8 * w, middle, middle), 2),
        )
        self.middle = nn.Sequential(*(Block((middle,) * 4) for _ in range(MIDDLE)))
        self.leave = nn.Sequential(
            Block((middle, middle, 32 * w), 2),
            separable(32 * w, 48 * w),
            nn.ReLU(),
            separable(48 * w, 64 * w),
        )
        self.vote = Vote(64 * w, 0, dropout)

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, rows, columns), a place for each 32x32 pixels."""
        seen = torch.relu(self.leave(self.middle(self.entry(self.normalise(crops)))))
        answer: tuple[Tensor, Tensor] = self.vote(seen)
        return answer
