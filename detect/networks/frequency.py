"""A network on block spectra, which sees periodic traces that residuals of a few pixels do not.

Local frequency statistics after Qian et al. ("Thinking in Frequency", ECCV 2020): cosine transforms of overlapping
8x8 blocks, as logarithms of magnitudes. Beside them the mean spectrum of 32x32 blocks, in which upsampling leaves
peaks (Frank et al., "Leveraging Frequency Analysis for Deep Fake Image Recognition", ICML 2020).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.detect.networks.blocks import Separable, Vote, Witness, convolution

PLANES = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))
"""Luma and the two differences of colour, as JPEG has them, as weights of red, green and blue."""
BLOCK, STRIDE = 8, 4
"""Side of the small blocks, and how far apart they lie: half a block, so that no grid of a codec is preferred."""
LARGE, FAR = 32, 16
"""Side of the large blocks, and how far apart they lie."""
FLOOR = 0.25 / 255
"""Magnitude below which a coefficient counts as nothing: a quarter of a grey level."""
_NONE = 1e-6


def cosines(side: int) -> Tensor:
    """Return the rows of the orthonormal cosine transform (DCT-II), float32 (side, side): frequency, place."""
    places = torch.arange(side, dtype=torch.float64)
    rows = torch.cos(math.pi / side * (places + 0.5)[None] * places[:, None]) * math.sqrt(2 / side)
    rows[0] /= math.sqrt(2)
    return rows.float()


class Frequency(Witness):
    """Votes by place on small blocks' spectra, and one vote for all places on the large blocks' mean spectrum.

    ``width`` channels at a quarter of the side, one and a half times and twice as many at an eighth; ``depth``
    blocks in each.
    """

    least = LARGE
    small: Tensor
    down: Tensor
    across: Tensor
    planes: Tensor
    audible: Tensor

    def __init__(self, width: int = 64, depth: int = 2, *, dropout: float = 0.0) -> None:
        super().__init__()
        small, large, planes = cosines(BLOCK), cosines(LARGE), torch.tensor(PLANES)
        both = torch.einsum("ay,bx->abyx", small, small).reshape(-1, BLOCK, BLOCK)[1:]  # without the mean
        kernels = torch.einsum("pc,kyx->pkcyx", planes, both).reshape(-1, 3, BLOCK, BLOCK)
        self.register_buffer("small", kernels, persistent=False)
        self.register_buffer("planes", planes[:1, :, None, None], persistent=False)
        self.register_buffer("down", large[:, None, :, None], persistent=False)
        across = large[:, None, None, :].repeat(LARGE, 1, 1, 1)
        self.register_buffer("across", across, persistent=False)
        audible = torch.ones(LARGE, LARGE)
        audible[0, 0] = 0  # the mean of the block is light, and says nothing
        self.register_buffer("audible", audible, persistent=False)
        self.enter = convolution(len(kernels), width, 1, act=nn.ReLU())
        stages: list[nn.Module] = [Separable(width, width) for _ in range(depth)]
        stages += [Separable(width, 3 * width // 2, 2)]
        stages += [Separable(3 * width // 2, 3 * width // 2) for _ in range(depth - 1)]
        self.stages = nn.Sequential(*stages, convolution(3 * width // 2, 2 * width, 1, act=nn.ReLU()))
        self.vote = Vote(2 * width, 0, dropout)
        self.spectrum = nn.Sequential(
            convolution(2, 16, 3, act=nn.ReLU()),
            convolution(16, 32, 3, 2, act=nn.ReLU()),
            convolution(32, 32, 3, 2, act=nn.ReLU()),
            nn.Flatten(),
            nn.Linear(32 * (LARGE // 4) ** 2, 1),
        )

    def places(self, crops: Tensor) -> Tensor:
        """Return log-magnitudes of small blocks, (n, 189, rows, columns); 63 frequencies of each plane."""
        found = functional.conv2d(crops, self.small, stride=STRIDE)
        return torch.log(found.abs() + FLOOR) - math.log(FLOOR)

    def mean_spectrum(self, crops: Tensor) -> Tensor:
        """Return mean and spread of luma's log-magnitudes over the large blocks, (n, 2, 32, 32)."""
        luma = functional.conv2d(crops, self.planes)
        found = functional.conv2d(luma, self.down, stride=(FAR, 1))
        found = functional.conv2d(found, self.across, stride=(1, FAR), groups=LARGE)
        level = (torch.log(found.abs() + FLOOR) - math.log(FLOOR)).flatten(2)
        mean = level.mean(2)
        # A single block has no spread, and a root no slope at zero.
        spread = (((level - mean[:, :, None]) ** 2).mean(2) + _NONE).sqrt()
        seen = torch.stack((mean, spread), 1).reshape(-1, 2, LARGE, LARGE)
        return seen * self.audible

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, rows, columns) of crops of at least 32 pixels a side."""
        logit, places = self.vote(self.stages(self.enter(self.places(crops))))
        whole: Tensor = self.spectrum(self.mean_spectrum(crops)).squeeze(1)
        return logit + whole, places + whole[:, None, None]
