"""Where a mark is missing: pasted faces show as holes, what is whole and honest shows none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from assay.provenance.mark import Extent
from assay.provenance.media import Media
from assay.provenance.protocols import LocatingWatermark
from assay.watermark.dwtdctsvd import DwtDctSvd
from assay.watermark.hallmark.canvas import luma
from assay.watermark.hallmark.scheme import Hallmark
from assay.watermark.hallmark.where import ground
from assay.watermark.trial.changes import cropped, jpeg, resized, rotated

ID = "00112233445566aa"
MARK = Hallmark()
TRIES, LEAST = 6, 5
"""Photographs of the corpus tried here, and pastes that must show; bench/holes.py tries hundreds."""


def holes(picture):
    extent = MARK.locate(Media.still(np.ascontiguousarray(picture))).extent
    assert extent is not None
    return extent.holes


def marked(picture):
    return MARK.embed(Media.still(picture), ID).frame()


def with_face(picture, face, top, left):
    """Paste an ellipse."""
    height, width = face.shape[:2]
    down, across = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    changed = picture.copy()
    part = changed[top : top + height, left : left + width]
    part[:] = np.where((down**2 + across**2 <= 1)[..., None], face, part)
    return changed


def touches(hole, top, left, height, width, picture):
    rows, columns = picture.shape[:2]
    centre = ((left + width / 2) / columns, (top + height / 2) / rows)
    return hole[0] < centre[0] < hole[0] + hole[2] and hole[1] < centre[1] < hole[1] + hole[3]


def test_hallmark_locates_and_the_first_scheme_does_not():
    assert isinstance(MARK, LocatingWatermark)
    assert not isinstance(DwtDctSvd(), LocatingWatermark)


@pytest.mark.parametrize("passage", ["as is", "jpeg 60, half size", "turned by 5 degrees"])
def test_a_replaced_face_is_a_hole_and_the_only_one(passage, photo):
    picture = marked(photo("coffee.png"))
    assert holes(picture) == ()
    face = photo("astronaut.png")[60:200, 160:280]
    changed = with_face(picture, face, 150, 300)
    if passage == "turned by 5 degrees":
        found = holes(rotated(5)(changed, None))
        assert len(found) == 1
    else:
        if passage != "as is":
            changed = resized(0.5)(jpeg(60)(changed, None), None)
        scale = changed.shape[1] / picture.shape[1]
        found = holes(changed)
        assert len(found) == 1
        assert touches(found[0], 150 * scale, 300 * scale, 140 * scale, 120 * scale, changed)


@pytest.mark.parametrize("name", ["coffee.png", "rocket.jpg"])
@pytest.mark.parametrize(
    "change", [jpeg(60), resized(0.5), rotated(5), cropped(0.5)], ids=["jpeg60", "half", "turned", "cropped"]
)
def test_a_whole_picture_has_no_hole_after(change, name, photo):
    changed = change(marked(photo(name)), np.random.default_rng(1))
    assert holes(changed) == ()


def test_bars_and_black_corners_are_no_ground(photo):
    picture = photo("coffee.png")
    barred = np.pad(picture, ((60, 60), (0, 0), (0, 0)))
    cover = ground(luma(barred, barred.shape[:2]))
    assert not cover[:55].any()
    assert not cover[-55:].any()
    assert cover[80:-80].mean() > 0.98
    assert ground(luma(picture, picture.shape[:2])).mean() > 0.98


def test_bars_round_a_marked_picture_are_no_holes(photo):
    picture = marked(photo("coffee.png"))
    assert holes(jpeg(75)(np.pad(picture, ((70, 70), (0, 0), (0, 0))), None)) == ()


def test_pasted_faces_show_in_photographs_of_others(corpus):
    paths = sorted((corpus / "real_kodak").iterdir())[:TRIES]
    shown = 0
    for number, path in enumerate(paths):
        with Image.open(path) as image, Image.open(paths[number - 1]) as other:
            picture = marked(np.asarray(image.convert("RGB")))
            stranger = np.asarray(other.convert("RGB"))
        height, width = (round(n * np.sqrt(picture.shape[0] * picture.shape[1])) for n in (0.24, 0.2))
        top, left = (n // 3 for n in (picture.shape[0] - height, picture.shape[1] - width))
        face = stranger[top : top + height, left : left + width]
        found = holes(jpeg(75)(with_face(picture, face, top, left), None))
        shown += any(touches(hole, top, left, height, width, picture) for hole in found)
    assert shown >= LEAST


def test_a_region_and_a_hole_show_the_same_place_where_half_of_the_smaller_one_is_shared():
    extent = Extent(0.8, 0.1, ((0.2, 0.2, 0.2, 0.2),))
    assert extent.misses((0.2, 0.2, 0.2, 0.2))
    assert extent.misses((0.25, 0.25, 0.05, 0.05))
    assert extent.misses((0.0, 0.0, 1.0, 1.0))
    assert not extent.misses((0.31, 0.2, 0.2, 0.2))
    assert not extent.misses((0.6, 0.6, 0.2, 0.2))
    assert not extent.misses((0.4, 0.2, 0.0, 0.2))
    assert not Extent(1.0, 0.0, ()).misses((0.2, 0.2, 0.2, 0.2))
