"""Numbers of a picture as a whole, seen small: its detail at that scale, and its colours.

What encoders and sizes do to a picture is hardly to be seen in it any more; what is left is how light, colour and
sharpness lie in it. They tell styles apart, not traces: a photograph in the style of a generator counts as like one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.detect.crops import Crops
from assay.detect.statistics import Vector, describe_once, names_once

LEVELS = 4
"""Levels of each colour in the histogram."""
SATURATIONS = (0.1, 0.5, 0.9)
"""Quantiles of saturation."""
VALUES = (0.02, 0.1, 0.5, 0.9, 0.98)
"""Quantiles of the lightest of the three colours."""
_DARK = 1e-3
_LIGHT = 0.5


def describe_view(views: Crops) -> Vector:
    """Return one vector a view, float32 (n, LENGTH), of uint8 (n, side, side, 3) squares, side at least 64."""
    if not len(views):
        return np.zeros((0, len(view_names())), np.float32)
    return np.concatenate([describe_once(views), np.stack([_colours(view) for view in views])], 1)


def view_names() -> list[str]:
    """Return what each number of ``describe_view`` is, in its order."""
    bins = [f"colour bin {n}" for n in range(LEVELS**3)]
    means = [f"colour {what} {plane}" for what in ("mean", "spread") for plane in ("red", "green", "blue")]
    saturation = ["mean", "spread", *(f"quantile {q:g}" for q in SATURATIONS), "in light"]
    return [
        *names_once(),
        *bins,
        *means,
        *(f"colour saturation {what}" for what in saturation),
        *(f"colour value quantile {q:g}" for q in VALUES),
    ]


def _colours(view: NDArray[np.uint8]) -> Vector:
    pixels = view.reshape(-1, 3)
    coarse = pixels // (256 // LEVELS)
    bins = (coarse[:, 0].astype(np.intp) * LEVELS + coarse[:, 1]) * LEVELS + coarse[:, 2]
    shares = np.sqrt(np.bincount(bins, minlength=LEVELS**3) / len(bins))
    light = pixels.astype(np.float32) / 255
    value, least = light.max(1), light.min(1)
    saturation = (value - least) / (value + _DARK)
    found = [
        shares,
        light.mean(0),
        light.std(0),
        [saturation.mean(), saturation.std()],
        np.quantile(saturation, SATURATIONS),
        [float((saturation * (value > _LIGHT)).mean())],
        np.quantile(value, VALUES),
    ]
    return np.concatenate(found).astype(np.float32)
