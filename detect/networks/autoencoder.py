"""The tiny autoencoders of latent diffusion: what a generator's last stage makes of any picture.

TAESD, TAESDXL, TAESD3 and TAEF1 (madebyollin/taesd, MIT) are distilled from the autoencoders of Stable Diffusion 1,
XL and 3 and of FLUX.1. Encoder and decoder are a safetensors file each, named by the layers' numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.detect import tensors
from assay.detect.store import read_file
from assay.provenance.errors import MalformedError, UsageError
from assay.provenance.media import Samples
from assay.provenance.text import safe_text

KINDS = {"taesd": 4, "taesdxl": 4, "taesd3": 16, "taef1": 16}
"""Channels of the latents, by kind."""
STEP = 8
"""Pixels of the picture along one step of the latents: sides are multiples of it."""
WIDTH = 64
"""Channels of every layer between."""
TILE = 512
"""Longest side in pixels that is reconstructed at once."""
MARGIN = 64
"""Pixels around a tile that are reconstructed with it and thrown away: a multiple of ``STEP``."""
AT_ONCE = 2
"""Crops of one pass: with more the layers between no longer fit a core's cache."""
MOST_BYTES = 16 << 20
"""Largest file of an encoder or decoder; in float32 each has 5 MB."""
_HEADER = 8

Batch = NDArray[np.uint8]


class Block(nn.Module):
    """Three 3x3 convolutions and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(WIDTH, WIDTH), nn.ReLU(), _conv(WIDTH, WIDTH), nn.ReLU(), _conv(WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, WIDTH, rows, columns), the same sides."""
        return torch.relu(self.conv(x) + x)


class Bounded(nn.Module):
    """Bends latents so that none is beyond 3 either way."""

    def forward(self, x: Tensor) -> Tensor:
        """Return latents (n, channels, rows, columns)."""
        return torch.tanh(x / 3) * 3


class Autoencoder(nn.Module):
    """Encoder and decoder, with latents of ``channels`` an eighth of the picture's sides.

    ``fast`` computes in bfloat16 but for the last layer, whose steps would be those of the eight-bit picture:
    about twice as quick on processors that know the type, and up to a grey level off in the mean.
    """

    def __init__(self, channels: int, *, fast: bool = False) -> None:
        super().__init__()
        down: list[nn.Module] = [_conv(3, WIDTH), Block()]
        up: list[nn.Module] = [Bounded(), _conv(channels, WIDTH), nn.ReLU()]
        for _ in range(3):
            down += [_conv(WIDTH, WIDTH, 2), Block(), Block(), Block()]
            up += [Block(), Block(), Block(), nn.Upsample(scale_factor=2), _conv(WIDTH, WIDTH, bias=False)]
        self.encoder = nn.Sequential(*down, _conv(WIDTH, channels))
        self.decoder = nn.Sequential(*up, Block(), _conv(WIDTH, 3))
        self.fast = fast

    def forward(self, pictures: Tensor) -> Tensor:
        """Return pictures (n, 3, rows, columns), float32 RGB 0..1 and a little beyond, of such pictures."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.fast):
            before: Tensor = self.decoder[:-1](self.encoder(pictures))
        made: Tensor = self.decoder[-1](before.float())
        return made

    def reconstructed(self, crops: Batch) -> Batch:
        """Return what is left of each crop, uint8 (n, rows, columns, 3); sides are multiples of ``STEP``.

        Raises UsageError for other sides.
        """
        if crops.shape[1] % STEP or crops.shape[2] % STEP:
            raise UsageError(
                f"sides of {crops.shape[1]} x {crops.shape[2]} pixels cannot be reconstructed",
                hint=f"cut them to multiples of {STEP}",
            )
        made = np.empty_like(crops)
        with torch.inference_mode():
            for start in range(0, len(crops), AT_ONCE):
                some = torch.from_numpy(np.array(crops[start : start + AT_ONCE])).permute(0, 3, 1, 2) / 255
                whole = self(some.contiguous(memory_format=torch.channels_last)).clamp(0, 1)
                made[start : start + AT_ONCE] = (
                    (whole * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
                )
        return made

    def reconstruct(self, picture: Samples) -> Samples:
        """Return what is left of one picture, uint8 (height, width, 3), sides multiples of ``STEP``.

        One with a side above ``TILE`` is reconstructed in tiles, which differ from the whole by what lies further than
        ``MARGIN`` away: a grey level here and there. Raises UsageError for other sides.
        """
        height, width = picture.shape[:2]
        if max(height, width) <= TILE or height % STEP or width % STEP:
            whole: Samples = self.reconstructed(picture[None])[0]
            return whole
        made = np.empty_like(picture)
        kept = TILE - 2 * MARGIN
        for top in range(0, height, kept):
            for left in range(0, width, kept):
                above, before = max(0, top - MARGIN), max(0, left - MARGIN)
                tile = picture[above : top + kept + MARGIN, before : left + kept + MARGIN]
                done = self.reconstructed(tile[None])[0]
                made[top : top + kept, left : left + kept] = done[
                    top - above : top - above + kept, left - before : left - before + kept
                ]
        return made


def read_autoencoder(folder: Path, kind: str, *, fast: bool = False) -> Autoencoder:
    """Return an autoencoder with its weights, from ``{kind}_encoder.safetensors`` and ``{kind}_decoder.safetensors``.

    Raises UsageError for a kind that is not in ``KINDS``, InputError where a file cannot be read, MalformedError where
    it holds anything but this graph's tensors, or a number that is not finite, LimitError where it is too large.
    """
    if kind not in KINDS:
        raise UsageError(f"no autoencoder {kind!r} is known", hint=f"known: {', '.join(KINDS)}")
    model = Autoencoder(KINDS[kind], fast=fast)
    for half, name in ((model.encoder, "encoder"), (model.decoder, "decoder")):
        file = folder / f"{kind}_{name}.safetensors"
        state = {key: torch.from_numpy(array) for key, array in _read(file).items()}
        sick = [key for key, tensor in state.items() if not torch.isfinite(tensor).all()]
        try:
            half.load_state_dict(state)
        except RuntimeError as error:
            raise MalformedError(
                f"holds the weights of another network: {safe_text(error, 200)}",
                hint=f"give the {name} of {kind} from madebyollin/taesd",
                path=file,
            ) from error
        if sick:
            raise MalformedError(f"weights that are no numbers, as in {safe_text(sick[0], 80)}", path=file)
    return model.eval()


def _read(file: Path) -> dict[str, NDArray[np.float32]]:
    """Return float32 arrays; those of bfloat16, in which these files come, are read as integers and widened."""
    data = read_file(file, MOST_BYTES)
    length = _HEADER + int.from_bytes(data[:_HEADER], "little")
    header = data[_HEADER:length]
    held = tensors.load(data[:_HEADER] + header.replace(b'"BF16"', b'"U16" ') + data[length:])
    kinds = {array.dtype.name for array in held.values()} - {"float16", "float32"}
    if kinds - {"uint16"} or b'"U16"' in header:
        raise MalformedError("holds weights that are no floating-point numbers", path=file)
    return {name: _widened(array) for name, array in held.items()}


def _widened(array: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32: a bfloat16 is the upper half of one."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)


def _conv(inputs: int, outputs: int, stride: int = 1, *, bias: bool | None = None) -> nn.Conv2d:
    """Return a 3x3 convolution; those that change the sides have no bias."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=stride == 1 if bias is None else bias)
