"""What several networks share: normalisation, the two convolution blocks, and the vote over places."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's red, green and blue, which the named architectures expect."""


class Witness(nn.Module):
    """A network that hears crops: its logit, and how much each place said for it.

    A subclass gives ``evidence``; calling it with crops, float32 (n, 3, side, side), RGB 0..1, gives the logit,
    float32 (n,), higher for synthetic.
    """

    least: int = 32
    """Smallest side that the network takes, in pixels."""
    any_side: bool = True
    """Whether one exported model takes crops of every side."""
    moving: bool = False
    """Whether it takes frames, (n, frames, 3, side, side), instead of crops."""

    def begin(self) -> None:
        """Give every layer its first weights."""
        self.apply(start)

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, rows, columns) of logits by place, float32."""
        raise NotImplementedError

    def forward(self, crops: Tensor) -> Tensor:
        """Return the logit (n,) alone."""
        return self.evidence(crops)[0]


class Ensemble(Witness):
    """Several networks of one architecture, each taught without some sources; their logits are averaged."""

    def __init__(self, members: Sequence[Witness]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.least, self.any_side, self.moving = members[0].least, members[0].any_side, members[0].moving

    def begin(self) -> None:
        """Give every member weights of its own."""
        for member in self.members:
            member.begin()  # type: ignore[operator]  # a ModuleList knows its modules by no closer type

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean logit (n,) and the mean map (n, rows, columns)."""
        said = [member.evidence(crops) for member in self.members]  # type: ignore[operator]
        return (
            torch.stack([logit for logit, _ in said]).mean(0),
            torch.stack([places for _, places in said]).mean(0),
        )


class Normalise(nn.Module):
    """Subtracts a mean and divides by a spread, by channel, so that an exported model takes RGB 0..1."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: tuple[float, ...] = MEAN, spread: tuple[float, ...] = SPREAD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(spread)[:, None, None], persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """Return crops (n, channels, rows, columns) with about zero mean and unit spread."""
        return (crops - self.mean) / self.spread


class Vote(nn.Module):
    """Turns features of places into a logit that is made of the places' own logits, so the map explains it whole.

    A linear layer gives each place a logit; the answer is their mean, or, where ``top`` is set, a learned mixture
    of that mean and the mean of the ``top`` highest: a small synthetic part is heard, and one odd place is not
    enough. With ``top`` 0 this is global average pooling and a linear layer (Zhou et al., "Learning Deep Features
    for Discriminative Localization", CVPR 2016).
    """

    def __init__(self, channels: int, top: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.linear = nn.Conv2d(channels, 1, 1)
        self.top = top
        self.share = nn.Parameter(torch.zeros(())) if top else None

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return logit (n,) and map (n, rows, columns) of features (n, channels, rows, columns).

        At least ``top`` places are needed.
        """
        places: Tensor = self.linear(self.dropout(features)).squeeze(1)
        mean = places.flatten(1).mean(1)
        if self.share is None:
            return mean, places
        share = torch.sigmoid(self.share)
        highest = places.flatten(1).topk(self.top, 1).values.mean(1)
        return (1 - share) * mean + share * highest, places


def convolution(
    inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1, *, act: nn.Module | None = None
) -> nn.Sequential:
    """Return convolution without bias and batch normalisation, which export folds into one, and ``act`` if given."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, side, stride, (side - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([act] if act is not None else []))


def start(module: nn.Module) -> None:
    """Give one module its first weights; for ``Module.apply``, which comes to a vote after its layers.

    Convolutions as in He et al. ("Delving Deep into Rectifiers", ICCV 2015), so that an untrained network of any
    depth passes on what it sees; a vote begins near zero, for nothing is known yet.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, Vote):
        nn.init.normal_(module.linear.weight, std=0.01)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class Basic(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., "Deep Residual Learning", CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, outputs, 3, stride, act=nn.ReLU()), convolution(outputs, outputs, 3)
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, rows, columns), the sides divided by the stride."""
        return torch.relu(self.body(x) + self.shortcut(x))


class Separable(nn.Module):
    """A 3x3 convolution by channel, a 1x1 convolution across channels, and a shortcut where shapes allow it."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, inputs, 3, stride, inputs, act=nn.ReLU()), convolution(inputs, outputs, 1)
        )
        self.same = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, rows, columns), the sides divided by the stride."""
        y: Tensor = self.body(x)
        return torch.relu(x + y) if self.same else torch.relu(y)
