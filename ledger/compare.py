"""Lay a received picture over the sketch of an original, and say where they differ. NumPy only.

Method, in order: find how the received picture lies over the sketch (as is, turned or mirrored, cropped,
or set inside a larger picture) by normalised cross-correlation over a bounded set of scales; refine that
rectangle; fit one tone curve that explains re-encoding, brightness, contrast, gamma and colour casts; call
changed what still differs by more than a neighbouring pixel would explain. Limits and figures:
docs/formats/sketch.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.provenance.protocols import Comparison

Plane = NDArray[np.float32]

BLOCK = 8
"""Side of the blocks in which structure is compared, in sketch pixels."""
TEXTURE = 4.0
"""Least standard deviation of a block after removing its plane, in levels of 255, to count as structure."""
BLOCK_MATCH = 0.7
"""Correlation from which on a block counts as the same."""
MIN_BLOCKS = 6
"""Fewest structured blocks on which two pictures can be called the same."""
MIN_MATCH = 0.55
"""Least share of structure (weighted by contrast) that must match."""
TONE_TOLERANCE = 14.0
"""Levels of 255 by which a pixel may leave the range of its neighbours before it counts as changed."""
MIN_REGION = 0.004
"""Smallest changed region reported, as a share of the compared area."""
SMALLEST_SCALE = 0.3
"""Smallest linear share of the one picture in the other that is searched for."""

GOOD_SCORE = 0.85
"""Mean correlation of structure from which on no crop or frame is searched for."""
SEARCH_HANDICAP = 0.02
"""What a crop or frame must score above the plain overlay to be preferred."""

FRESH_FIT = 0.7
"""By how much a tone curve fitted from scratch must lower the robust cost to replace one near identity."""

_FROM_RGB = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32
)
_TO_RGB = np.linalg.inv(_FROM_RGB.astype(np.float64)).astype(np.float32)
_GREY = np.array([0.0, 128.0, 128.0], dtype=np.float32)[:, None, None]
_LUMA = slice(0, 1)
_FALLING = (1e6, 60.0, 30.0, 15.0, 10.0, 10.0)
_RIDGE = (0.0, 1e-3, 1e-3, 1e-3, 1.0, 1.0)
_SCALE_STEP = 1.035
_COARSE_SIDE = 64
_CANDIDATES = 6
_DIHEDRAL = ("", "turned by 90°", "turned by 180°", "turned by 270°", "mirrored")
_DIHEDRAL += ("mirrored and turned by 90°", "mirrored and turned by 180°", "mirrored and turned by 270°")


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
    """Return full-range BT.601 luma and chroma (JFIF) of (height, width, 3): float32 (3, height, width), 0..255."""
    planes: Plane = np.tensordot(_FROM_RGB, rgb.astype(np.float32), axes=(1, 2))
    planes[1:] += 128.0
    return planes


def box_weights(start: float, stop: float, size: int, cells: int) -> Plane:
    """Return the (cells, size) matrix that averages [start, stop) of ``size`` pixels into equal cells by area."""
    edges = np.linspace(start, stop, cells + 1)
    pixels = np.arange(size)
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + 1)
    cover = np.clip(high - low, 0.0, None)
    total = cover.sum(axis=1, keepdims=True)
    weights: Plane = (cover / np.where(total > 0, total, 1.0)).astype(np.float32)
    return weights


def resample(planes: Plane, rect: Rect, height: int, width: int) -> Plane:
    """Average a rectangle of (…, height, width) planes by area into a new grid."""
    rows, columns = planes.shape[-2:]
    down = box_weights(rect.top * rows, rect.bottom * rows, rows, height)
    across = box_weights(rect.left * columns, rect.right * columns, columns, width)
    result: Plane = down @ planes @ across.T
    return result


def turned(planes: Plane, turn: int) -> Plane:
    """Return one of the eight symmetries: mirrored left to right from 4 on, then turned counter-clockwise."""
    flipped = planes[..., ::-1] if turn >= 4 else planes
    return np.ascontiguousarray(np.rot90(flipped, turn % 4, axes=(-2, -1)))


class View:
    """A received picture in one of its eight symmetries, kept at full, half and quarter size."""

    def __init__(self, received: Plane, turn: int) -> None:
        self.turn = turn
        self._levels = [turned(received, turn)]
        for _ in range(2):
            height, width = self._levels[-1].shape[-2:]
            self._levels.append(resample(self._levels[-1], Rect(), max(1, height // 2), max(1, width // 2)))

    def part(self, rect: Rect, height: int, width: int, planes: slice = slice(None)) -> Plane:
        """Return a rectangle on a grid, from the smallest size that is still finer than the grid."""
        for level in reversed(self._levels):
            rows, columns = level.shape[-2:]
            if (rect.right - rect.left) * columns >= 1.3 * width and (rect.bottom - rect.top) * rows >= 1.3 * height:
                return resample(level[planes], rect, height, width)
        return resample(self._levels[0][planes], rect, height, width)

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self._levels[0].shape[-1] / self._levels[0].shape[-2]


def _unturned(rect: Rect, turn: int) -> Rect:
    """Map a rectangle of a turned picture back to the picture as received."""
    left, top, right, bottom = rect.left, rect.top, rect.right, rect.bottom
    for _ in range(turn % 4):  # undo one counter-clockwise quarter turn: (x, y) came from (1 - y, x)
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    return Rect(1 - right, top, 1 - left, bottom) if turn >= 4 else Rect(left, top, right, bottom)


def compare(received: Plane, sketch: Plane) -> Comparison:
    """Compare planes (3, height, width) of a received picture (512 pixels at most) with a sketch's (96 at most)."""
    views = [View(received, turn) for turn in range(8)]
    best = _align(views, sketch)
    ours, theirs = _overlay(views[best.turn], sketch, best)
    matched, blocks = _structure(ours[0], theirs[0])
    if blocks < MIN_BLOCKS or matched < MIN_MATCH:
        ours, theirs = _overlay(views[0], sketch, Alignment(0, Rect(), Rect()))
        return Comparison(_similarity(ours, theirs), same=False, changed=1.0, regions=(), alignment="none found")
    changed = _difference(ours, theirs)
    return Comparison(
        similarity=_similarity(ours, theirs),
        same=True,
        changed=float(changed.mean()),
        regions=tuple(_placed(region, best) for region in _regions(changed)),
        alignment=_in_words(best),
    )


def _placed(region: Rect, alignment: Alignment) -> tuple[float, float, float, float]:
    """Return a region of the compared area as (left, top, width, height) of the received picture."""
    frame = alignment.received
    width, height = frame.right - frame.left, frame.bottom - frame.top
    whole = Rect(
        frame.left + region.left * width,
        frame.top + region.top * height,
        frame.left + region.right * width,
        frame.top + region.bottom * height,
    )
    back = _unturned(whole, alignment.turn)
    return (back.left, back.top, back.right - back.left, back.bottom - back.top)


def _in_words(alignment: Alignment) -> str:
    words = [_DIHEDRAL[alignment.turn]] if alignment.turn else []
    if alignment.original.area < 0.95:
        words.append(f"cropped to {alignment.original.area:.0%}")
    if alignment.received.area < 0.95:
        words.append(f"set inside a larger picture, {alignment.received.area:.0%} of it")
    return ", ".join(words) or "as is"


# Alignment


def _overlay(
    view: View, sketch: Plane, alignment: Alignment, planes: slice = slice(None)
) -> tuple[Plane, Plane]:
    """Return the sketch's part and the received part on one grid, about as fine as the sketch."""
    rows, columns = sketch.shape[-2:]
    part = alignment.original
    height = max(BLOCK, round((part.bottom - part.top) * rows))
    width = max(BLOCK, round((part.right - part.left) * columns))
    return resample(sketch[planes], part, height, width), view.part(alignment.received, height, width, planes)


def _blocks(plane: Plane) -> Plane:
    """Cut into 8 × 8 blocks and remove each block's plane: (blocks, 64)."""
    rows, columns = (side // BLOCK for side in plane.shape)
    top, left = ((side % BLOCK) // 2 for side in plane.shape)
    body = plane[top : top + rows * BLOCK, left : left + columns * BLOCK]
    cut = body.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK * BLOCK)
    result: Plane = cut - (cut @ _SLOPES) @ _SLOPES.T
    return result


def _slopes() -> Plane:
    """Return an orthonormal basis of the planes over a block: constant, across, down; (64, 3)."""
    axis = np.arange(BLOCK) - (BLOCK - 1) / 2
    across, down = np.meshgrid(axis, axis)
    basis = np.stack([np.ones(BLOCK * BLOCK), across.ravel(), down.ravel()], axis=1)
    result: Plane = (basis / np.linalg.norm(basis, axis=0)).astype(np.float32)
    return result


_SLOPES = _slopes()


def _block_correlation(ours: Plane, theirs: Plane) -> tuple[Plane, Plane]:
    """Return each block's correlation and its weight: the original's contrast, 0 where there is no structure."""
    one, two = _blocks(ours), _blocks(theirs)
    strong_one, strong_two = (np.sqrt((blocks**2).mean(axis=1)) for blocks in (one, two))
    correlation = (one * two).mean(axis=1) / np.maximum(strong_one * strong_two, 1e-3)
    weight = np.where(np.maximum(strong_one, strong_two) >= TEXTURE, np.minimum(strong_one + 1.0, 20.0), 0.0)
    return correlation, weight.astype(np.float32)


def _structure(ours: Plane, theirs: Plane) -> tuple[float, int]:
    """Return the share of the structure that matches, and how many blocks have any."""
    correlation, weight = _block_correlation(ours, theirs)
    total = float(weight.sum())
    return (float(weight[correlation >= BLOCK_MATCH].sum()) / total if total else 0.0), int((weight > 0).sum())


def _score(view: View, sketch: Plane, alignment: Alignment) -> float:
    """Return the mean correlation of structured blocks, smooth enough to climb, deaf to changed regions."""
    ours, theirs = _overlay(view, sketch, alignment, _LUMA)
    correlation, weight = _block_correlation(ours[0], theirs[0])
    total = float(weight.sum())
    return float((np.clip(correlation, 0.0, 1.0) * weight).sum()) / total if total else 0.0


def _align(views: list[View], sketch: Plane) -> Alignment:
    """Return the best alignment found, trying the cheap and likely ones first."""
    whole = [Alignment(view.turn, Rect(), Rect()) for view in views]
    start = max(whole, key=lambda item: _score(views[item.turn], sketch, item))
    best, score = _refined(views[start.turn], sketch, start, (1.0, 0.5, 0.25))
    if score >= GOOD_SCORE:
        return best
    rough = [(score, best)]
    for candidate in _search(views, sketch):
        alignment, value = _refined(views[candidate.turn], sketch, candidate, (1.0,))
        rough.append((value - SEARCH_HANDICAP, alignment))
    rough.sort(key=lambda item: -item[0])
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


def _refined(
    view: View, sketch: Plane, start: Alignment, steps: tuple[float, ...]
) -> tuple[Alignment, float]:
    """Climb to the best alignment near ``start`` in steps of so many sketch pixels."""
    rows, columns = sketch.shape[-2:]
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
            value, at = max((_score(view, sketch, item), -place) for place, item in enumerate(moved))
            if value <= score + 1e-4:
                break
            best, score = moved[-at], value
    return best, score


def _search(views: list[View], sketch: Plane) -> list[Alignment]:
    """Return the likeliest alignments where one picture is a part of the other, by correlation over scales."""
    found: list[tuple[float, Alignment]] = []
    rows, columns = sketch.shape[-2:]
    small = resample(sketch[0], Rect(), *_fitted(columns / rows, _COARSE_SIDE))
    for view in views:
        # the received picture, made small, somewhere in the sketch: a crop
        pattern = view.part(Rect(), *_fitted(view.aspect, _COARSE_SIDE), _LUMA)[0]
        for rect, value in _placements(small, pattern, view.aspect):
            found.append((value, Alignment(view.turn, Rect(), rect)))
        # the sketch, made small, somewhere in the received picture: padding, a screenshot
        field = view.part(Rect(), *_fitted(view.aspect, round(1.5 * _COARSE_SIDE)), _LUMA)[0]
        for rect, value in _placements(field, sketch[0], columns / rows):
            found.append((value, Alignment(view.turn, rect, Rect())))
    found.sort(key=lambda item: -item[0])
    return [alignment for _, alignment in found[:_CANDIDATES]]


def _fitted(aspect: float, side: int) -> tuple[int, int]:
    """Return (height, width) of a picture with this aspect and longest side."""
    height, width = (side / aspect, side) if aspect >= 1 else (side, side * aspect)
    return max(BLOCK, round(height)), max(BLOCK, round(width))


def _placements(field: Plane, pattern: Plane, aspect: float) -> list[tuple[Rect, float]]:
    """Return the two best places, over scales, of a pattern in a field, with their correlation (0..1)."""
    rows, columns = field.shape
    matcher = _Matcher(field)
    largest = min(float(columns), rows * aspect)
    smallest = SMALLEST_SCALE * largest
    found = []
    width = largest
    while width >= smallest:
        size = (round(width / aspect), round(width))
        if min(size) >= BLOCK and size[0] <= rows and size[1] <= columns:
            value, top, left = matcher.best(resample(pattern, Rect(), *size))
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
    inner = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    return np.asarray(inner)


# Difference


def _similarity(ours: Plane, theirs: Plane) -> float:
    return max(0.0, _correlation(_toned(ours, theirs)[0], theirs[0]))


def _correlation(one: Plane, two: Plane) -> float:
    first, second = one - one.mean(), two - two.mean()
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / norm if norm > 1e-3 else 0.0


def _toned(ours: Plane, theirs: Plane) -> Plane:
    """Return the original as the received picture's tones show it: each of R, G, B is a cubic in itself plus a
    linear mixture of the other two, clipped to 0..255.

    Fitted by iteratively re-weighted least squares (Geman-McClure weights), so that changed regions do not
    pull; once from "no change" and once from scratch, which is taken only where it is much better.
    """
    shape = ours.shape[1:]
    source = np.tensordot(_TO_RGB, ours - _GREY, 1).reshape(3, -1).astype(np.float64)
    target = np.tensordot(_TO_RGB, theirs - _GREY, 1).reshape(3, -1).astype(np.float64)
    scaled = (source - 128.0) / 128.0
    toned = np.empty_like(source)
    for channel in range(3):
        own = scaled[channel]
        basis = np.stack([np.ones_like(own), *scaled, own**2, own**3], axis=1)
        kept, cost = _robust_fit(basis, target[channel], source[channel], (15.0, 10.0, 10.0))
        fresh, lower = _robust_fit(basis, target[channel], np.full_like(own, target[channel].mean()), _FALLING)
        toned[channel] = fresh if lower < FRESH_FIT * cost else kept
    return to_planes(np.clip(toned, 0.0, 255.0).reshape(3, *shape).transpose(1, 2, 0))


def _robust_fit(
    basis: NDArray[np.float64], wanted: NDArray[np.float64], fitted: NDArray[np.float64], scales: tuple[float, ...]
) -> tuple[NDArray[np.float64], float]:
    """Return the fit and its Geman-McClure cost at a scale of ten levels, from a first guess over falling scales."""
    ridge = 1e-3 * len(basis) * np.diag(_RIDGE)
    for scale in scales:
        weighted = basis * (1.0 / (1.0 + ((wanted - fitted) / scale) ** 2) ** 2)[:, None]
        fitted = basis @ np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ wanted)
    squares = ((wanted - fitted) / 10.0) ** 2
    return fitted, float((squares / (1.0 + squares)).mean())


def _spread(plane: Plane, kind: np.ufunc) -> Plane:
    """Return the minimum or maximum over 3 × 3 neighbours."""
    padded = np.pad(plane, 1, mode="edge")
    rows = kind(kind(padded[:-2], padded[1:-1]), padded[2:])
    result: Plane = kind(kind(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return result


def _smooth(plane: Plane) -> Plane:
    """Return the mean over 3 × 3 neighbours."""
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    result: Plane = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9.0
    return result


def _outside(one: Plane, two: Plane) -> Plane:
    """Return by how much each pixel of ``one`` leaves the range of the pixels around it in ``two``."""
    result: Plane = np.maximum(0.0, np.maximum(one - _spread(two, np.maximum), _spread(two, np.minimum) - one))
    return result


def _difference(ours: Plane, theirs: Plane) -> NDArray[np.bool_]:
    """Return which pixels of the grid changed beyond tone, blur, and a pixel's misplacement."""
    toned = _toned(ours, theirs)
    worst = np.zeros(ours.shape[1:], dtype=np.float32)
    for one, two in zip(toned, theirs, strict=True):
        worst = np.maximum(worst, _smooth(np.maximum(_outside(one, two), _outside(two, one))))
    changed: NDArray[np.bool_] = worst >= TONE_TOLERANCE
    changed = _smooth(changed.astype(np.float32)) > 0.5  # lone pixels and hairlines are misplacement, not change
    keep = np.zeros_like(changed)
    for members in _components(changed):
        if len(members) >= max(4, MIN_REGION * changed.size):
            keep[tuple(np.array(members).T)] = True
    return keep


def _components(mask: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Return the connected sets of true pixels; gaps of two pixels are bridged."""
    near = _spread(mask.astype(np.float32), np.maximum) > 0
    rows, columns = mask.shape
    unseen = {(int(row), int(column)) for row, column in zip(*np.nonzero(near), strict=True)}
    sets = []
    while unseen:
        stack = [unseen.pop()]
        members = []
        while stack:
            row, column = stack.pop()
            if mask[row, column]:
                members.append((row, column))
            for step in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if step in unseen:
                    unseen.remove(step)
                    stack.append(step)
        sets.append(members)
    return sets


def _regions(changed: NDArray[np.bool_]) -> list[Rect]:
    """Return the boxes round changed regions, largest first, as fractions of the grid."""
    rows, columns = changed.shape
    boxes = []
    for members in _components(changed):
        down, across = zip(*members, strict=True)
        boxes.append(
            Rect(min(across) / columns, min(down) / rows, (max(across) + 1) / columns, (max(down) + 1) / rows)
        )
    return sorted(boxes, key=lambda box: -box.area)
