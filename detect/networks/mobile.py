"""EfficientNet-B0 (Tan and Le, ICML 2019): inverted residuals of MobileNetV2 with attention to channels.

The blocks are those of Sandler et al. ("Inverted Residuals and Linear Bottlenecks", CVPR 2018) and Hu et al.
("Squeeze-and-Excitation Networks", CVPR 2018).
"""

from __future__ import annotations

from torch import Tensor, nn

from assay.detect.networks.blocks import Normalise, Vote, Witness, convolution

STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
"""Expansion, channels, blocks, stride of the first, and side of the convolution; the paper's table 1."""
FIRST, LAST = 32, 1280
"""Channels of the first and last convolution."""


def rounded(channels: float) -> int:
    """Return the multiple of eight nearest to ``channels``, at least eight."""
    return max(8, int(channels + 4) // 8 * 8)


class Squeeze(nn.Module):
    """Weighs each channel by what all channels' means say."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, inner, 1), nn.SiLU(), nn.Conv2d(inner, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, (n, channels, rows, columns), weighed."""
        y: Tensor = x * self.weigh(x.mean((2, 3), keepdim=True))
        return y


class Inverted(nn.Module):
    """Widens, convolves by channel, weighs, narrows; a shortcut where shapes allow it."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, side: int) -> None:
        super().__init__()
        inner = inputs * expansion
        widen = [convolution(inputs, inner, 1, act=nn.SiLU())] if expansion > 1 else []
        self.body = nn.Sequential(
            *widen,
            convolution(inner, inner, side, stride, inner, act=nn.SiLU()),
            Squeeze(inner, max(1, inputs // 4)),
            convolution(inner, outputs, 1),
        )
        self.same = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, rows, columns), the sides divided by the stride."""
        y: Tensor = self.body(x)
        return x + y if self.same else y


class Mobile(Witness):
    """The network at ``width`` times the paper's channels, with a vote over places."""

    def __init__(self, width: float = 1.0, *, dropout: float = 0.2) -> None:
        super().__init__()
        inputs = rounded(FIRST * width)
        layers: list[nn.Module] = [Normalise(), convolution(3, inputs, 3, 2, act=nn.SiLU())]
        for expansion, channels, blocks, stride, side in STAGES:
            for block in range(blocks):
                outputs = rounded(channels * width)
                layers.append(Inverted(inputs, outputs, expansion, 1 if block else stride, side))
                inputs = outputs
        last = rounded(LAST * width)
        self.trunk = nn.Sequential(*layers, convolution(inputs, last, 1, act=nn.SiLU()))
        self.vote = Vote(last, 0, dropout)

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, rows, columns), a place for each 32x32 pixels."""
        answer: tuple[Tensor, Tensor] = self.vote(self.trunk(crops))
        return answer
