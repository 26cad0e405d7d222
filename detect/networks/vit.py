"""ViT-S/16 (Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; S after Touvron et al., DeiT, 2021).

The mean of the patches stands for the class token (Zhai et al., "Scaling Vision Transformers", CVPR 2022), so that
the vote has a map like those of the other networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.detect.networks.blocks import Normalise, Vote, Witness

PATCH = 16
"""Side of a patch, in pixels."""
WIDEN = 4
"""How much wider the two layers of each block are inside."""


class Attention(nn.Module):
    """Each patch takes from every other in proportion to likeness, in several subspaces (Vaswani et al., 2017)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, patches, width) of the same."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        taken = functional.scaled_dot_product_attention(query, key, value)
        y: Tensor = self.join(taken.transpose(1, 2).flatten(2))
        return y


class Block(nn.Module):
    """Attention, then two layers for each patch by itself, each normalised before and added to what was."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.between = nn.LayerNorm(width, eps=1e-6)
        self.alone = nn.Sequential(
            nn.Linear(width, WIDEN * width), nn.GELU(), nn.Linear(WIDEN * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, patches, width) of the same."""
        x = x + self.attention(self.before(x))
        y: Tensor = x + self.alone(self.between(x))
        return y


class VitS(Witness):
    """``depth`` blocks of ``width`` channels and ``heads`` subspaces on patches of 16x16, then a vote over patches.

    ``side`` is the side its positions are learned for; crops of another side get them by interpolation. An
    exported model takes one side only.
    """

    least = PATCH
    any_side = False

    def __init__(
        self, width: int = 384, depth: int = 12, heads: int = 6, side: int = 160, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        cells = side // PATCH
        self.normalise = Normalise((0.5,) * 3, (0.5,) * 3)
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.positions = nn.Parameter(torch.zeros(1, width, cells, cells))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.after = nn.LayerNorm(width, eps=1e-6)
        self.vote = Vote(width, 0, dropout)

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) and the map (n, rows, columns), a place for each patch."""
        seen = self.patches(self.normalise(crops))
        rows, columns = int(seen.shape[2]), int(seen.shape[3])
        positions: Tensor = self.positions
        if positions.shape[2:] != (rows, columns):
            positions = functional.interpolate(
                positions, (rows, columns), mode="bicubic", align_corners=False
            )
        tokens = (seen + positions).flatten(2).transpose(1, 2)
        after: Tensor = self.after(self.blocks(tokens))
        grid = after.transpose(1, 2).unflatten(2, (rows, columns))  # type: ignore[no-untyped-call]
        answer: tuple[Tensor, Tensor] = self.vote(grid)
        return answer
