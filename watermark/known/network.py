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
from numpy.typing import NDArray

from assay.provenance.errors import ConfigurationError
from assay.watermark.known.chroma import Plane

WEIGHTS = "network.npy"
"""File of the weights: float16, one vector; layers in order, weights (inputs, outputs) before biases."""
SHA256 = "0d7cde89108730689415783e894973456f2223f159845e00aaa2b730a5c49143"
"""Its digest, checked at every load."""
STEP = 36.0
"""The library's quantiser step."""
SPREAD, LEVEL = 12.0, 9.0
"""What differences within a block and levels are divided by before they are squashed."""
WIDTH = 64
"""Hidden units of a block."""
HEADS = 2
"""Answers of a block: marked on bytes, marked on floats."""
_SEEN = 64  # inputs of a block: four senses of sixteen coefficients
_PIECE = 16_384  # blocks computed at a time


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
    shapes = [(3, _SEEN, 3 * WIDTH), (WIDTH,), (WIDTH, WIDTH), (WIDTH,), (WIDTH, HEADS), (HEADS,)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return tuple(part.reshape(shape) for part, shape in zip(np.split(values, ends[:-1]), shapes, strict=True))


def log_odds(low: Plane) -> Plane:
    """Return how much each block speaks for a one: float32 (HEADS, rows, columns), logarithm of the odds.

    ``low`` holds the low band of whole blocks, four coefficients a side. Raises ConfigurationError where the
    weights are not those published.
    """
    rows, columns = low.shape[0] // 4, low.shape[1] // 4
    answer = np.empty((HEADS, rows, columns), np.float32)
    step = max(1, _PIECE // max(1, columns))
    for top in range(0, rows, step):
        bottom = min(rows, top + step)
        first, last = max(0, top - 1), min(rows, bottom + 1)
        # A block is heard with its eight neighbours; beyond the picture's edge there is silence.
        senses = np.zeros((bottom - top + 2, columns + 2, _SEEN), np.float32)
        senses[first - top + 1 : last - top + 1, 1:-1] = _senses(low[4 * first : 4 * last, : 4 * columns])
        answer[:, top:bottom] = np.moveaxis(_answers(senses), -1, 0)
    return answer


def _senses(low: Plane) -> Plane:
    """Return what the network is told of each block, (rows, columns, 64)."""
    rows, columns = low.shape[0] // 4, low.shape[1] // 4
    blocks = low.reshape(rows, 4, columns, 4).swapaxes(1, 2).reshape(rows, columns, 16)
    senses = np.empty((rows, columns, _SEEN), np.float32)
    np.clip((blocks - blocks.mean(-1, keepdims=True)) / np.float32(SPREAD), -4, 4, out=senses[..., :16])
    turn = blocks * np.float32(2 * np.pi / STEP)
    np.cos(turn, out=senses[..., 16:32])
    np.sin(turn, out=senses[..., 32:48])
    np.tanh((blocks + np.float32(1)) / np.float32(LEVEL), out=senses[..., 48:])
    return senses


def _answers(senses: Plane) -> NDArray[np.float32]:
    """Return the answers, (rows, columns, HEADS), of blocks that have a frame of one block round them."""
    near, first, across, second, out, third = _layers()
    rows, columns = senses.shape[0] - 2, senses.shape[1] - 2
    hidden = np.broadcast_to(first, (rows, columns, WIDTH)).copy()
    for down in range(3):
        part = (senses[down : down + rows].reshape(-1, _SEEN) @ near[down]).reshape(
            rows, columns + 2, 3 * WIDTH
        )
        for right in range(3):
            hidden += part[:, right : right + columns, right * WIDTH : (right + 1) * WIDTH]
    flat = np.maximum(hidden, 0, out=hidden).reshape(-1, WIDTH)
    flat = np.maximum(flat @ across + second, 0)
    answers: NDArray[np.float32] = (flat @ out + third).reshape(rows, columns, HEADS)
    return answers
