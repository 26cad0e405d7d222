"""A small network that hears, tile by tile, whether it was made louder or softer.

It sees the levels of a tile and of two bands and two slots on each side, at half their width, and how far the tile
lies above the noise. It gives the logarithm of the odds. It knows no key: it was trained on random signs, by
bench/train_listener.py.
"""

from __future__ import annotations

import hashlib
import io
from functools import cache
from importlib import resources

import numpy as np

from assay.provenance.errors import ConfigurationError
from assay.watermark.sound.lattice import BAND, BANDS, LOWEST, SLOT, Reals
from assay.watermark.sound.rule import HUSH
from assay.watermark.sound.spectrum import bands, moving_power

WEIGHTS = "listener.npy"
"""File of the weights: float16, one vector; layers in order, weights (outputs, inputs) before biases."""
SHA256 = "c4754fe0749f1fb09fd9591e56cb2358ff5c68752b146dd57c92bba3b6f883e8"
"""Its digest, checked at every load."""
SIDES = 10
"""Halves of slots, and of bands, that are seen: the tile's own two and four on each side."""
SEEN = SIDES * SIDES + 2
"""Inputs: levels less their mean, that mean above the whole sound's and above the noise, in nepers, clipped."""
WIDTHS = (96, 40, 1)
"""Outputs of the layers; all but the last are cut off below zero."""
MARGIN = (SIDES - 2) // 2
"""Half bands seen on each side of a tile."""


@cache
def _layers() -> tuple[Reals, ...]:
    """Return weights and biases in turn; raise ConfigurationError where the file is not the one published."""
    data = resources.files("assay.watermark.sound").joinpath(WEIGHTS).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ConfigurationError(
            f"the network for sound marks, {WEIGHTS}, is not the one published", hint="install assay again"
        )
    values = np.load(io.BytesIO(data), allow_pickle=False).astype(np.float32)
    shapes = [s for n, m in zip((SEEN, *WIDTHS), WIDTHS, strict=False) for s in ((m, n), (m,))]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return tuple(part.reshape(shape) for part, shape in zip(np.split(values, ends[:-1]), shapes, strict=True))


class Levels:
    """The levels of a passage at half the width of tiles, for one factor by which pitches were moved."""

    def __init__(self, power: Reals, pitch: float) -> None:
        halves = power @ bands(LOWEST - MARGIN * BAND / 2, BAND / 2, 2 * (BANDS + MARGIN), pitch)
        # Nothing is beyond the Nyquist frequency: the last half band that is there stands for those.
        for column in range(halves.shape[1] - MARGIN, halves.shape[1]):
            empty = halves[:, column] <= 0
            halves[empty, column] = halves[empty, column - 1]
        halves = moving_power(halves, SLOT // 2)
        mean = float(halves.mean())
        own = halves[::4, MARGIN:-MARGIN]
        noise = float(np.quantile(own[:, ::2] + own[:, 1::2], HUSH, axis=0).min())
        self.levels: Reals = 0.5 * np.log(halves + np.float32(1e-7 * mean + 1e-13))
        self.whole = 0.5 * np.log(2 * mean + 1e-13)
        self.noise = 0.5 * np.log(noise + 1e-7 * mean + 1e-13)

    def patches(self, places: Reals) -> Reals:
        """Return what the network sees, (len(places), BANDS, SEEN), about slots centred on these frames."""
        # A slot centred on frame 8 k + 4 is frames 8 k to 8 k + 7; an even moving mean at frame n begins half before n.
        half = SLOT // 2
        frames = places[:, None] + (np.arange(-SIDES // 2, SIDES // 2) + 0.5) * half
        index = np.clip(np.rint(frames).astype(np.intp), 0, len(self.levels) - 1)
        seen = np.lib.stride_tricks.sliding_window_view(self.levels[index], SIDES, axis=2)[:, :, ::2]
        seen = seen[:, :, :BANDS].transpose(0, 2, 1, 3).reshape(len(places), BANDS, SIDES * SIDES)
        mean = seen.mean(axis=-1, keepdims=True)
        patches = np.empty((len(places), BANDS, SEEN), np.float32)
        np.clip(seen - mean, -4, 4, out=patches[..., :-2])
        np.clip(mean[..., 0] - self.whole, -6, 3, out=patches[..., -2])
        np.clip(mean[..., 0] - self.noise, -1, 6, out=patches[..., -1])
        return patches

    def odds(self, places: Reals) -> Reals:
        """Return the logarithm of the odds that tiles were made louder, (len(places), BANDS)."""
        hidden = self.patches(places).reshape(-1, SEEN)
        layers = _layers()
        for number in range(0, len(layers), 2):
            hidden = hidden @ layers[number].T + layers[number + 1]
            if number < len(layers) - 2:
                np.maximum(hidden, 0, out=hidden)
        return hidden.reshape(len(places), BANDS)
