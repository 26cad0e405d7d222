"""Which numbers a detector by statistics is given: those of crops, or those of the picture as a whole."""

from __future__ import annotations

from functools import cache

from assay.detect.card import NATIVE
from assay.detect.crops import Crops
from assay.detect.statistics import Vector, describe, names
from assay.detect.view import describe_view, view_names


def described(crops: Crops, scale: str) -> Vector:
    """Return one vector a crop, float32 (n, length), by the scale at which a card's crops are cut."""
    return describe(crops) if scale == NATIVE else describe_view(crops)


@cache
def named(scale: str) -> tuple[str, ...]:
    """Return what each number is called, in their order."""
    return tuple(names() if scale == NATIVE else view_names())
