"""Where the code bits lie: a keyed tile of blocks, repeated. Format: docs/formats/mark.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.watermark.payload import key_stream

TILE_ROWS, TILE_COLUMNS = 16, 20
CELLS = TILE_ROWS * TILE_COLUMNS
PHASES = 64
"""Steps of the circle to which a common offset of all blocks (a change of brightness) is rounded."""

_MIRRORED = ((False, False), (False, True), (True, False), (True, True))

Tile = NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where the grid may lie: its sync ``score`` and the aligned tile, (CELLS,) complex.

    ``shift`` is the cell of the grid's first block, as the candidate is posed.
    """

    score: float
    tile: Tile = field(repr=False)
    pose: str
    shift: tuple[int, int]
    phase: int


class Layout:
    """The keyed tile: which code bit each cell holds, and the dither of its quantiser.

    ``order`` (CELLS,) int gives the code bit of each cell in row-major order; ``dither`` (rows, columns)
    float64 in [0, 1) the offset of its lattice in steps.
    """

    def __init__(self, key: bytes) -> None:
        self.order = np.argsort(key_stream("assay mark order", key, CELLS), kind="stable")
        words = key_stream("assay mark dither", key, CELLS)
        self.dither = (words >> np.uint64(11)).astype(np.float64).reshape(TILE_ROWS, TILE_COLUMNS) / 2.0**53
        self._carrier = np.exp(-2j * np.pi * self.dither).astype(np.complex64).reshape(-1)
        # Squared phasors forget the code bits (half a step becomes a whole turn): the dither alone is left,
        # and with it a known pattern to synchronise on.
        pattern = np.exp(4j * np.pi * self.dither)
        self._pattern_conjugate = np.conj(pattern)
        self._patterns = np.stack(
            [np.conj(np.fft.fft2(_pose(pattern, up, left))) for up, left in _MIRRORED]
        ).astype(np.complex64)

    def targets(self, rows: int, columns: int, code: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return where in its step each block of a grid belongs, (rows, columns) float32 in [0, 1)."""
        first_row, first_column = origin(rows, columns)
        tile = (self.dither + 0.5 * code[self.order].reshape(TILE_ROWS, TILE_COLUMNS)) % 1.0
        tile = np.roll(tile, (-first_row, -first_column), (0, 1))
        down, across = -(-rows // TILE_ROWS), -(-columns // TILE_COLUMNS)
        return np.tile(tile, (down, across))[:rows, :columns].astype(np.float32)

    def synchronise(self, grids: Iterable[NDArray[np.complex64]], keep: int) -> list[tuple[int, Candidate]]:
        """Return the ``keep`` best candidates among the eight poses of some grids of phasors (rows, columns).

        Each comes with its grid's number, at its pose's best cyclic shift, the best first. ``score`` is the
        correlation, 0..1, of the folded squared phasors with the dither's pattern.
        """
        poses = [pose for grid in grids for pose in (grid, grid.T)]
        match, scores = self._matched(poses)
        peaks = np.abs(match).reshape(*scores.shape, -1).argmax(2)
        found = []
        for place in np.argsort(scores, axis=None)[::-1][:keep]:
            row, mirrored = divmod(int(place), len(_MIRRORED))
            if scores[row, mirrored] <= 0:
                break
            up, left = _MIRRORED[mirrored]
            peak = int(peaks[row, mirrored])
            shift = (-(peak // TILE_COLUMNS) % TILE_ROWS, -peak % TILE_COLUMNS)
            tile = _pose(np.roll(fold(poses[row]), shift, (0, 1)), up, left).reshape(-1)
            name = f"{'transposed ' if row % 2 else ''}{'v' if up else ''}{'h' if left else ''}".strip()
            phase = _phase(complex(match[row, mirrored].flat[peak]))
            score = float(scores[row, mirrored])
            found.append((row // 2, Candidate(score, tile, name or "upright", shift, phase)))
        return found

    def best_score(self, grids: Iterable[NDArray[np.complex64]]) -> float:
        """Return the best score that ``synchronise`` would find."""
        return float(self._matched([pose for grid in grids for pose in (grid, grid.T)])[1].max())

    def _matched(
        self, poses: Sequence[NDArray[np.complex64]]
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Return the match of each grid with each mirrored pattern at all shifts, and the best score of each."""
        squared = np.stack([fold(pose * pose) for pose in poses])
        match = np.fft.ifft2(np.fft.fft2(squared)[:, None] * self._patterns).astype(np.complex64, copy=False)
        energy = np.linalg.norm(squared, axis=(1, 2)) * np.sqrt(CELLS)
        scores = np.abs(match).max(axis=(2, 3)) / np.where(energy > 0, energy, np.inf)[:, None]
        return match, scores.astype(np.float32)

    def as_is(
        self,
        phasors: NDArray[np.complex64],
        phase: int | None = None,
        first: tuple[int, int] | None = None,
    ) -> Candidate:
        """Return the candidate of a whole picture, its common phase estimated where it is not given.

        ``first`` is the cell of its first block, for a grid that is the upper part of a larger one.
        """
        first = first or origin(*phasors.shape)
        plain, squared = (np.roll(fold(grid), first, (0, 1)) for grid in (phasors, phasors * phasors))
        value = complex((squared * self._pattern_conjugate).sum())
        energy = float(np.linalg.norm(squared)) * float(np.sqrt(CELLS))
        score = abs(value) / energy if energy > 0 else 0.0
        return Candidate(
            score, plain.reshape(-1), "upright", first, _phase(value) if phase is None else phase
        )

    def soft(self, candidate: Candidate) -> Tile:
        """Return soft code bits, (CELLS,) complex in code order, whose real parts are positive for 0."""
        turn = np.exp(-2j * np.pi * candidate.phase / PHASES)
        values: Tile = (candidate.tile * self._carrier * turn).astype(np.complex64)
        ordered = np.empty_like(values)
        ordered[self.order] = values
        return ordered


def origin(rows: int, columns: int) -> tuple[int, int]:
    """Return the cell of the first block of a whole picture's grid.

    It depends on both counts of blocks, so that a picture cropped at its right or lower edge, whose grid
    stays in place, can be told from a whole one (but for multiples of 80 blocks).
    """
    return (5 * rows + 3 * columns) % TILE_ROWS, (3 * rows + 7 * columns) % TILE_COLUMNS


def fold(grid: NDArray[np.complex64]) -> Tile:
    """Sum a grid of any size over the tile's period, shape (TILE_ROWS, TILE_COLUMNS)."""
    rows, columns = grid.shape
    padded = np.zeros(
        (-(-rows // TILE_ROWS) * TILE_ROWS, -(-columns // TILE_COLUMNS) * TILE_COLUMNS), np.complex64
    )
    padded[:rows, :columns] = grid
    folded: Tile = padded.reshape(-1, TILE_ROWS, padded.shape[1] // TILE_COLUMNS, TILE_COLUMNS).sum((0, 2))
    return folded


def _phase(squared: complex) -> int:
    """Return half the angle of a squared phasor in steps of the circle; its opposite is as likely."""
    return round(float(np.angle(squared)) / (4 * np.pi) * PHASES) % PHASES


def _pose(tile: NDArray[Any], up: bool, left: bool) -> NDArray[Any]:
    """Reverse rows and columns."""
    return tile[:: -1 if up else 1, :: -1 if left else 1]
