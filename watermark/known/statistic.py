"""How far the blocks of a picture agree with a message, and how likely chance agrees as well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

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
MOST_SHARE = 0.9
"""Largest share of a field's variance that is ascribed to a message."""
LEAST_WITHIN = 0.1
"""Least variance of a cell, in that of independent blocks."""
NEIGHBOURS = (3, 9)
"""Rows and columns of blocks whose mean is taken out: what a region has in common is the picture's."""
SILENCE = 1e-3
"""Median size of the field below which a picture (grey, flat) says nothing; a mark would have coloured it."""
REACH = (4, 9)
"""Rows and columns within which blocks are not taken to be independent."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Field:
    """What each block says beyond its neighbours, float32 (rows, columns) in -2..2, and how it resembles them.

    ``near`` is the field's autocorrelation within ``REACH``, float64 (9, 19), 1 in the middle.
    """

    values: Plane
    near: Vector


def fields(log_odds: Plane) -> list[Field]:
    """Return the field of each head of (heads, rows, columns) log odds."""
    values = residue(log_odds)
    return [Field(v, near) for v, near in zip(values, nearness(values), strict=True)]


def residue(log_odds: Plane) -> Plane:
    """Return the values of fields (…, rows, columns): odds squashed to -1..1, less their local mean."""
    squashed = np.tanh(log_odds / np.float32(2))
    return np.asarray(squashed - _local_mean(squashed))


def _local_mean(values: Plane) -> Plane:
    """Return the mean over ``NEIGHBOURS``, at the edge over those there are."""
    for axis, reach in zip((-2, -1), NEIGHBOURS, strict=True):
        moved = np.moveaxis(values, axis, 0)
        size, half = len(moved), reach // 2
        sums = np.zeros((size + 1, *moved.shape[1:]))
        np.cumsum(moved, 0, out=sums[1:])
        ends = np.minimum(np.arange(size) + half + 1, size)
        starts = np.maximum(np.arange(size) - half, 0)
        counts = (ends - starts).reshape(-1, *[1] * (moved.ndim - 1))
        values = np.moveaxis((sums[ends] - sums[starts]) / counts, 0, axis)
    return np.asarray(values, np.float32)


def nearness(values: Plane) -> Vector:
    """Return the autocorrelations of (heads, rows, columns) within ``REACH``."""
    size = [n + reach + (-n - reach) % 8 for n, reach in zip(values.shape[1:], REACH, strict=True)]
    power = np.square(np.abs(np.fft.rfft2(values, size)))
    down, across = (np.arange(-reach, reach + 1) for reach in REACH)
    around = np.fft.irfft2(power, size)[:, down[:, None], across]
    middle = around[:, REACH[0], REACH[1]]
    return np.asarray(around / np.where(middle > 0, middle, 1)[:, None, None], np.float64)


def agreement(heard: Field, message: KnownMessage, stride: int, shift: int = 0) -> tuple[float, float] | None:
    """Return the correlation of a field with a message, and the logarithm (base 10) of a bound of its chance.

    Block (row, column) is taken to carry bit row * stride + column + shift. Blocks are averaged in about
    ``CELLS`` cells by that number modulo a multiple of the message's length. Where all rows begin with the same bit
    a cell is some columns, so that a vertical edge counts once and not once a row; where they do not, what
    the cells of one column have in common is taken out, as is what repeats with the message's period. Each mean is
    divided by its standard deviation, and the message's signs (less their own local mean, as in the field) are
    weighted by how much the cell says: the matched filter. Both are compared as directions in the n dimensions left.
    For a direction without preference the chance of a correlation r or more is the share of the sphere in a
    cap, at most (1 - r^2)^((n - 1) / 2) / 2. Blocks that resemble their neighbours have a preference: ``excess`` says
    by how much, and r^2 / (1 - r^2), a ratio of variances, is divided by it. Scale cancels. None where the field
    is silent or too small.
    """
    values, length = heard.values, len(message.bits)
    times = min(round(CELLS / length), values.size // (length * FEWEST_BLOCKS))
    if times < 1 or float(np.median(np.abs(values))) < SILENCE:
        return None
    cells, step = length * times, stride % length
    number = np.arange(values.shape[0])[:, None] * step + np.arange(values.shape[1]) + shift
    place, flat = (number % cells).reshape(-1), values.reshape(-1).astype(np.float64)
    counts = np.bincount(place)
    filled = np.flatnonzero(counts)
    counts, sums = counts[filled], np.bincount(place, flat)[filled]
    power = np.bincount(place, flat * flat)[filled] / counts
    spread = np.sqrt((power + FLOOR * power.mean()) / counts)
    # The cells that one column falls into are those a multiple of this apart.
    column = math.gcd(step, cells) if step else 1
    common = np.concatenate([np.eye(period)[filled % period] for period in (message.period, column)], 1)
    basis = _basis(common / spread[:, None])
    means = _without(sums / counts / spread, basis)
    template = _template(message, step)
    signs = _without(template[filled % length] * spread * counts, basis)
    energy = float(means @ means) * float(signs @ signs)
    # Of some strides the whole message is common to columns: what is left of it is rounding.
    if energy <= 1e-9 * float(np.square(spread * counts).sum()) or len(filled) - basis.shape[1] < 2:
        return None
    correlation = float(means @ signs) / math.sqrt(energy)
    if correlation <= 0:
        return correlation, 0.0
    rest = _without_period(template, message.period)
    placed = rest[filled % length]
    share = float(sums @ placed) ** 2 / (float(counts @ np.square(placed)) * float(counts @ power))
    excess = _excess(heard.near, rest, min(share, MOST_SHARE), step, cells)
    ratio = correlation**2 / max(1 - correlation**2, 1e-300) / excess
    return correlation, -(len(filled) - basis.shape[1] - 1) / 2 * math.log10(1 + ratio) - math.log10(2)


def _signs(message: KnownMessage) -> Vector:
    return np.asarray(2.0 * message.bits - 1.0, np.float64)


def _template(message: KnownMessage, step: int) -> Vector:
    """Return the message's signs less their mean over ``NEIGHBOURS`` of blocks, whose rows differ by a step."""
    signs = _signs(message)
    down, right = (np.arange(-(reach // 2), reach // 2 + 1) for reach in NEIGHBOURS)
    near = np.arange(len(signs))[:, None] + (down[:, None] * step + right).reshape(-1)
    return np.asarray(signs - signs[near % len(signs)].mean(1))


def _basis(vectors: Vector) -> Vector:
    """Return an orthonormal basis, in columns, of what the columns span."""
    sizes, turns = np.linalg.eigh(vectors.T @ vectors)
    kept = sizes > 1e-9 * sizes[-1]
    return np.asarray(vectors @ (turns[:, kept] / np.sqrt(sizes[kept])))


def _without(values: Vector, basis: Vector) -> Vector:
    """Return what of the values is orthogonal to a basis."""
    return np.asarray(values - basis @ (basis.T @ values))


def _without_period(signs: Vector, period: int) -> Vector:
    """Return the signs less what repeats with a period."""
    return np.asarray(signs - signs.reshape(-1, period).mean(0)[np.arange(len(signs)) % period])


def _excess(near: Vector, signs: Vector, share: float, step: int, cells: int) -> float:
    """Return how much more the sum over a message's blocks varies than its cells say that it should, at least 1.

    The variance of a sum of w_i v_i is the sum over displacements of the autocorrelations of v and w. The cells'
    own variance holds the displacements that stay in a cell; those that lead to another cell of a similar bit, as
    (2, 0) does where two rows make a message, it does not hold. ``share`` of the field's variance is the message
    itself, fitted: that part of the autocorrelation is taken out first.
    """
    lag = _lags(step)
    resemblance = _resemblance(signs)[lag % len(signs)]
    noise = (near - share * resemblance) / (1 - share)
    within = float((noise * (lag % cells == 0)).sum())
    return max(1.0, float((noise * resemblance).sum()) / max(within, LEAST_WITHIN))


def _lags(step: int) -> NDArray[np.int64]:
    """Return by how many bits the blocks within ``REACH`` are apart."""
    down, across = (np.arange(-reach, reach + 1) for reach in REACH)
    return down[:, None] * step + across


def _resemblance(signs: Vector) -> Vector:
    """Return the cyclic autocorrelation of signs, 1 at zero."""
    spectrum = np.square(np.abs(np.fft.fft(signs)))
    return np.asarray(np.fft.ifft(spectrum).real / max(float(spectrum.mean()), 1e-300))


def excesses(near: Vector, message: KnownMessage) -> Vector:
    """Return for every stride modulo the message's length how much more sums vary than those of independent blocks.

    ``near`` is that of ``Field``.
    """
    lag = np.stack([_lags(step) for step in range(len(message.bits))])
    own = _resemblance(_without_period(_signs(message), message.period))[lag % len(message.bits)]
    return np.asarray(np.maximum(1.0, (own * near).sum((1, 2))))


def alignments(values: Plane, message: KnownMessage) -> Plane:
    """Return the score of all (stride, shift) modulo the message's length, float32 (length, length).

    The field is folded to length x length; each pair's sum is one term of an inverse Fourier transform along
    slanted lines of its two-dimensional spectrum. The score is the sum in standard deviations of independent blocks.
    """
    length = len(message.bits)
    rows, columns = (-(-size // length) * length for size in values.shape)
    padded = np.zeros((rows, columns), np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    folded = padded.reshape(-1, length, columns // length, length).sum((0, 2))
    places, wave = _lines(message.bits.tobytes(), message.period)
    # Flat: numpy gathers by one index faster than by two.
    lines = np.conj(np.fft.rfft2(folded)).reshape(-1)[places] * wave
    scale = math.sqrt(float(np.square(values).sum()))
    return np.asarray(np.fft.irfft(lines, length, axis=1) / max(scale, 1e-30), np.float32)


@cache
def _lines(bits: bytes, period: int) -> tuple[NDArray[np.intp], NDArray[np.complex64]]:
    """Return where in a flat half spectrum each stride's line lies, and the spectrum of the signs, of variance 1."""
    length = len(bits)
    signs = _without_period(2.0 * np.frombuffer(bits, np.uint8).astype(np.float64) - 1.0, period)
    wave = np.arange(length // 2 + 1)
    places = np.arange(length)[:, None] * wave % length * len(wave) + wave
    return places, (np.fft.rfft(signs) / math.sqrt(float(signs @ signs) / length)).astype(np.complex64)
