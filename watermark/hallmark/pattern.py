"""What a key draws: tones by which a mark is found, signs that carry its code. Format: docs/formats/mark.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.watermark.hallmark.canvas import Plane
from assay.watermark.payload import key_stream

BAND = (0.045, 0.24)
"""Frequencies of the data, cycles a canonical pixel."""
PERIOD = 1024
"""Side in canonical pixels of the square that repeats; most pictures are smaller."""
TILE = 32
"""Side in canonical pixels of the tiles that carry the code, each with signs of its own."""
TILES = PERIOD // TILE
TONES = 200
"""Tones hidden for synchronisation."""
TONE_BAND = (0.05, 0.215)
"""Frequencies of the tones, cycles a canonical pixel."""
TONE_SHARE = 0.3
"""Share of the mark's power that the tones have."""

Coefficients = NDArray[np.float32]


def _bins() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and column of the half-plane bins of a tile's transform that lie in the band."""
    rows, columns = np.meshgrid(np.arange(TILE), np.arange(TILE // 2), indexing="ij")
    signed = np.where(rows < TILE // 2, rows, rows - TILE)
    radius = np.hypot(signed, columns) / TILE
    inside = (radius >= BAND[0]) & (radius <= BAND[1]) & ((columns > 0) | (signed > 0))
    return rows[inside], columns[inside]


ROWS, COLUMNS = _bins()
_QUARTER = np.array([[0.0, 1.0], [-1.0, 0.0]])
BINS = len(ROWS)
DIMENSIONS = 2 * BINS
"""Real numbers that a tile carries."""


@dataclass(frozen=True)
class Pattern:
    """The keyed pattern for code words of ``length`` bits."""

    key: bytes = field(repr=False)
    length: int

    @cached_property
    def tones(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Frequencies (TONES, 2) int64, rows and columns in cycles a PERIOD, and phases (TONES,) in radians."""
        side = PERIOD
        rows, columns = np.meshgrid(np.arange(-side // 4, side // 4), np.arange(1, side // 4), indexing="ij")
        radius = np.hypot(rows, columns) / side
        inside = (radius >= TONE_BAND[0]) & (radius <= TONE_BAND[1])
        places = np.stack((rows[inside], columns[inside]), 1)
        words = key_stream("assay hallmark tones", self.key, len(places))
        chosen = places[np.argsort(words, kind="stable")[:TONES]]
        phases = key_stream("assay hallmark phases", self.key, TONES)
        return chosen.astype(np.int64), (phases >> np.uint64(11)).astype(np.float64) / 2.0**53 * 2 * np.pi

    @cached_property
    def sync(self) -> Plane:
        """The sum of the tones, unit variance, one period, (PERIOD, PERIOD) float32."""
        frequencies, phases = self.tones
        spectrum = np.zeros((PERIOD, PERIOD // 2 + 1), np.complex64)
        spectrum[frequencies[:, 0] % PERIOD, frequencies[:, 1]] = np.exp(1j * phases)
        waves = np.fft.irfft2(spectrum, (PERIOD, PERIOD)) * (PERIOD**2 / np.sqrt(2 * TONES))
        plane: Plane = waves.astype(np.float32)
        return plane

    @cached_property
    def signs(self) -> NDArray[np.int8]:
        """The sign of each number of each tile, (TILES, TILES, DIMENSIONS) int8."""
        count = TILES * TILES * DIMENSIONS
        words = key_stream("assay hallmark signs", self.key, -(-count // 64))
        bits = np.unpackbits(words.astype(">u8").view(np.uint8))[:count]
        return (1 - 2 * bits.astype(np.int8)).reshape(TILES, TILES, DIMENSIONS)

    @cached_property
    def places(self) -> NDArray[np.int32]:
        """The code bit that each number of each tile carries, (TILES, TILES, DIMENSIONS) int32."""
        count = TILES * TILES * DIMENSIONS
        words = key_stream("assay hallmark places", self.key, count).reshape(TILES * TILES, DIMENSIONS)
        ranks = np.argsort(words, axis=1, kind="stable")
        # The code goes on where the tile before left off, so that each bit is carried equally often.
        first = (np.arange(TILES * TILES) * DIMENSIONS)[:, None]
        return ((ranks + first) % self.length).astype(np.int32).reshape(TILES, TILES, DIMENSIONS)

    @cached_property
    def directions(self) -> NDArray[np.float32]:
        """The unit vector, rows and columns, along which each tile's light is compared, (TILES, TILES, 2) float32."""
        words = key_stream("assay hallmark directions", self.key, TILES * TILES).reshape(TILES, TILES)
        angle = (words >> np.uint64(11)).astype(np.float64) / 2.0**53 * 2 * np.pi
        return np.stack((np.sin(angle), np.cos(angle)), -1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture's canvas lies on the pattern: turned and mirrored ``turn`` (0..7), its corner at ``corner``."""

    turn: int
    corner: tuple[int, int]

    @classmethod
    def of(cls, key: bytes, id: bytes) -> Placement:
        """Draw the placement of an identifier: pictures of one key cannot be averaged to learn the tones."""
        turn, row, column = (int(n) for n in key_stream("assay hallmark placement", key + id, 3))
        return cls(turn % 8, (row % PERIOD, column % PERIOD))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """What takes steps on the pattern to steps on the canvas, (2, 2)."""
        return np.linalg.matrix_power(_QUARTER, self.turn % 4) @ np.diag(
            (1.0, -1.0 if self.turn > 3 else 1.0)
        )

    def place(self, index: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
        """Return where on the pattern a pixel of a canvas of some shape lies."""
        (row, column), (rows, columns) = index, shape
        for _ in range(self.turn % 4):
            row, column, rows, columns = columns - 1 - column, row, columns, rows
        if self.turn > 3:
            column = columns - 1 - column
        return (row + self.corner[0]) % PERIOD, (column + self.corner[1]) % PERIOD

    def of_part(self, first: tuple[int, int], part: tuple[int, int], shape: tuple[int, int]) -> Placement:
        """Return the placement of a part of a canvas, from its first pixel and the shapes of both."""
        numbers = np.arange(part[0] * part[1], dtype=np.float32).reshape(part)
        row, column = divmod(int(self.to_pattern(numbers)[0, 0]), part[1])
        return Placement(self.turn, self.place((first[0] + row, first[1] + column), shape))

    def to_pattern(self, plane: Plane) -> Plane:
        """Return a canvas as it lies on the pattern."""
        turned = np.rot90(plane, self.turn % 4)
        return turned[:, ::-1] if self.turn > 3 else turned

    def to_canvas(self, plane: Plane) -> Plane:
        """Return a piece of the pattern as it lies on the canvas."""
        return np.rot90(plane[:, ::-1] if self.turn > 3 else plane, -(self.turn % 4))


def tiled(plane: Plane) -> Plane:
    """Return a plane, padded with zeros to whole tiles, as (tile rows, tile columns, TILE, TILE)."""
    rows, columns = (-(-n // TILE) for n in plane.shape)
    padded = np.zeros((rows * TILE, columns * TILE), np.float32)
    padded[: plane.shape[0], : plane.shape[1]] = plane
    return padded.reshape(rows, TILE, columns, TILE).transpose(0, 2, 1, 3)


def untiled(tiles: Plane, shape: tuple[int, int]) -> Plane:
    """Return tiles joined and cut to a shape."""
    rows, columns = tiles.shape[:2]
    return tiles.transpose(0, 2, 1, 3).reshape(rows * TILE, columns * TILE)[: shape[0], : shape[1]]


def analysed(plane: Plane) -> Coefficients:
    """Return the numbers that a plane's tiles carry, (tile rows, tile columns, DIMENSIONS) float32."""
    spectrum = np.fft.rfft2(tiled(plane))[..., ROWS, COLUMNS]
    return np.concatenate((spectrum.real, spectrum.imag), -1).astype(np.float32) * np.float32(1 / TILE)


def synthesised(numbers: Coefficients, shape: tuple[int, int]) -> Plane:
    """Return the plane of unit variance whose tiles carry ``numbers`` of unit magnitude."""
    rows, columns = numbers.shape[:2]
    spectrum = np.zeros((rows, columns, TILE, TILE // 2 + 1), np.complex64)
    values = numbers[..., :BINS] + 1j * numbers[..., BINS:]
    spectrum[..., ROWS, COLUMNS] = values
    lone = COLUMNS == 0
    spectrum[..., -ROWS[lone] % TILE, 0] = np.conj(values[..., lone])
    tiles = np.fft.irfft2(spectrum, (TILE, TILE)) * (TILE * TILE / np.sqrt(2 * 2 * BINS))
    return untiled(tiles.astype(np.float32), shape)


def tiles_at(shape: tuple[int, ...], first: tuple[int, int]) -> tuple[NDArray[np.intp], ...]:
    """Return the index of the period's tiles under some tiles."""
    return np.ix_((np.arange(shape[0]) + first[0]) % TILES, (np.arange(shape[1]) + first[1]) % TILES)
