"""Detectors of others, on the same files: a function from picture to score as a witness, and Tiny-LaDeDa.

Weights are the user's own: they are not shipped, and their licences are not ours to grant.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.detect.measure.run import Opener, Witness
from assay.provenance.errors import InputError, MalformedError, UsageError
from assay.provenance.files.sniff import open_regular
from assay.provenance.media import Picture
from assay.provenance.opinion import Answered, Opinion
from assay.provenance.text import safe_text

MOST_BYTES = 16 << 20
"""Largest file of a peer's weights."""
LADEDA_SIDE = 256
"""Pixels a side to which Tiny-LaDeDa's authors bring each picture."""
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which they standardise by


@dataclass(frozen=True, slots=True)
class Peer:
    """Any function from picture to score, of any size, higher = more synthetic, as a witness that weighs nothing."""

    name: str
    score: Callable[[Picture], float]

    def __call__(self, picture: Picture) -> Opinion:
        """Return its score as an opinion without calibration."""
        return Opinion(self.name, "", Answered.OK, logit=float(self.score(picture)))


class _Block(nn.Module):
    """Two convolutions, the second one halving; named as in the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)))


class TinyLaDeDa(nn.Module):
    """A small network over patches whose mean logit speaks for the picture (Cavia et al. 2024, 2406.09398).

    A diagonal gradient of each colour, four convolutions of 8 channels, the mean over the picture, one line.
    Takes (n, 3, side, side) standardised as ImageNet is, returns logits (n,).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 1, bias=False)
        self.conv2 = nn.Conv2d(8, 8, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(_Block())
        self.fc = nn.Linear(8, 1)
        diagonal = torch.tensor([[-2.0, -1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, 2.0]])
        self.gradient: Tensor
        self.register_buffer("gradient", diagonal.repeat(3, 1, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return logits (n,), higher = more synthetic."""
        x = functional.conv2d(pictures, self.gradient, padding=1, groups=3)
        x = self.layer1(functional.relu(self.bn1(self.conv2(self.conv1(x)))))
        logits: Tensor = self.fc(x.mean((2, 3)))[:, 0]
        return logits


def tiny_ladeda(path: Path) -> Witness:
    """Open Tiny-LaDeDa with the weights that its authors publish, a torch state dict of about 12 KB.

    The file is read by torch's restricted reader, which builds tensors and nothing else. Raises InputError,
    MalformedError where it is something else or of another architecture.
    """
    network = TinyLaDeDa()
    try:
        with open_regular(path) as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise MalformedError(f"has more than {MOST_BYTES} bytes, which is no Tiny-LaDeDa", path=path)
        network.load_state_dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except InputError:
        raise
    except Exception as error:  # torch raises its own, the zip reader's, and the restricted reader's classes
        raise MalformedError(
            f"is not Tiny-LaDeDa's state dict: {safe_text(error, 160)}",
            hint="its authors publish ForenSynth_Tiny_LaDeDa.pth and WildRF_Tiny_LaDeDa.pth",
            path=path,
        ) from error
    return Peer("tiny-ladeda", partial(_ladeda_score, network.eval()))


def _ladeda_score(network: TinyLaDeDa, picture: Picture) -> float:
    levels = torch.from_numpy(picture.pixels.copy()).permute(2, 0, 1)[None].float() / 255
    # As its authors do, resizing included, although it costs a residual: a peer is measured as it is published.
    small = functional.interpolate(
        levels, (LADEDA_SIDE, LADEDA_SIDE), mode="bilinear", antialias=True, align_corners=False
    )
    standard = (small - torch.tensor(_MEAN).view(3, 1, 1)) / torch.tensor(_SPREAD).view(3, 1, 1)
    with torch.inference_mode():
        return float(network(standard)[0])


PEERS: dict[str, Callable[[Path], Witness]] = {"tiny-ladeda": tiny_ladeda}
"""Peers by name, and what opens each with the weights at a path."""


def peer(name: str, weights: Path) -> Opener:
    """Return what opens a peer; raises UsageError for one that is not known."""
    if name not in PEERS:
        raise UsageError(f"no peer is called {name[:60]!r}", hint=f"known are {', '.join(PEERS)}")
    return partial(PEERS[name], weights)
