"""The spectrum of a listened plane, whitened, and where tones may lie in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import map_coordinates, uniform_filter

from assay.watermark.hallmark.canvas import Plane

ANGLES = 720
"""Directions of the polar map over half a turn; its radii grow by the same factor a step."""
STEP = np.pi / ANGLES
"""Steps of the polar map: radians, and natural logarithm of the radius."""
LOUDEST = 6.0
"""Most that one place of the whitened power spectrum counts, in means: fences and windows have tones, too."""
_AROUND = 31  # side of the window in which the spectrum is whitened, bins of the padded transform

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """A plane's transform, centred and twice oversampled.

    ``values`` (side, side / 2 + 1) complex64, divided by the local root mean square of its magnitude; frequency
    (u, v) cycles a pixel lies at row u * side (modulo side), column v * side. ``power`` is its squared magnitude,
    at most LOUDEST, less its mean.
    """

    values: NDArray[np.complex64]
    power: Plane
    side: int

    @classmethod
    def of(cls, plane: Plane) -> Spectrum:
        """Transform a plane whose centre is the origin of phases."""
        rows, columns = plane.shape
        side = fft.next_fast_len(2 * max(rows, columns) - max(rows, columns) // 2, real=True)
        side += side % 2
        padded = np.zeros((side, side), np.float32)
        padded[:rows, :columns] = plane
        padded = np.roll(padded, (-(rows // 2), -(columns // 2)), (0, 1))
        values = fft.rfft2(padded, workers=2)
        power = values.real**2 + values.imag**2
        level = uniform_filter(power, _AROUND, mode=("wrap", "nearest")) + np.float32(1e-6)
        power /= level
        values /= np.sqrt(level)
        np.minimum(power, LOUDEST, out=power)
        return cls(values, power - power.mean(), side)

    def at(self, frequencies: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return the values at frequencies (…, 2), cycles a pixel, interpolated; 0 beyond the plane's own."""
        place = frequencies * self.side
        mirrored = place[..., 1] < 0
        place = np.where(mirrored[..., None], -place, place)
        base = np.floor(place)
        part = place - base
        row, column = base[..., 0].astype(np.intp), base[..., 1].astype(np.intp)
        inside = (np.abs(place[..., 0]) < self.side // 2 - 1) & (column < self.side // 2 - 1)
        column = np.where(inside, column, 0)
        total = np.zeros(row.shape, np.complex128)
        for down in (0, 1):
            for across in (0, 1):
                weight = np.abs(1 - down - part[..., 0]) * np.abs(1 - across - part[..., 1])
                total += weight * self.values[(row + down) % self.side, column + across]
        total = np.where(mirrored, np.conj(total), total)
        return np.where(inside, total, 0)

    def polar(self, least: float, count: int) -> Plane:
        """Return the power at radii ``least`` * exp(STEP * n) and angles STEP * m, (count, ANGLES) float32."""
        radius = least * np.exp(STEP * np.arange(count))[:, None] * self.side
        angle = STEP * np.arange(ANGLES)[None]
        rows, columns = radius * np.cos(angle), radius * np.sin(angle)
        rows = np.where(rows < 0, rows + self.side, rows)
        inside = np.maximum(np.abs(radius * np.cos(angle)), np.abs(columns)) < self.side / 2 - 1
        found = map_coordinates(self.power, (rows, columns), order=1, mode="nearest")
        return np.where(inside, found, np.float32(0)).astype(np.float32)
