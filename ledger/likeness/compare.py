"""Say whether a received picture shows what a sketch shows, and where they differ. NumPy only.

Once the two are laid over each other, one robust tone curve explains re-encoding, brightness, contrast, gamma
and colour casts; changed is what still differs by more than a neighbouring pixel would explain. Method and
limits: docs/formats/sketch.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.ledger.likeness.align import (
    BLOCK,
    SLIDE,
    Alignment,
    Area,
    Plane,
    Rect,
    align,
    block_correlation,
    overlay,
    sliding_correlation,
    to_planes,
    to_rgb,
    views_of,
)
from assay.ledger.likeness.framed import Lay, Mask, Received, fitted
from assay.provenance.mark import Frame
from assay.provenance.protocols import Comparison

BLOCK_MATCH = 0.85
"""Correlation from which on a block counts as the same."""
MIN_BLOCKS = 6
"""Fewest structured blocks on which two pictures can be called the same."""
MIN_MATCH = 0.55
"""Least share of structure (weighted by contrast) that must match."""
SEARCH_MARGIN = 1.5
"""Over the square root of the number of blocks: what a crop or frame must match beyond ``MIN_MATCH``."""
FRAME_MARGIN = 1.0
"""Over the number of blocks: what must match beyond ``MIN_MATCH`` where a mark said the place."""
WHOLE = 0.9
"""Share of either picture from which on an alignment counts as the plain overlay, only refined."""
TONE_TOLERANCE = 14.0
"""Levels of 255 by which a pixel may leave the range of its neighbours before it counts as changed."""
MIN_REGION = 0.004
"""Smallest changed region reported, as a share of the compared area."""
FRESH_FIT = 0.7
"""By how much a tone curve fitted from scratch must lower the robust cost to replace one near identity."""

_FALLING = (1e6, 60.0, 30.0, 15.0, 10.0, 10.0)
_RIDGE = (0.0, 1e-3, 1e-3, 1e-3, 1.0, 1.0)
_DIHEDRAL = (
    "",
    "turned by 90°",
    "turned by 180°",
    "turned by 270°",
    "mirrored",
    "mirrored and turned by 90°",
    "mirrored and turned by 180°",
    "mirrored and turned by 270°",
)


def compare(
    received: Plane, sketch: Plane, frame: Frame | None = None, size: tuple[int, int] = (0, 0)
) -> Comparison:
    """Compare planes (3, height, width): a received picture's, at most 512 pixels a side, a sketch's.

    ``frame`` says how the picture lies on the original, in pixels of its full ``size`` (height, width). Where the two
    do not agree there, the place is searched: the mark that told the frame may be a copy.
    """
    if frame and (found := compare_framed(Received(received), sketch, frame, size)):
        return found
    views, original = views_of(received), Area(sketch)
    best = align(views, original)
    ours, theirs = overlay(views[best.turn], original, best)
    matched, blocks = _structure(ours[0], theirs[0])
    if blocks < MIN_BLOCKS or matched < _needed(best, blocks):
        likeness = _similarity(*overlay(views[0], original, Alignment(0, Rect(), Rect())))
        return Comparison(likeness, same=False, changed=1.0, regions=(), alignment="none found")
    changed = _difference(ours, theirs, np.ones(ours.shape[1:], np.bool_))
    return Comparison(
        similarity=_similarity(ours, theirs),
        same=True,
        changed=float(changed.mean()),
        regions=tuple(_placed(region, best) for region in _regions(changed)),
        alignment=_in_words(best),
    )


def compare_framed(
    received: Received, sketch: Plane, frame: Frame, size: tuple[int, int]
) -> Comparison | None:
    """Compare where a frame says, None where the two do not agree there."""
    fit = fitted(frame, size, received, sketch)
    if fit is None:
        return None
    lay, window = fit
    ours = sketch[:, *window]
    theirs, covered = received.laid(lay, ours.shape[1:])
    correlation, weight = sliding_correlation(ours[0], theirs[0], covered)
    total = float(weight.sum())
    blocks = float((weight > 0).sum()) * (SLIDE / BLOCK) ** 2
    matching = float(weight[correlation >= BLOCK_MATCH].sum())
    if not blocks or matching < (MIN_MATCH + FRAME_MARGIN / blocks) * total:
        return None
    # a page or black corners round the picture shine through at the original's own edges
    inner = np.pad(np.ones((sketch.shape[1] - 2, sketch.shape[2] - 2), np.bool_), 1)[window]
    changed = _difference(ours, theirs, covered & inner)
    return Comparison(
        similarity=_similarity(ours, theirs, covered),
        same=True,
        changed=float(changed.sum() / covered.sum()),
        regions=tuple(_seen(lay, changed)),
        alignment=lay.words(covered.shape, covered.size / sketch[0].size),
    )


def _needed(alignment: Alignment, blocks: int) -> float:
    """Return the share of structure that must match.

    A search over places finds some match in any picture; the fewer the blocks, the better a wrong one looks.
    """
    if alignment.received.area >= WHOLE and alignment.original.area >= WHOLE:
        return MIN_MATCH
    return MIN_MATCH + SEARCH_MARGIN / float(np.sqrt(blocks))


def _unturned(rect: Rect, turn: int) -> Rect:
    """Map a rectangle of a turned picture back to the picture as received."""
    left, top, right, bottom = rect.left, rect.top, rect.right, rect.bottom
    for _ in range(turn % 4):  # undo one counter-clockwise quarter turn: (x, y) came from (1 - y, x)
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    return Rect(1 - right, top, 1 - left, bottom) if turn >= 4 else Rect(left, top, right, bottom)


def _structure(ours: Plane, theirs: Plane) -> tuple[float, int]:
    """Return the share of the structure that matches, and how many blocks have any."""
    correlation, weight = block_correlation(ours, theirs)
    total = float(weight.sum())
    matching = float(weight[correlation >= BLOCK_MATCH].sum())
    return (matching / total if total else 0.0), int((weight > 0).sum())


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


def _similarity(ours: Plane, theirs: Plane, covered: Mask | None = None) -> float:
    covered = np.ones(ours.shape[1:], np.bool_) if covered is None else covered
    return max(0.0, _correlation(_toned(ours, theirs, covered)[0][covered], theirs[0][covered]))


def _correlation(one: Plane, two: Plane) -> float:
    first, second = one - one.mean(), two - two.mean()
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / norm if norm > 1e-3 else 0.0


def _toned(ours: Plane, theirs: Plane, covered: Mask) -> Plane:
    """Return the original as the received picture's tones show it where it covers the original.

    Each of R, G, B is a cubic in itself plus a linear mixture of the other two, clipped to 0..255.

    Fitted by iteratively re-weighted least squares (Geman-McClure weights), so that changed regions do not
    pull; once from "no change" and once from scratch, which is taken only where it is much better.
    """
    shape = ours.shape[1:]
    source = to_rgb(ours).reshape(3, -1).astype(np.float64)
    target = to_rgb(theirs).reshape(3, -1).astype(np.float64)
    scaled = (source - 128.0) / 128.0
    counted = covered.ravel().astype(np.float64)
    toned = np.empty_like(source)
    for channel in range(3):
        own = scaled[channel]
        basis = np.stack([np.ones_like(own), *scaled, own**2, own**3], axis=1)
        kept, cost = _robust_fit(basis, target[channel], source[channel], (15.0, 10.0, 10.0), counted)
        flat = np.full_like(own, target[channel].mean(where=covered.ravel()))
        fresh, lower = _robust_fit(basis, target[channel], flat, _FALLING, counted)
        toned[channel] = fresh if lower < FRESH_FIT * cost else kept
    return to_planes(np.clip(toned, 0.0, 255.0).reshape(3, *shape).transpose(1, 2, 0))


def _robust_fit(
    basis: NDArray[np.float64],
    wanted: NDArray[np.float64],
    fitted: NDArray[np.float64],
    scales: tuple[float, ...],
    counted: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    """Return the fit reached from a first guess over falling scales, and its cost at ten levels.

    ``counted`` (pixels,) weighs them: 1, or 0 for those that say nothing.
    """
    ridge = 1e-3 * counted.sum() * np.diag(_RIDGE)
    for scale in scales:
        weighted = basis * (counted / (1.0 + ((wanted - fitted) / scale) ** 2) ** 2)[:, None]
        fitted = basis @ np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ wanted)
    squares = ((wanted - fitted) / 10.0) ** 2
    return fitted, float((counted * squares / (1.0 + squares)).sum() / counted.sum())


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
    above, below = one - _spread(two, np.maximum), _spread(two, np.minimum) - one
    result: Plane = np.maximum(0.0, np.maximum(above, below))
    return result


def _difference(ours: Plane, theirs: Plane, covered: Mask) -> Mask:
    """Return which covered pixels of the grid changed beyond tone, blur, and a pixel's misplacement."""
    toned = _toned(ours, theirs, covered)
    theirs = np.where(covered, theirs, toned)
    worst = np.zeros(ours.shape[1:], dtype=np.float32)
    for one, two in zip(toned, theirs, strict=True):
        worst = np.maximum(worst, _smooth(np.maximum(_outside(one, two), _outside(two, one))))
    changed: Mask = worst >= TONE_TOLERANCE
    changed = _smooth(changed.astype(np.float32)) > 0.5  # hairlines are misplacement, not change
    keep = np.zeros_like(changed)
    for members in _components(changed):
        if len(members) >= max(4, MIN_REGION * covered.sum()):
            keep[tuple(np.array(members).T)] = True
    return keep


def _components(mask: Mask) -> list[list[tuple[int, int]]]:
    """Return the connected sets of true pixels; gaps of two pixels are bridged."""
    near = _spread(mask.astype(np.float32), np.maximum) > 0
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


def _seen(lay: Lay, changed: Mask) -> list[tuple[float, float, float, float]]:
    """Return the boxes round changed regions as (left, top, width, height) of the received picture, largest first."""
    boxes = []
    for members in _components(changed):
        rows, columns = np.array(members).T
        boxes.append(lay.box(rows, columns, changed.shape))
    boxes.sort(key=lambda box: -box.area)
    return [(box.left, box.top, box.right - box.left, box.bottom - box.top) for box in boxes]


def _regions(changed: Mask) -> list[Rect]:
    """Return the boxes round changed regions, largest first, as fractions of the grid."""
    rows, columns = changed.shape
    boxes = []
    for members in _components(changed):
        down, across = zip(*members, strict=True)
        boxes.append(
            Rect(min(across) / columns, min(down) / rows, (max(across) + 1) / columns, (max(down) + 1) / rows)
        )
    return sorted(boxes, key=lambda box: -box.area)
