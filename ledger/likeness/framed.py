"""A received picture laid over a sketch where its mark says that it lies. NumPy only: docs/formats/sketch.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.ledger.likeness.align import HOPELESS, SMALLEST_SCALE, Area, Plane, Rect, sliding_correlation
from assay.provenance.mark import Frame

Mask = NDArray[np.bool_]

SAMPLES = 2
"""Places a side at which the received picture is looked up for one pixel of the sketch, about as far apart as its own
pixels after it was reduced."""
STEPS = (0.5, 0.25)
"""How far the overlay is moved to refine it, in sketch pixels, and how many times at most by each."""
TRIES = 3
MOST_PLACES = 16
"""Most places on the canvas, a period apart, that are tried for one frame."""
MARGIN = 3
"""Sketch pixels that are kept round what the received picture covers, for the overlay to be moved."""
LEAST_COVERED = 0.02
"""Least share of the sketch that the received picture must cover."""
TURNED = 0.5
"""Least rotation in degrees that is named."""
STRETCHED = 0.02
"""Least change of aspect that is named."""

_MOVES = [(axis, kind, sign) for kind in (0, 1) for axis in (0, 1) for sign in (1.0, -1.0)]


@dataclass(frozen=True, slots=True)
class Lay:
    """Takes places on the sketch to places on the received picture, both as shares of sides, rows first.

    ``matrix`` (2, 2) and ``offset`` (2,) are float64; ``turning`` (2, 2) takes steps on the original to steps on the
    received picture, both in pixels of the same shape.
    """

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]
    turning: NDArray[np.float64]

    def at(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where (…, 2) places lie."""
        laid: NDArray[np.float64] = places @ self.matrix.T + self.offset
        return laid

    def moved(self, axis: int, kind: int, step: float) -> Lay:
        """Return the sketch shifted (kind 0) or stretched about its middle (1) by a share of one of its sides."""
        scale, shift = np.ones(2), np.zeros(2)
        if kind:
            scale[axis] += 2 * step
            shift[axis] = -step
        else:
            shift[axis] = step
        return Lay(self.matrix * scale, self.offset + self.matrix @ shift, self.turning)

    def within(self, window: tuple[slice, slice], grid: tuple[int, int]) -> Lay:
        """Return the same for a window of the sketch."""
        first, last = (np.array([getattr(part, end) for part in window]) for end in ("start", "stop"))
        size = np.array(grid)
        return Lay(self.matrix * ((last - first) / size), self.at(first / size), self.turning)

    def box(self, rows: NDArray[np.intp], columns: NDArray[np.intp], grid: tuple[int, int]) -> Rect:
        """Return the rectangle of the received picture round some pixels of the sketch."""
        size = np.array(grid)
        middles = self.at((np.stack((rows, columns), -1) + 0.5) / size)
        reach = np.abs(self.matrix / size).sum(axis=1) / 2
        (top, left), (bottom, right) = np.clip((middles.min(0) - reach, middles.max(0) + reach), 0.0, 1.0)
        return Rect(float(left), float(top), float(right), float(bottom))

    def words(self, grid: tuple[int, int], share: float) -> str:
        """Return what was done to the original, of which this is a window of so many pixels and so large a share."""
        inside = float(_inside(self, (4 * grid[0], 4 * grid[1])).mean())
        shown, taken = inside * share, inside * abs(float(np.linalg.det(self.matrix)))
        words = []
        mirrored = float(np.linalg.det(self.turning)) < 0
        upright = self.turning @ np.diag((1.0, -1.0)) if mirrored else self.turning
        left, sizes, right = np.linalg.svd(upright)
        turn = left @ right  # the nearest rotation; the sizes are what is left of it
        angle = math.degrees(math.atan2(turn[0, 1], turn[0, 0]))
        if mirrored:
            words.append("mirrored")
        if abs(angle) >= TURNED:
            words.append(f"turned by {abs(angle):.0f}° {'anticlockwise' if angle < 0 else 'clockwise'}")
        if sizes[0] / sizes[1] - 1 >= STRETCHED:
            words.append(f"stretched by {sizes[0] / sizes[1] - 1:.0%}")
        if shown < 0.95:
            words.append(f"cropped to {shown:.0%}")
        if taken < 0.95:
            words.append(f"set inside a larger picture, {taken:.0%} of it")
        return ", ".join(words) or "as is"


class Received:
    """A received picture's planes (3, height, width), looked up at any place; reduced once to each fineness."""

    def __init__(self, planes: Plane) -> None:
        self._area = Area(planes)
        self._reduced: dict[tuple[int, int], Plane] = {}

    def laid(self, lay: Lay, grid: tuple[int, int], planes: slice = slice(None)) -> tuple[Plane, Mask]:
        """Return the picture on the sketch's grid (rows, columns), and which of its pixels it covers whole."""
        rows, columns = grid
        down, across = (((np.arange(n * SAMPLES) + 0.5) / (n * SAMPLES)) for n in grid)
        places = lay.at(np.stack(np.meshgrid(down, across, indexing="ij"), -1))
        inside = ((places >= 0.0) & (places <= 1.0)).all(axis=-1)
        cells: Mask = np.asarray(inside.reshape(rows, SAMPLES, columns, SAMPLES).all(axis=(1, 3)))
        fine = _looked_up(self._fine(lay, grid)[planes], places)
        mean: Plane = fine.reshape(-1, rows, SAMPLES, columns, SAMPLES).mean(axis=(2, 4))
        return mean, cells

    def _fine(self, lay: Lay, grid: tuple[int, int]) -> Plane:
        """Return the picture reduced by area to about SAMPLES of its pixels a side of one of the sketch."""
        height, width = self._area.height, self._area.width
        bent = abs(float(np.linalg.det(lay.matrix))) * height * width / (grid[0] * grid[1])
        share = min(1.0, SAMPLES / math.sqrt(bent))
        size = (max(1, round(height * share)), max(1, round(width * share)))
        if size not in self._reduced:
            self._reduced[size] = self._area.part(Rect(), *size)
        return self._reduced[size]


def _looked_up(planes: Plane, places: NDArray[np.float64]) -> Plane:
    """Return planes at places, as shares of the sides, bilinearly; beyond the edges the edge goes on."""
    size = np.array(planes.shape[-2:])
    at = np.clip(places * size - 0.5, 0.0, size - 1.0)
    low = np.minimum(at.astype(np.intp), np.maximum(size - 2, 0))
    high = np.minimum(low + 1, size - 1)
    (down, across) = np.moveaxis((at - low).astype(np.float32), -1, 0)
    (top, left), (bottom, right) = np.moveaxis(low, -1, 0), np.moveaxis(high, -1, 0)
    above = planes[:, top, left] * (1 - across) + planes[:, top, right] * across
    below = planes[:, bottom, left] * (1 - across) + planes[:, bottom, right] * across
    looked: Plane = above * (1 - down) + below * down
    return looked


def fitted(
    frame: Frame, size: tuple[int, int], received: Received, sketch: Plane
) -> tuple[Lay, tuple[slice, slice]] | None:
    """Return the overlay that a frame asks for, refined, and the window of the sketch for which it stands.

    ``size`` (height, width) is that of the picture in whose pixels the frame speaks. The frame leaves open the
    canvas's area and a period of the place: the likeliest is taken, and then moved by about a pixel of the sketch,
    for the sketch's sides are rounded. None where nothing is alike there.
    """
    grid = (sketch.shape[1], sketch.shape[2])
    tried = []
    for number, whole in enumerate(_lays(frame, size, grid)):
        window = _window(whole, grid)
        lay = whole.within(window, grid)
        tried.append((_score(received, lay, sketch[:, *window]), -number, lay, window))
    if not tried:
        return None
    score, _, best, window = max(tried)
    if score < HOPELESS:
        return None
    part = sketch[:, *window]
    for step in STEPS:
        for _ in range(TRIES):
            moved = [
                best.moved(axis, kind, sign * step / part.shape[1 + axis]) for axis, kind, sign in _MOVES
            ]
            value, at = max((_score(received, lay, part), -place) for place, lay in enumerate(moved))
            if value <= score + 1e-4:
                break
            best, score = moved[-at], value
    return best, window


def _score(received: Received, lay: Lay, sketch: Plane) -> float:
    """Return the mean correlation of structured blocks."""
    theirs, covered = received.laid(lay, (sketch.shape[1], sketch.shape[2]), slice(0, 1))
    correlation, weight = sliding_correlation(sketch[0], theirs[0], covered)
    total = float(weight.sum())
    return float((np.clip(correlation, 0.0, 1.0) * weight).sum()) / total if total else 0.0


def _lays(frame: Frame, size: tuple[int, int], grid: tuple[int, int]) -> Iterator[Lay]:
    """Yield the overlays that a frame leaves open, none that hardly lies on the canvas."""
    ahead = np.array(frame.matrix, dtype=np.float64)
    values = [*ahead.ravel(), *frame.offset]
    if not np.isfinite(values).all() or not 1e-3 < abs(float(np.linalg.det(ahead))) < 1e3:
        return
    back = np.linalg.inv(ahead)
    for side in frame.sides:
        shape = np.array(grid) * (side / math.sqrt(grid[0] * grid[1]))
        turn, start = _turned(frame.turn, shape)
        open_ = []
        for period in _periods(frame, ahead, size, np.abs(turn @ shape)):
            # place = shape * share - 1/2 on the canvas; received = back @ (turned place + period - offset)
            shift = back @ (start - turn @ np.array((0.5, 0.5)) + period - np.array(frame.offset)) + 0.5
            matrix = (back @ turn * shape) / np.array(size)[:, None]
            lay = Lay(matrix, shift / np.array(size), back @ turn)
            open_.append((float(_inside(lay, grid).mean()), lay))
        most = max((share for share, _ in open_), default=0.0)
        yield from (
            lay
            for share, lay in open_
            if share >= max(LEAST_COVERED, most / 2)
            and share * abs(float(np.linalg.det(lay.matrix))) >= SMALLEST_SCALE**2
        )


def _turned(turn: int, shape: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what takes a place on a canvas of some shape to the canvas turned and mirrored: matrix and start."""
    matrix, start, sides = np.eye(2), np.zeros(2), shape.copy()
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    for _ in range(turn % 4):
        matrix, start, sides = quarter @ matrix, quarter @ start + (sides[1] - 1, 0.0), sides[::-1]
    if turn >= 4:
        mirror = np.diag((1.0, -1.0))
        matrix, start = mirror @ matrix, mirror @ start + (0.0, sides[1] - 1)
    return matrix, start


def _periods(
    frame: Frame, ahead: NDArray[np.float64], size: tuple[int, int], shape: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Return by which periods the canvas may be moved so that the received picture touches it."""
    corners = np.array([(-0.5, -0.5), (-0.5, size[1]), (size[0], -0.5), size]) @ ahead.T + frame.offset
    ranges = []
    for axis in (0, 1):
        first = math.floor((corners[:, axis].min() - shape[axis]) / frame.period) + 1
        last = math.ceil(corners[:, axis].max() / frame.period) - 1
        ranges.append(range(first, last + 1))
    if len(ranges[0]) * len(ranges[1]) > MOST_PLACES:
        return []
    return [np.array((row, column), np.float64) * frame.period for row in ranges[0] for column in ranges[1]]


def _inside(lay: Lay, grid: tuple[int, int]) -> Mask:
    """Return which of the sketch's pixels have their middle in the received picture."""
    down, across = ((np.arange(n) + 0.5) / n for n in grid)
    places = lay.at(np.stack(np.meshgrid(down, across, indexing="ij"), -1))
    return np.asarray(((places >= 0.0) & (places <= 1.0)).all(axis=-1))


def _window(lay: Lay, grid: tuple[int, int]) -> tuple[slice, slice]:
    """Return the part of the sketch that the received picture covers, and a margin."""
    inside = _inside(lay, grid)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - MARGIN), min(grid[0], int(rows[-1]) + 1 + MARGIN)),
        slice(max(0, int(columns[0]) - MARGIN), min(grid[1], int(columns[-1]) + 1 + MARGIN)),
    )
