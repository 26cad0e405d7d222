"""How much each place of a picture hides: texture, edges, light. The amplitude of the mark follows it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter, uniform_filter

from assay.watermark.hallmark.canvas import Plane

FLAT, TEXTURE, MOST = 0.9, 0.6, 6.0
"""Amplitude in grey levels before the strength: FLAT + TEXTURE * activity, at most MOST."""
NEAR, FAR, BLEND = 7, 21, 5
"""Sides in canonical pixels of the windows in which activity is averaged, and of the one that smooths the result."""
EDGE = 1.25
"""How far the activity near a place may exceed that of its surroundings: a lone edge hides little."""
DARK, LIGHT = 10.0, 245.0
"""Levels beyond which amplitude falls, to a third at black and at white."""


def amplitude(plane: Plane) -> Plane:
    """Return the root-mean-square amplitude in grey levels that each canonical pixel bears, float32.

    ``plane`` is canonical luma, 0..255. Activity is the mean magnitude of the high-passed luma in the calmest
    near window that holds the place, so that flat ground beside an edge stays clean, and not much more than
    that of a far window, so that a lone edge is not overrated.
    """
    level = uniform_filter(plane, NEAR, mode="nearest")
    detail = np.abs(plane - level)
    near = minimum_filter(uniform_filter(detail, NEAR, mode="nearest"), NEAR, mode="nearest")
    far = uniform_filter(detail, FAR, mode="nearest")
    activity = uniform_filter(np.minimum(near, EDGE * far), BLEND, mode="nearest")
    strength = np.minimum(FLAT + TEXTURE * activity, MOST)
    room = np.minimum(level / DARK, (255 - level) / (255 - LIGHT))
    borne: Plane = (strength * np.clip((1 + 2 * room) / 3, 1 / 3, 1)).astype(np.float32)
    return borne
