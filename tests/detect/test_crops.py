"""Crops are cut at the picture's own scale, and flat or burnt ones say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from assay.detect.crops import ALIGNED, cut, places, telling


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        (191, 4000, 0),
        (192, 192, 1),
        (192, 3000, 9),
        (512, 512, 9),
        (3000, 4000, 9),
        (4000, 300, 9),
        (400, 250, 3),
    ],
)
def test_crops_lie_in_the_picture_on_the_grid_of_jpeg(height, width, count):
    boxes = places(height, width, 192, 9)
    assert len(boxes) == len(set(boxes))
    assert count - 1 <= len(boxes) <= 9 if count else not boxes
    for box in boxes:
        assert box.left % ALIGNED == box.top % ALIGNED == 0
        assert 0 <= box.left <= width - 192
        assert 0 <= box.top <= height - 192


def test_crops_reach_both_ends_and_begin_in_the_middle():
    boxes = places(1000, 2000, 192, 9)
    assert min(b.left for b in boxes) == 0
    assert max(b.left for b in boxes) >= 2000 - 192 - ALIGNED
    assert abs(boxes[0].left + 96 - 1000) < 500


def test_flat_and_burnt_crops_are_left_out():
    rng = np.random.default_rng(1)
    busy = rng.integers(60, 120, (64, 64, 3), np.uint8)
    crops = np.stack([busy, np.full_like(busy, 90), np.where(busy > 80, 255, busy).astype(np.uint8)])
    assert telling(crops).tolist() == [True, False, False]
    assert (cut(busy, places(64, 64, 64, 9))[0] == busy).all()
