"""What was done to a picture since it was marked, in words, from the pose in which its mark was found."""

from __future__ import annotations

import math

import numpy as np

from assay.provenance.mark import Frame
from assay.watermark.hallmark.canvas import SMALL
from assay.watermark.hallmark.spectrum import Matrix

TURNED = 0.3
"""Least rotation in degrees that is named."""
STRETCHED = 0.012
"""Least change of aspect that is named."""
PART = 0.02
"""Least difference of a side's share from 1 that is named."""


def told(frame: Frame, height: int, width: int, *, whole: bool) -> str:
    """Return in words what was done to a picture of ``height`` x ``width`` pixels, ``whole`` where nothing was.

    A picture reduced as a whole lies as before on its canvas, whose area is fixed: only cutting and adding borders
    change its scale. Which of two areas that is a small picture does not tell: shares are then left out.
    """
    if whole:
        return "whole"
    return _words(_steps(frame, height, width), sure_of_size=height * width >= SMALL)


def _steps(frame: Frame, height: int, width: int) -> Matrix:
    """Return what takes steps on the original's canvas to steps on the received picture's, rows first, (2, 2)."""
    turn = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), frame.turn % 4)
    if frame.turn > 3:
        turn = np.diag((1.0, -1.0)) @ turn
    share = frame.sides[0] / math.sqrt(height * width)
    steps: Matrix = share * np.linalg.inv(np.array(frame.matrix)) @ turn
    return steps


def _words(matrix: Matrix, *, sure_of_size: bool) -> str:
    """Return a few words for each change that a matrix makes."""
    words = []
    mirrored = float(np.linalg.det(matrix)) < 0
    upright = matrix @ np.diag((1.0, -1.0)) if mirrored else matrix
    # The nearest rotation, and what is left of it: the stretch (polar decomposition).
    left, sizes, right = np.linalg.svd(upright)
    rotation = left @ right
    angle = math.degrees(math.atan2(rotation[0, 1], rotation[0, 0]))
    if mirrored:
        words.append("mirrored")
    if abs(angle) >= TURNED:
        words.append(f"turned by {abs(round(angle, 1)):g}° {'anticlockwise' if angle < 0 else 'clockwise'}")
    aspect = float(sizes[0] / sizes[1]) - 1
    if aspect >= STRETCHED:
        words.append(f"stretched by {100 * aspect:.0f} %")
    share = 1 / float(sizes[0] * sizes[1])
    if not sure_of_size:
        words.append("a part, or set in a larger picture")
    elif share < (1 - PART) ** 2:
        words.append(f"a part, about {100 * share:.0f} % of the picture that was marked")
    elif share > (1 + PART) ** 2:
        words.append(f"set in a larger picture, of which it takes about {100 / share:.0f} %")
    return ", ".join(words) or "scaled, moved or cut at the edges"
