"""A small network that hears, block by block, which bit the library wrote.

The library moves one of fifteen coefficients of a block to a place in a step of 36; which one, what its
neighbours say it was, and what JPEG, WebP or resizing made of it, decide how much the block tells. The network
gives the logarithm of the odds. It knows no message: it was trained on random bits, by
bench/train_knownmarks.py.
"""

from __future__ import annotations

import hashlib
import io
from functools import cache
from importlib import resources

import numpy as np

from assay.provenance.errors import ConfigurationError
from assay.watermark.known.chroma import Plane

WEIGHTS = "network.npy"
"""File of the weights: float16, one vector; layers in order, weights (outputs, inputs) before biases."""
SHA256 = "6f174546f8e849638b61fab6cb78a96ee33fc3a09e5635a61633cb210abf41fc"
"""Its digest, checked at every load."""
STEP = 36.0
"""The library's quantiser step."""
SPREAD, LEVEL = 12.0, 9.0
"""What differences within a block and levels are divided by before they are squashed."""
WIDTH = 48
"""Hidden units of a block."""
HEADS = 2
"""Answers of a block: marked on bytes, marked on floats."""
_PART = 16  # coefficients of a block
_SEEN = 9 * _PART + 3 * _PART  # differences in nine blocks; cosines, sines and levels in the middle one
_PIECE = 4096  # blocks computed at a time


@cache
def _layers() -> tuple[Plane, ...]:
    """Return the layers' weights and biases; raise ConfigurationError where the file is not the one published."""
    data = resources.files("assay.watermark.known").joinpath(WEIGHTS).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ConfigurationError(
            f"the network for generators' marks, {WEIGHTS}, is not the one published",
            hint="install assay again",
        )
    values = np.load(io.BytesIO(data), allow_pickle=False).astype(np.float32)
    shapes = [(WIDTH, _SEEN), (WIDTH, 1), (WIDTH, WIDTH), (WIDTH, 1), (HEADS, WIDTH), (HEADS, 1)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return tuple(part.reshape(shape) for part, shape in zip(np.split(values, ends[:-1]), shapes, strict=True))


def log_odds(low: Plane) -> Plane:
    """Return how much each block speaks for a one: float32 (HEADS, rows, columns), logarithm of the odds.

    ``low`` holds the low band of whole blocks, four coefficients a side. Raises ConfigurationError where the
    weights are not those published.
    """
    rows, columns = low.shape[0] // 4, low.shape[1] // 4
    blocks = low[: 4 * rows, : 4 * columns].reshape(rows, 4, columns, 4).transpose(1, 3, 0, 2)
    answer = np.empty((HEADS, rows, columns), np.float32)
    step = max(1, _PIECE // max(1, columns))
    for top in range(0, rows, step):
        bottom = min(rows, top + step)
        answer[:, top:bottom] = _answers(blocks, top, bottom)
    return answer


def _answers(blocks: Plane, top: int, bottom: int) -> Plane:
    """Return the answers, (HEADS, rows, columns), for some rows of (4, 4, all rows, columns) coefficients."""
    first, last = max(0, top - 1), min(blocks.shape[2], bottom + 1)
    part = blocks[:, :, first:last].reshape(_PART, last - first, -1)
    rows, columns = bottom - top, part.shape[2]
    # A block is heard with its eight neighbours; beyond the picture's edge there is silence.
    framed = np.zeros((_PART, rows + 2, columns + 2), np.float32)
    inside = framed[:, first - top + 1 : last - top + 1, 1:-1]
    np.clip((part - part.mean(0)) / np.float32(SPREAD), -4, 4, out=inside)
    seen = np.empty((_SEEN, rows, columns), np.float32)
    for place, (down, right) in enumerate(np.ndindex(3, 3)):
        seen[_PART * place : _PART * (place + 1)] = framed[:, down : down + rows, right : right + columns]
    own = part[:, top - first : bottom - first]
    turn = own * np.float32(2 * np.pi / STEP)
    cosines, sines, levels = np.split(seen[9 * _PART :], 3)
    np.cos(turn, out=cosines)
    np.sin(turn, out=sines)
    np.tanh((own + np.float32(1)) / np.float32(LEVEL), out=levels)
    near, first_bias, across, second_bias, out, third_bias = _layers()
    hidden = near @ seen.reshape(_SEEN, -1)
    hidden += first_bias
    hidden = across @ np.maximum(hidden, 0, out=hidden)
    hidden += second_bias
    answers: Plane = out @ np.maximum(hidden, 0, out=hidden) + third_bias
    return answers.reshape(HEADS, rows, columns)
