"""The journeys that every picture makes, cutting by cutting: what calibration and measuring look at."""

from __future__ import annotations

import numpy as np

from assay.detect.card import WHOLE
from assay.detect.crops import Crops, cut, places, viewed
from assay.detect.train.augment import STANDARD
from assay.detect.train.cuttings import Cuttings

HEARD = 4
"""Most cuttings of a picture that are heard after each standard journey."""
SQUARES = 2
"""Most squares of a whole picture that are looked at."""


def heard(cuttings: Cuttings, item: int, side: int, scale: str) -> list[Crops]:
    """Return what a network is given of one picture after each standard journey, in their order; none if too small."""
    if scale == WHOLE:
        # What encoders do to a picture of 1024 pixels is gone from its view.
        small = viewed(cuttings.view(item), side)
        boxes = places(small.shape[0], small.shape[1], side, SQUARES)
        return [cut(small, boxes) if boxes else np.zeros((0, side, side, 3), np.uint8)] * len(STANDARD)
    every = cuttings.all(item)
    half = len(every) // 2 if len(every) > 1 else 0
    own, shared = every[: half or 1][:HEARD], every[half:][:HEARD]
    return [own, *(_encoded(shared, journey) for journey in list(STANDARD)[1:])]


def _encoded(crops: Crops, journey: str) -> Crops:
    return np.stack([STANDARD[journey].encoded(crop) for crop in crops]) if len(crops) else crops
