"""A small network on what fixed high-pass filters leave of the picture: the main vote.

The filters are those of steganalysis (Fridrich and Kodovsky, "Rich Models for Steganalysis", 2012), among them the
differences of neighbours in which Tan et al. ("Rethinking the Up-Sampling Operations", CVPR 2024) see upsampling:
the first layer that learns goes in steps of two, so its weights tell the places of a 2x2 grid apart. They look at
green and at red and blue against green, since cameras interpolate these from one another.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.detect.networks.blocks import Basic, Vote, Witness

FILTERS: dict[str, list[list[float]]] = {
    "right": [[-1, 1]],
    "down": [[-1], [1]],
    "diagonal": [[-1, 0], [0, 1]],
    "second, across": [[1, -2, 1]],
    "second, down": [[1], [-2], [1]],
    "third, across": [[-1, 3, -3, 1]],
    "third, down": [[-1], [3], [-3], [1]],
    "square of 3": [[-1, 2, -1], [2, -4, 2], [-1, 2, -1]],
    "square of 5": [
        [-1, 2, -2, 2, -1],
        [2, -6, 8, -6, 2],
        [-2, 8, -12, 8, -2],
        [2, -6, 8, -6, 2],
        [-1, 2, -2, 2, -1],
    ],
}
"""The filters. Each sums to zero, so light that is the same everywhere leaves nothing."""
PLANES = ((0.0, 1.0, 0.0), (1.0, -1.0, 0.0), (0.0, -1.0, 1.0))
"""What is filtered, as weights of red, green and blue: green, red minus green, blue minus green."""
STEP = 4.0
"""Grey levels to the unit of a residual."""
QUIET = 0.25
"""Units added to the mean residual that ``relative`` divides by, so that rounding does not count as grain."""
LARGEST = 3.0
"""Residuals are cut off here, in units: edges of the picture say nothing of how it was made."""
TOP = 16
"""Places that the highest votes are taken from."""
_SIDE = 5


def kernels() -> Tensor:
    """Return the filters for each plane and colour, float32 (27, 3, 5, 5), each of unit norm on its plane."""
    made = []
    for plane in PLANES:
        for rows in FILTERS.values():
            kernel = torch.zeros(_SIDE, _SIDE)
            small = torch.tensor(rows, dtype=torch.float32)
            top, left = (_SIDE - small.shape[0]) // 2, (_SIDE - small.shape[1]) // 2
            kernel[top : top + small.shape[0], left : left + small.shape[1]] = small / small.norm()
            made.append(torch.tensor(plane)[:, None, None] * kernel)
    return torch.stack(made)


class Residual(Witness):
    """Fixed filters, cut off; then convolutions at a half, a half, a quarter and an eighth of the side; then a vote.

    ``width`` channels in the first stage, double and fourfold in the next two, ``depth`` blocks in each.
    With ``relative`` each residual is divided by its own mean over the crop, so that grain tells by its shape and
    not by its strength.
    """

    least = 48
    filters: Tensor

    def __init__(
        self, width: int = 24, depth: int = 1, *, relative: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        filters = kernels()
        self.register_buffer("filters", filters * (255 / STEP), persistent=False)
        self.relative = relative
        self.enter = nn.Sequential(
            # Four wide in steps of two: every place of the 2x2 grid has the same number of weights.
            nn.Conv2d(len(filters), width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        stages: list[nn.Module] = []
        inputs = width
        for stage in range(3):
            outputs = width << stage
            for block in range(depth):
                stages.append(Basic(inputs, outputs, 2 if stage and not block else 1))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.vote = Vote(inputs, TOP, dropout)

    def residuals(self, crops: Tensor) -> Tensor:
        """Return what the filters leave, (n, 27, side - 4, side - 4), within +-LARGEST.

        No border is made up: padding would look like an edge of light.
        """
        left = functional.conv2d(crops, self.filters)
        if self.relative:
            left = left / (left.abs().mean((2, 3), keepdim=True) + QUIET)
        return left.clamp(-LARGEST, LARGEST)

    def features(self, crops: Tensor) -> Tensor:
        """Return what the last stage sees, (n, 4 * width, rows, columns), a place for each 8x8 pixels."""
        seen: Tensor = self.stages(self.enter(self.residuals(crops)))
        return seen

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, rows, columns) of crops of at least ``least`` pixels a side."""
        answer: tuple[Tensor, Tensor] = self.vote(self.features(crops))
        return answer
