"""Graph attention over spectrum and time of a raw waveform: AASIST, in the shape of its published weights.

Jung et al., "AASIST: Audio Anti-Spoofing using Integrated Spectro-Temporal Graph Attention Networks", ICASSP 2022.
Written after the paper and the authors' settings (github.com/clovaai/aasist, MIT); tensors are named as theirs are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.detect.networks.blocks import Witness

RATE = 16_000
"""Samples a second of what it hears."""
LENGTH = 64_600
"""Samples that it hears at once, 4.04 s: what its authors train and measure with."""
FILTERS, TAPS, ROWS = 70, 129, 23
"""Band-pass filters, their length, and rows of the map that they are pooled to."""


def band_passes() -> Tensor:
    """Return band-pass filters that divide 0 to 8 kHz evenly in mel, under Hamming's window, (FILTERS, 1, TAPS)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, FILTERS + 1) / 2595) - 1)
    time = np.arange(TAPS) - (TAPS - 1) / 2
    low = 2 * edges[:, None] / RATE * np.sinc(2 * edges[:, None] * time / RATE)
    return torch.from_numpy(((low[1:] - low[:-1]) * np.hamming(TAPS))[:, None]).float()


class _Residual(nn.Module):
    """Two convolutions of 2x3 and a shortcut; time is pooled by 3."""

    def __init__(self, inputs: int, outputs: int, first: bool) -> None:
        super().__init__()
        if not first:
            # It is in the published weights, and what it gives is used nowhere.
            self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, (2, 3), padding=(0, 1))
        self.conv_downsample = (
            nn.Conv2d(inputs, outputs, (1, 3), padding=(0, 1)) if inputs != outputs else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv2(functional.selu(self.bn2(self.conv1(x))))
        return functional.max_pool2d(inner + self.conv_downsample(x), (1, 3))


def _weight(size: int) -> nn.Parameter:
    weight = nn.Parameter(torch.empty(size, 1))
    nn.init.xavier_normal_(weight)
    return weight


def _pairs(nodes: Tensor) -> Tensor:
    return nodes[:, :, None] * nodes[:, None]


class _Attention(nn.Module):
    """Attention among the nodes (n, nodes, inputs) of one graph."""

    def __init__(self, inputs: int, outputs: int, temperature: float) -> None:
        super().__init__()
        self.att_proj, self.att_weight = nn.Linear(inputs, outputs), _weight(outputs)
        self.proj_with_att, self.proj_without_att = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)
        self.bn, self.drop, self.temperature = nn.BatchNorm1d(outputs), nn.Dropout(0.2), temperature

    def forward(self, nodes: Tensor) -> Tensor:
        nodes = self.drop(nodes)
        scores = torch.tanh(self.att_proj(_pairs(nodes))) @ self.att_weight / self.temperature
        heard = torch.softmax(scores, 2)[..., 0] @ nodes
        mixed = self.proj_with_att(heard) + self.proj_without_att(nodes)
        return functional.selu(self.bn(mixed.transpose(1, 2)).transpose(1, 2))


class _Between(nn.Module):
    """Attention within and between two graphs, and a master node that hears both."""

    def __init__(self, inputs: int, outputs: int, temperature: float) -> None:
        super().__init__()
        self.proj_type1, self.proj_type2 = nn.Linear(inputs, inputs), nn.Linear(inputs, inputs)
        self.att_proj, self.att_projM = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)
        self.att_weight11, self.att_weight22 = _weight(outputs), _weight(outputs)
        self.att_weight12, self.att_weightM = _weight(outputs), _weight(outputs)
        self.proj_with_att, self.proj_without_att = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)
        self.proj_with_attM, self.proj_without_attM = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)
        self.bn, self.drop, self.temperature = nn.BatchNorm1d(outputs), nn.Dropout(0.2), temperature

    def forward(self, one: Tensor, two: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        count = one.shape[1]
        nodes = self.drop(torch.cat([self.proj_type1(one), self.proj_type2(two)], 1))
        pairs = torch.tanh(self.att_proj(_pairs(nodes)))
        across = pairs @ self.att_weight12
        first = torch.cat([pairs[:, :count, :count] @ self.att_weight11, across[:, :count, count:]], 2)
        second = torch.cat([across[:, count:, :count], pairs[:, count:, count:] @ self.att_weight22], 2)
        scores = torch.cat([first, second], 1) / self.temperature
        heard = torch.softmax(scores, 2)[..., 0] @ nodes
        told = torch.tanh(self.att_projM(nodes * master)) @ self.att_weightM / self.temperature
        above = torch.softmax(told, 1).transpose(1, 2) @ nodes
        master = self.proj_with_attM(above) + self.proj_without_attM(master)
        mixed = self.proj_with_att(heard) + self.proj_without_att(nodes)
        mixed = functional.selu(self.bn(mixed.transpose(1, 2)).transpose(1, 2))
        return mixed[:, :count], mixed[:, count:], master


class _Pool(nn.Module):
    """Keeps a share of the nodes: those with the highest scores, weighed by them."""

    def __init__(self, inputs: int, share: float) -> None:
        super().__init__()
        self.proj, self.drop, self.share = nn.Linear(inputs, 1), nn.Dropout(0.3), share

    def forward(self, nodes: Tensor) -> Tensor:
        scores = torch.sigmoid(self.proj(self.drop(nodes)))
        kept = max(int(nodes.shape[1] * self.share), 1)
        best = scores.topk(kept, 1).indices.expand(-1, -1, nodes.shape[2])
        return torch.gather(nodes * scores, 1, best)


class Graphs(Witness):
    """Raw sound, float32 (n, samples) at RATE, any length from 7,000 samples; a logit, higher for synthetic.

    ``width`` channels of the encoder's later half, which are also a node's; ``pooled`` and ``spread`` the shares of
    spectral and temporal nodes that are kept. AASIST is 64, .5, .7, .5; AASIST-L 24, .4, .5, .7.
    """

    def __init__(
        self,
        width: int = 64,
        spectral: float = 0.5,
        temporal: float = 0.7,
        later: float = 0.5,
        nodes: int = 32,
    ) -> None:
        super().__init__()
        self.register_buffer("filters", band_passes(), persistent=False)
        self.filters: Tensor
        self.first_bn = nn.BatchNorm2d(1)
        sizes = [(1, 32), (32, 32), (32, width), (width, width), (width, width), (width, width)]
        self.encoder = nn.Sequential(
            *(nn.Sequential(_Residual(a, b, first=not n)) for n, (a, b) in enumerate(sizes))
        )
        self.pos_S = nn.Parameter(torch.randn(1, ROWS, width))
        self.master1 = nn.Parameter(torch.randn(1, 1, width))
        self.master2 = nn.Parameter(torch.randn(1, 1, width))
        self.GAT_layer_S, self.GAT_layer_T = _Attention(width, width, 2.0), _Attention(width, width, 2.0)
        for way in "12":
            setattr(self, f"HtrgGAT_layer_ST{way}1", _Between(width, nodes, 100.0))
            setattr(self, f"HtrgGAT_layer_ST{way}2", _Between(nodes, nodes, 100.0))
            setattr(self, f"pool_hS{way}", _Pool(nodes, later))
            setattr(self, f"pool_hT{way}", _Pool(nodes, later))
        self.pool_S, self.pool_T = _Pool(width, spectral), _Pool(width, temporal)
        self.out_layer = nn.Linear(5 * nodes, 2)

    def begin(self) -> None:
        """Keep the weights that torch's layers begin with."""

    def evidence(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit (n,) of sound (n, samples), and as its map the logit itself, (n, 1, 1)."""
        bands = functional.conv1d(crops[:, None], self.filters)[:, None]
        start = functional.selu(self.first_bn(functional.max_pool2d(bands.abs(), 3)))
        seen = self.encoder(start)
        spectral = seen.abs().amax(3).transpose(1, 2) + self.pos_S
        temporal = seen.abs().amax(2).transpose(1, 2)
        spectral = self.pool_S(self.GAT_layer_S(spectral))
        temporal = self.pool_T(self.GAT_layer_T(temporal))
        ways = [self._way(way, temporal, spectral) for way in "12"]
        time, tone, master = (torch.maximum(a, b) for a, b in zip(*ways, strict=True))
        last = [time.abs().amax(1), time.mean(1), tone.abs().amax(1), tone.mean(1), master[:, 0]]
        said = self.out_layer(functional.dropout(torch.cat(last, 1), 0.5, self.training))
        logit: Tensor = said[:, 0] - said[:, 1]
        return logit, logit[:, None, None]

    def _way(self, way: str, temporal: Tensor, spectral: Tensor) -> Sequence[Tensor]:
        master = getattr(self, f"master{way}").expand(len(temporal), -1, -1)
        time, tone, master = getattr(self, f"HtrgGAT_layer_ST{way}1")(temporal, spectral, master)
        tone, time = getattr(self, f"pool_hS{way}")(tone), getattr(self, f"pool_hT{way}")(time)
        more = getattr(self, f"HtrgGAT_layer_ST{way}2")(time, tone, master)
        return [
            functional.dropout(a + b, 0.2, self.training)
            for a, b in zip((time, tone, master), more, strict=True)
        ]
