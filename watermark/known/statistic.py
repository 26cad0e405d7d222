"""How far the blocks of a picture agree with a message, and how likely chance agrees as well."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from assay.watermark.known.chroma import Plane
from assay.watermark.known.messages import KnownMessage

CELLS = 256
"""About how many means are compared with the message."""
FEWEST_BLOCKS = 8
"""Fewest blocks of a mean."""
FLOOR = 0.02
"""What every cell's variance has at least, as a share of their mean."""
NEIGHBOURS = (3, 9)
"""Rows and columns of blocks whose mean is taken out: what a region has in common is the picture's."""
SILENCE = 1e-3
"""Median size of the field below which a picture (grey, flat) says nothing; a mark would have coloured it."""

Vector = NDArray[np.float64]


def field(log_odds: Plane) -> Plane:
    """Return what each block says beyond its neighbours: odds squashed to -1..1, less their local mean."""
    squashed = np.tanh(log_odds / np.float32(2))
    rest: Plane = squashed - _local_mean(squashed)
    return rest


def _local_mean(values: Plane) -> Plane:
    """Return the mean over ``NEIGHBOURS``, at the edge over those there are."""
    sums: NDArray[np.float64] = values.astype(np.float64)
    counts = np.ones(values.shape)
    for axis, reach in enumerate(NEIGHBOURS):
        size, half = values.shape[axis], reach // 2
        ends = np.minimum(np.arange(size) + half + 1, size)
        starts = np.maximum(np.arange(size) - half, 0)
        sums, counts = (
            np.diff(np.insert(np.cumsum(v, axis), 0, 0, axis).take([starts, ends], axis), axis=axis).squeeze(
                axis
            )
            for v in (sums, counts)
        )
    return np.asarray(sums / counts, np.float32)


def agreement(
    values: Plane, message: KnownMessage, stride: int, shift: int = 0
) -> tuple[float, float] | None:
    """Return the correlation of a field with a message, and the logarithm (base 10) of a bound of its chance.

    Block (row, column) is taken to carry bit row * stride + column + shift. Blocks are averaged in about
    ``CELLS`` cells by that number modulo a multiple of the message's length. Where all rows begin with the same bit
    a cell is some columns, so that a vertical edge counts once and not once a row; where they do not, what
    the cells of one column have in common is taken out, as is what repeats with the message's period. Each mean is
    divided by its standard deviation, and the message's signs (less their own local mean, as in the field) are
    weighted by how much the cell says: the matched filter. Both are compared as directions in the n dimensions left.
    For a direction without preference the chance of a correlation r or more is the share of the sphere in a
    cap, at most (1 - r^2)^((n - 1) / 2) / 2. Scale cancels. None where the field is silent or too small.
    """
    length = len(message.bits)
    times = min(round(CELLS / length), values.size // (length * FEWEST_BLOCKS))
    if times < 1 or float(np.median(np.abs(values))) < SILENCE:
        return None
    cells, step = length * times, stride % length
    number = np.arange(values.shape[0])[:, None] * step + np.arange(values.shape[1]) + shift
    place, flat = (number % cells).reshape(-1), values.reshape(-1).astype(np.float64)
    counts = np.bincount(place)
    heard = np.flatnonzero(counts)
    counts = counts[heard]
    power = np.bincount(place, flat * flat)[heard] / counts
    spread = np.sqrt((power + FLOOR * power.mean()) / counts)
    # The cells that one column falls into are those a multiple of this apart.
    column = math.gcd(step, cells) if step else 1
    common = np.concatenate([np.eye(period)[heard % period] for period in (message.period, column)], 1)
    basis = _basis(common / spread[:, None])
    means = _without(np.bincount(place, flat)[heard] / counts / spread, basis)
    signs = _without(_template(message, step)[heard % length] * spread * counts, basis)
    energy = float(means @ means) * float(signs @ signs)
    # Of some strides the whole message is common to columns: what is left of it is rounding.
    if energy <= 1e-9 * float(np.square(spread * counts).sum()) or len(heard) - basis.shape[1] < 2:
        return None
    correlation = float(means @ signs) / math.sqrt(energy)
    if correlation <= 0:
        return correlation, 0.0
    exponent = (len(heard) - basis.shape[1] - 1) / 2
    return correlation, exponent * math.log10(max(1 - correlation**2, 1e-300)) - math.log10(2)


def _template(message: KnownMessage, step: int) -> Vector:
    """Return the message's signs less their mean over ``NEIGHBOURS`` of blocks, whose rows differ by a step."""
    signs = 2.0 * message.bits - 1.0
    down, right = (range(-(reach // 2), reach // 2 + 1) for reach in NEIGHBOURS)
    return np.asarray(signs - np.mean([np.roll(signs, -(i * step + j)) for i in down for j in right], 0))


def _basis(vectors: Vector) -> Vector:
    """Return an orthonormal basis, in columns, of what the columns span."""
    left, sizes, _ = np.linalg.svd(vectors, full_matrices=False)
    return np.asarray(left[:, sizes > 1e-9 * sizes[0]])


def _without(values: Vector, basis: Vector) -> Vector:
    """Return what of the values is orthogonal to a basis."""
    return np.asarray(values - basis @ (basis.T @ values))


def alignments(values: Plane, message: KnownMessage, keep: int) -> list[tuple[float, int, int]]:
    """Return the ``keep`` best (score, stride, shift) of all pairs modulo the message's length, best first.

    The field is folded to length x length; each pair's sum is one term of an inverse Fourier transform along
    slanted lines of its two-dimensional spectrum. The score is the sum in standard deviations of independent blocks.
    """
    length = len(message.bits)
    rows, columns = (-(-size // length) * length for size in values.shape)
    padded = np.zeros((rows, columns))
    padded[: values.shape[0], : values.shape[1]] = values
    folded = padded.reshape(-1, length, columns // length, length).sum((0, 2))
    spectrum = np.conj(np.fft.fft2(folded))
    wave = np.arange(length)
    signs = 2.0 * message.bits - 1.0
    signs -= signs.reshape(-1, message.period).mean(0)[wave % message.period]
    strides = wave[:, None] * wave % length
    scores = np.fft.ifft(np.fft.fft(signs) * spectrum[strides, wave], axis=1).real.reshape(-1)
    scale = math.sqrt(float(np.square(values).sum()) * float(signs @ signs) / length)
    if scale <= 0:
        return []
    best = np.argpartition(scores, -keep)[-keep:]
    return sorted(((float(scores[i]) / scale, int(i) // length, int(i) % length) for i in best), reverse=True)
