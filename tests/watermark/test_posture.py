"""Poses in words: what was done to a real picture is what is said."""

from __future__ import annotations

import numpy as np
import pytest

from assay.watermark.hallmark.posture import told


def turned(degrees):
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


UPRIGHT = np.eye(2)
MIRRORED = np.diag((1.0, -1.0))


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (UPRIGHT, "scaled, moved or cut at the edges"),
        (turned(10), "turned by 10° clockwise"),
        (turned(-90), "turned by 90° anticlockwise"),
        (turned(0.2), "scaled, moved or cut at the edges"),
        (MIRRORED, "mirrored"),
        (turned(3) @ MIRRORED, "mirrored, turned by 3° clockwise"),
        (UPRIGHT * 2, "a part, about 25 % of the picture that was marked"),
        (UPRIGHT * 0.8, "set in a larger picture, of which it takes about 64 %"),
        (np.diag((0.95, 1 / 0.95)), "stretched by 11 %"),
        (
            turned(-3) @ np.diag((1.1, 1.0)) * 1.5,
            "turned by 3° anticlockwise, stretched by 10 %, a part, about 40 %",
        ),
    ],
)
def test_each_change_is_named(matrix, words):
    assert told(matrix, whole=False).startswith(words)


def test_a_whole_picture_is_whole_and_a_small_one_is_of_unknown_size():
    assert told(UPRIGHT, whole=True) == "whole"
    assert "%" not in told(UPRIGHT * 2, whole=False, sure_of_size=False)
