"""How much each place of a picture hides: texture, edges, light. The amplitude of the mark follows it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from assay.watermark.hallmark.canvas import Plane

FLAT, TEXTURE, MOST = 0.75, 0.5, 6.0
"""Amplitude in grey levels before the strength: FLAT + TEXTURE * activity, at most MOST."""
NEAR, FAR = 7, 21
"""Sides of the two windows, in canonical pixels, in which activity is averaged."""
EDGE = 1.25
"""How far the activity near a place may exceed that of its surroundings: a lone edge hides little."""
DARK, LIGHT = 10.0, 245.0
"""Levels beyond which amplitude falls, to a third at black and at white."""


def amplitude(plane: Plane) -> Plane:
    """Return the root-mean-square amplitude in grey levels that each canonical pixel bears, float32.

    ``plane`` is canonical luma, 0..255. Activity is the mean magnitude of the high-passed luma, the smaller of
    a near and a far window, so that flat ground beside an edge stays clean and a lone edge is not overrated.
    """
    level = uniform_filter(uniform_filter(plane, NEAR, mode="nearest"), NEAR, mode="nearest")
    detail = np.abs(plane - level)
    near = uniform_filter(detail, NEAR, mode="nearest")
    far = uniform_filter(detail, FAR, mode="nearest")
    strength = FLAT + TEXTURE * np.minimum(near, EDGE * far)
    np.minimum(strength, MOST, out=strength)
    room = np.minimum(level / DARK, (255 - level) / (255 - LIGHT))
    strength *= np.clip((1 + 2 * room) / 3, 1 / 3, 1)
    return strength.astype(np.float32, copy=False)
