"""What was done to a picture since it was marked, in words, from the pose in which its mark was found."""

from __future__ import annotations

import math

import numpy as np

from assay.watermark.hallmark.spectrum import Matrix

TURNED = 0.3
"""Least rotation in degrees that is named."""
STRETCHED = 0.012
"""Least change of aspect that is named."""
PART = 0.02
"""Least difference of a side's share from 1 that is named."""


def told(matrix: Matrix, *, whole: bool, sure_of_size: bool = True) -> str:
    """Return a few words for each thing that was done, ``whole`` where nothing was.

    ``matrix`` (2, 2) takes steps on the canvas of the picture that was marked to steps on the canvas of the one
    that was received, both of the canonical area, rows first: a picture reduced as a whole gives the identity, so
    that only cutting and adding borders change its scale. ``sure_of_size`` is false where the marked picture may
    have had a canvas of another area, as small pictures do: shares are then left out.
    """
    if whole:
        return "whole"
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
