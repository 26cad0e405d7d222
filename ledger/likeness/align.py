"""How a received picture lies over the sketch of an original. NumPy only. Method: docs/formats/sketch.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Plane = NDArray[np.float32]

BLOCK = 8
"""Side of the blocks in which structure is compared, in sketch pixels."""
SLIDE = 2
"""Distance in sketch pixels of blocks that overlap, where the place is known and every block counts."""
TEXTURE = 4.0
"""Least standard deviation of a block after removing its plane, in levels of 255, to count as structure."""
WORKING_SIDE = 256
"""Longest side of the received picture that is laid over a sketch, in pixels."""
SMALLEST_SCALE = 0.4
"""Smallest linear share of the one picture in the other that is searched for."""
GOOD_SCORE = 0.85
"""Mean correlation of structure from which on no crop or frame is searched for."""
SEARCH_HANDICAP = 0.02
"""What a crop or frame must score above the plain overlay to be preferred."""
HOPELESS = 0.4
"""Mean correlation of structure below which no alignment is refined further."""

_FROM_RGB = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32
)
_TO_RGB = np.linalg.inv(_FROM_RGB.astype(np.float64)).astype(np.float32)
_GREY = np.array([0.0, 128.0, 128.0], dtype=np.float32)[:, None, None]
_LUMA = 0
_SCALE_STEP = 1.035
_COARSE_SIDE = 64
_CANDIDATES = 6


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle as fractions of a picture: left, top, right, bottom."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0

    @property
    def area(self) -> float:
        """Share of the picture."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the received picture lies over the sketch: ``turn`` indexes the eight symmetries of the square."""

    turn: int
    received: Rect
    original: Rect


def to_planes(rgb: NDArray[np.number]) -> Plane:
    """Return full-range BT.601 luma and chroma (JFIF) of (height, width, 3): (3, height, width), 0..255."""
    planes: Plane = np.tensordot(_FROM_RGB, rgb.astype(np.float32), axes=(1, 2))
    planes[1:] += 128.0
    return planes


def to_rgb(planes: Plane) -> Plane:
    """Return the inverse of ``to_planes`` as (3, height, width), neither rounded nor clipped."""
    rgb: Plane = np.tensordot(_TO_RGB, planes - _GREY, axes=1)
    return rgb


class Area:
    """Planes (…, height, width) as an integral image, from which any rectangle is averaged onto any grid."""

    def __init__(self, planes: Plane) -> None:
        self.height, self.width = planes.shape[-2:]
        self._table = np.zeros((*planes.shape[:-2], self.height + 1, self.width + 1))
        self._table[..., 1:, 1:] = planes.cumsum(axis=-2, dtype=np.float64).cumsum(axis=-1)

    @property
    def aspect(self) -> float:
        """Width by height."""
        return float(self.width) / float(self.height)

    def part(self, rect: Rect, height: int, width: int, planes: slice | int = slice(None)) -> Plane:
        """Average a rectangle by area onto a grid; ``planes`` picks some or one of three."""
        down = np.linspace(rect.top * self.height, rect.bottom * self.height, height + 1)
        across = np.linspace(rect.left * self.width, rect.right * self.width, width + 1)
        table = self._table[planes] if self._table.ndim > 2 else self._table
        columns = _between(np.swapaxes(_between(table, down), -1, -2), across)
        sums = np.swapaxes(np.diff(np.diff(columns, axis=-1), axis=-2), -1, -2)
        cell = (down[1] - down[0]) * (across[1] - across[0])
        mean: Plane = (sums / cell).astype(np.float32)
        return mean


def _between(table: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of a table at fractional places, linearly interpolated: for a sum over pixels, exact."""
    low = np.minimum(places.astype(np.intp), table.shape[-2] - 2)
    share = (places - low)[:, None]
    rows: NDArray[np.float64] = table[..., low, :] * (1.0 - share) + table[..., low + 1, :] * share
    return rows


def turned(planes: Plane, turn: int) -> Plane:
    """Return one of the eight symmetries: mirrored left to right from 4 on, then turned counter-clockwise."""
    flipped = planes[..., ::-1] if turn >= 4 else planes
    return np.ascontiguousarray(np.rot90(flipped, turn % 4, axes=(-2, -1)))


def views_of(received: Plane) -> list[Area]:
    """Return a received picture's eight symmetries, at a longest side of 256 pixels at most."""
    height, width = received.shape[-2:]
    scale = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = Area(received).part(Rect(), *size)
    return [Area(turned(small, turn)) for turn in range(8)]


def overlay(
    view: Area, sketch: Area, alignment: Alignment, planes: slice | int = slice(None)
) -> tuple[Plane, Plane]:
    """Return the sketch's part and the received part on one grid, about as fine as the sketch."""
    part = alignment.original
    height = max(BLOCK, round((part.bottom - part.top) * sketch.height))
    width = max(BLOCK, round((part.right - part.left) * sketch.width))
    return sketch.part(part, height, width, planes), view.part(alignment.received, height, width, planes)


def _blocks(plane: Plane) -> Plane:
    """Cut into 8 × 8 blocks and remove each block's plane: (blocks, 64)."""
    rows, columns = (side // BLOCK for side in plane.shape)
    top, left = ((side % BLOCK) // 2 for side in plane.shape)
    body = plane[top : top + rows * BLOCK, left : left + columns * BLOCK]
    return _levelled(body.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK * BLOCK))


def _levelled(cut: Plane) -> Plane:
    """Remove each block's plane: (blocks, 64)."""
    result: Plane = (cut - (cut @ _SLOPES) @ _SLOPES.T).astype(np.float32, copy=False)
    return result


def _slopes() -> Plane:
    """Return an orthonormal basis of the planes over a block: constant, across, down; (64, 3)."""
    axis = np.arange(BLOCK) - (BLOCK - 1) / 2
    across, down = np.meshgrid(axis, axis)
    basis = np.stack([np.ones(BLOCK * BLOCK), across.ravel(), down.ravel()], axis=1)
    result: Plane = (basis / np.linalg.norm(basis, axis=0)).astype(np.float32)
    return result


_SLOPES = _slopes()


def block_correlation(ours: Plane, theirs: Plane) -> tuple[Plane, Plane]:
    """Return each block's correlation and its weight: the original's contrast, 0 without structure."""
    return _correlated(_blocks(ours), _blocks(theirs))


def sliding_correlation(ours: Plane, theirs: Plane, covered: NDArray[np.bool_]) -> tuple[Plane, Plane]:
    """Return the same for blocks that overlap, two pixels apart, of which each pixel is covered."""
    shape = (BLOCK, BLOCK)
    if min(covered.shape) < BLOCK:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    whole = sliding_window_view(covered, shape)[::SLIDE, ::SLIDE].all(axis=(2, 3))
    one, two = (
        sliding_window_view(plane, shape)[::SLIDE, ::SLIDE][whole].reshape(-1, BLOCK * BLOCK)
        for plane in (ours, theirs)
    )
    return _correlated(_levelled(one), _levelled(two))


def _correlated(one: Plane, two: Plane) -> tuple[Plane, Plane]:
    strong_one, strong_two = (np.sqrt((blocks**2).mean(axis=1)) for blocks in (one, two))
    correlation = (one * two).mean(axis=1) / np.maximum(strong_one * strong_two, 1e-3)
    weight = np.where(np.maximum(strong_one, strong_two) >= TEXTURE, np.minimum(strong_one + 1.0, 20.0), 0.0)
    return correlation, weight.astype(np.float32)


def _score(view: Area, sketch: Area, alignment: Alignment) -> float:
    """Return the mean correlation of structured blocks, smooth enough to climb, deaf to changed regions."""
    correlation, weight = block_correlation(*overlay(view, sketch, alignment, _LUMA))
    total = float(weight.sum())
    return float((np.clip(correlation, 0.0, 1.0) * weight).sum()) / total if total else 0.0


def align(views: Sequence[Area], sketch: Area) -> Alignment:
    """Return the best alignment found, trying the cheap and likely ones first."""
    whole = [Alignment(turn, Rect(), Rect()) for turn in range(len(views))]
    start = max(whole, key=lambda item: _score(views[item.turn], sketch, item))
    best, score = _refined(views[start.turn], sketch, start, (1.0, 0.5, 0.25))
    if score >= GOOD_SCORE:
        return best
    rough = [(score, best)]
    for candidate in _search(views, sketch):
        alignment, value = _refined(views[candidate.turn], sketch, candidate, (1.0,))
        rough.append((value - SEARCH_HANDICAP, alignment))
    rough.sort(key=lambda item: -item[0])
    if rough[0][0] < HOPELESS:
        return best
    fine = [_refined(views[item.turn], sketch, item, (0.5, 0.25)) for _, item in rough[:2]]
    return max(fine, key=lambda item: item[1])[0]


def _moves(rect: Rect, across: float, down: float) -> list[Rect]:
    """Return a rectangle's neighbours: shifted, scaled, stretched; kept inside the picture."""
    moved = []
    for dl, dt, dr, db in (
        (1, 0, 1, 0), (-1, 0, -1, 0), (0, 1, 0, 1), (0, -1, 0, -1),
        (1, 1, -1, -1), (-1, -1, 1, 1), (1, 0, 0, 0), (-1, 0, 0, 0),
        (0, 0, 1, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, -1, 0, 0), (0, 0, 0, 1), (0, 0, 0, -1),
    ):  # fmt: skip
        new = Rect(
            min(max(rect.left + dl * across, 0.0), 1.0),
            min(max(rect.top + dt * down, 0.0), 1.0),
            min(max(rect.right + dr * across, 0.0), 1.0),
            min(max(rect.bottom + db * down, 0.0), 1.0),
        )
        if new != rect and new.right - new.left > 0.1 and new.bottom - new.top > 0.1:
            moved.append(new)
    return moved


def _refined(view: Area, sketch: Area, start: Alignment, steps: tuple[float, ...]) -> tuple[Alignment, float]:
    """Climb to the best alignment near ``start`` in steps of so many sketch pixels."""
    rows, columns = sketch.height, sketch.width
    best, score = start, _score(view, sketch, start)
    for step in steps:
        for _ in range(6):
            moved = [
                replace(best, original=rect) for rect in _moves(best.original, step / columns, step / rows)
            ]
            if best.received != Rect():
                moved += [
                    replace(best, received=rect)
                    for rect in _moves(
                        best.received,
                        step / columns * (best.received.right - best.received.left),
                        step / rows * (best.received.bottom - best.received.top),
                    )
                ]
            if not moved:
                break
            value, at = max((_score(view, sketch, item), -place) for place, item in enumerate(moved))
            if value <= score + 1e-4:
                break
            best, score = moved[-at], value
    return best, score


def _search(views: Sequence[Area], sketch: Area) -> list[Alignment]:
    """Return the likeliest alignments where one picture is a part of the other."""
    found: list[tuple[float, Alignment]] = []
    small = sketch.part(Rect(), *_fitted(sketch.aspect, _COARSE_SIDE), _LUMA)
    for turn, view in enumerate(views):
        # the received picture, made small, somewhere in the sketch: a crop
        for rect, value in _placements(small, view):
            found.append((value, Alignment(turn, Rect(), rect)))
        # the sketch, made small, somewhere in the received picture: padding, a screenshot
        field = view.part(Rect(), *_fitted(view.aspect, round(1.5 * _COARSE_SIDE)), _LUMA)
        for rect, value in _placements(field, sketch):
            found.append((value, Alignment(turn, rect, Rect())))
    found.sort(key=lambda item: -item[0])
    return [alignment for _, alignment in found[:_CANDIDATES]]


def _fitted(aspect: float, side: int) -> tuple[int, int]:
    """Return (height, width) of a picture with this aspect and longest side."""
    height, width = (side / aspect, side) if aspect >= 1 else (side, side * aspect)
    return max(BLOCK, round(height)), max(BLOCK, round(width))


def _placements(field: Plane, pattern: Area) -> list[tuple[Rect, float]]:
    """Return the two best places, over scales, of a pattern in a field, with their correlation (0..1)."""
    rows, columns = field.shape
    aspect = pattern.aspect
    matcher = _Matcher(field)
    largest = min(float(columns), rows * aspect)
    smallest = SMALLEST_SCALE * largest
    found = []
    width = largest
    while width >= smallest:
        size = (round(width / aspect), round(width))
        if min(size) >= BLOCK and size[0] <= rows and size[1] <= columns:
            value, top, left = matcher.best(pattern.part(Rect(), *size, _LUMA))
            rect = Rect(left / columns, top / rows, (left + size[1]) / columns, (top + size[0]) / rows)
            found.append((rect, value))
        width /= _SCALE_STEP
    return sorted(found, key=lambda item: -item[1])[:2]


class _Matcher:
    """Normalised cross-correlation of templates with one field by FFT (Lewis, 1995).

    Only complete overlaps are read, so the circular correlation needs no padding.
    """

    def __init__(self, field: Plane) -> None:
        self._shape = field.shape
        centred = field - field.mean()
        self._spectrum = np.fft.rfft2(centred)
        self._sums = _integral(centred)
        self._squares = _integral(centred**2)

    def best(self, template: Plane) -> tuple[float, int, int]:
        """Return the best correlation and its place (value, top, left), overlap always complete."""
        height, width = template.shape
        pattern = template - template.mean()
        norm = float(np.sqrt((pattern**2).sum()))
        if norm < 1e-3:
            return 0.0, 0, 0
        product = np.fft.irfft2(self._spectrum * np.conj(np.fft.rfft2(pattern, self._shape)), self._shape)
        rows, columns = self._shape[0] - height + 1, self._shape[1] - width + 1
        sums, squares = (_windows(table, height, width) for table in (self._sums, self._squares))
        spread = np.sqrt(np.maximum(squares - sums**2 / (height * width), 1.0))
        values = product[:rows, :columns] / (spread * norm)
        top, left = divmod(int(values.argmax()), columns)
        return float(values[top, left]), top, left


def _integral(plane: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.pad(plane.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


def _windows(table: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Return the sums over all windows of a size."""
    below, above = table[height:], table[:-height]
    return np.asarray(below[:, width:] - above[:, width:] - below[:, :-width] + above[:, :-width])
