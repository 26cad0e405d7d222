"""A received picture laid over the sketch where a mark says that it lies, in any pose."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image

from assay.ledger.likeness.fingerprint import PdqFingerprinter
from assay.provenance.mark import Frame
from assay.provenance.media import Media

READER = PdqFingerprinter()
PERIOD = 1024
OFFSET = np.array((731.0, 390.0))


def sample(name: str) -> Image.Image:
    data = pytest.importorskip("skimage.data")
    return Image.fromarray(np.ascontiguousarray(getattr(data, name)()[..., :3]))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return sample("coffee")


def turning(turn: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Find out, from arrays that are turned, where three pixels of a canvas come to lie: (matrix, start)."""
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    turned = np.rot90(numbers, turn % 4)
    turned = turned[:, ::-1] if turn >= 4 else turned
    start, down, across = (np.argwhere(turned == numbers[at])[0] for at in ((0, 0), (1, 0), (0, 1)))
    return np.stack((down - start, across - start), 1).astype(float), start.astype(float)


def posed(
    photo: Image.Image, matrix: np.ndarray, middle: tuple[float, float], size: tuple[int, int]
) -> Image.Image:
    """Return (height, width) pixels round a place of the photograph; ``matrix`` takes steps back to it, rows first."""
    start = np.array(middle) - matrix @ (np.array(size) / 2)
    (a, b), (c, d) = matrix
    return photo.transform(
        size[::-1], Image.Transform.AFFINE, (d, c, start[1], b, a, start[0]), Image.BICUBIC
    )


def framed(
    photo: Image.Image,
    matrix: np.ndarray,
    middle: tuple[float, float],
    size: tuple[int, int],
    turn: int = 0,
    side: int = 640,
) -> Frame:
    """Return the frame of such a picture, as a mark with this turn at OFFSET tells it."""
    scale = side / math.sqrt(photo.width * photo.height)
    shape = (round(photo.height * scale), round(photo.width * scale))
    start = (np.array(middle) - matrix @ (np.array(size) / 2 - 0.5)) * scale - 0.5
    bent, first = turning(turn, shape)
    offset = (bent @ start + first + OFFSET) % PERIOD - OFFSET
    (a, b), (c, d) = (bent @ matrix * scale).tolist()
    return Frame((640, 320), turn, ((a, b), (c, d)), (float(offset[0]), float(offset[1])), PERIOD)


def rotation(degrees: float, scale: float = 1.0, aspect: float = 1.0) -> np.ndarray:
    """Return the steps back from a picture turned anticlockwise."""
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return turn @ np.diag((scale, scale * aspect))


def jpeg(image: Image.Image, quality: int = 75) -> Media:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Media.still(np.asarray(Image.open(buffer)))


POSES = {
    "whole": (rotation(0), (200, 300), (400, 600), "as is"),
    "17 degrees": (rotation(17), (200, 300), (400, 600), "turned by 17° anticlockwise, cropped to 8"),
    "123 degrees": (rotation(-123), (200, 300), (300, 300), "turned by 123° clockwise, cropped to 3"),
    "17 degrees, a quarter": (
        rotation(17),
        (190, 280),
        (200, 300),
        "turned by 17° anticlockwise, cropped to 25%",
    ),
    "a tenth, twice the size": (rotation(0, 0.5), (180, 290), (250, 380), "cropped to 10%"),
    "narrow": (rotation(0, 1, 1 / 0.9), (200, 300), (400, 540), "stretched by 11%"),
    "mirrored and cropped": (np.diag((1.0, -1.0)), (180, 290), (240, 360), "mirrored, cropped to 36%"),
    "in a page": (
        rotation(4, 1.3),
        (210, 290),
        (600, 800),
        "turned by 4° anticlockwise, set inside a larger",
    ),
}


@pytest.mark.parametrize("name", POSES)
def test_a_photograph_in_any_pose_is_laid_where_its_mark_says(photo, name):
    matrix, middle, size, words = POSES[name]
    received = jpeg(posed(photo, matrix, middle, size))
    sketch = READER.sketch(Media.still(np.asarray(photo)))
    found = READER.compare(received, sketch, framed(photo, matrix, middle, size, turn=len(name) % 8))
    assert found.same
    assert found.alignment.startswith(words)
    assert found.similarity > 0.95
    assert (found.changed, found.regions) == (0.0, ())


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.parametrize("side", [640, 320])
def test_however_the_mark_lay_on_the_original(photo, turn, side):
    pose = (rotation(30), (190, 310), (190, 270))
    sketch = READER.sketch(Media.still(np.asarray(photo)))
    found = READER.compare(jpeg(posed(photo, *pose)), sketch, framed(photo, *pose, turn=turn, side=side))
    assert found.same
    assert "turned by 30° anticlockwise, cropped to 21%" in found.alignment


def test_what_was_painted_over_is_found_in_the_received_picture(photo):
    pose = (rotation(25, 0.8), (200, 300), (300, 420))
    received = posed(photo, *pose)
    received.paste((40, 110, 190), (250, 60, 350, 160))
    sketch = READER.sketch(Media.still(np.asarray(photo)))
    found = READER.compare(jpeg(received), sketch, framed(photo, *pose))
    assert found.same
    (box,) = found.regions
    assert box == pytest.approx((250 / 420, 60 / 300, 100 / 420, 100 / 300), abs=0.08)
    assert found.changed == pytest.approx(100 * 100 / (300 * 420), abs=0.03)


def test_a_frame_that_is_wrong_hides_nothing_that_the_search_finds(photo):
    """The mark may have been copied from another place of the same photograph."""
    sketch = READER.sketch(Media.still(np.asarray(photo)))
    received = jpeg(photo.crop((60, 40, 540, 360)))
    wrong = framed(photo, rotation(40), (180, 250), (320, 480))
    assert READER.compare(received, sketch, wrong) == READER.compare(received, sketch)


@pytest.mark.parametrize("name", POSES)
@pytest.mark.parametrize("other", ["chelsea", "astronaut", "rocket"])
def test_another_photograph_in_the_same_pose_is_not_the_same(photo, name, other):
    matrix, middle, size, _ = POSES[name]
    stranger = sample(other).resize(photo.size)
    sketch = READER.sketch(Media.still(np.asarray(photo)))
    frame = framed(photo, matrix, middle, size)
    assert not READER.compare(jpeg(posed(stranger, matrix, middle, size)), sketch, frame).same


def test_a_part_without_structure_attaches_nothing(photo):
    """Two blank walls are alike everywhere."""
    sketch = READER.sketch(Media.still(np.asarray(photo)))
    blank = Media.still(np.full((100, 150, 3), 90, np.uint8))
    assert not READER.compare(blank, sketch, framed(photo, rotation(0), (60, 90), (100, 150))).same


@pytest.mark.parametrize(
    "frame",
    [
        Frame((640, 320), 0, ((1.0, 0.0), (0.0, 0.0)), (0.0, 0.0), PERIOD),
        Frame((640, 320), 3, ((math.nan, 0.0), (0.0, 1.0)), (0.0, 0.0), PERIOD),
        Frame((640, 320), 3, ((1.0, 0.0), (0.0, 1.0)), (math.inf, 0.0), PERIOD),
        Frame((640, 320), 7, ((1e3, 0.0), (0.0, 1e-2)), (0.0, 0.0), 1),
        Frame((640, 320), 7, ((1.0, 1e150), (1e-150, 2.0)), (1e300, -1e300), PERIOD),
        Frame((), 0, ((1.0, 0.0), (0.0, 1.0)), (0.0, 0.0), PERIOD),
    ],
    ids=["flat", "not a number", "endless", "a short period", "far away", "no side"],
)
def test_no_frame_breaks_the_comparison(photo, frame):
    sketch = READER.sketch(Media.still(np.asarray(photo)))
    assert READER.compare(jpeg(photo), sketch, frame) == READER.compare(jpeg(photo), sketch)
