from __future__ import annotations

import io
import itertools
import zlib

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from assay.ledger.likeness.bands import MAX_DISTANCE, distance
from assay.ledger.likeness.fingerprint import SKETCH_SIDE, PdqFingerprinter, canonical, decode_sketch
from assay.provenance.errors import MalformedError
from assay.provenance.media import Media

READER = PdqFingerprinter()


def sample(name: str) -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(getattr(data, name)()[..., :3])


@pytest.fixture(scope="module", params=["astronaut", "chelsea", "coffee"])
def photo(request) -> np.ndarray:
    return sample(request.param)


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def resized(picture: np.ndarray, scale: float) -> np.ndarray:
    size = [max(1, round(side * scale)) for side in (picture.shape[1], picture.shape[0])]
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def cut(picture: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    height, width = picture.shape[:2]
    return picture[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]


def screenshot(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    page = np.full((int(1.6 * height), int(1.4 * width), 3), 245, np.uint8)
    page[: height // 10] = 60
    page[-height // 8 :] = 30
    page[height // 4 : height // 3, width // 10 : width] = 130
    top, left = int(0.4 * height), int(0.2 * width)
    page[top : top + height, left : left + width] = picture
    return jpeg(page, 70)


def painted(picture: np.ndarray, left: float, top: float, width: float, height: float) -> np.ndarray:
    """Paint something striped over a part."""
    rows, columns = picture.shape[:2]
    region = np.s_[
        int(top * rows) : int((top + height) * rows), int(left * columns) : int((left + width) * columns)
    ]
    edited = picture.copy()
    down, across = np.indices(edited[region].shape[:2])
    edited[region] = np.array([40, 110, 190]) + (20 * np.sin(across / 7 + down / 5))[..., None]
    return edited


def overlap(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    """Return intersection over union of (left, top, width, height)."""
    wide = min(one[0] + one[2], two[0] + two[2]) - max(one[0], two[0])
    tall = min(one[1] + one[3], two[1] + two[3]) - max(one[1], two[1])
    both = max(0.0, wide) * max(0.0, tall)
    return both / (one[2] * one[3] + two[2] * two[3] - both)


def pillow(action):
    return lambda picture: np.asarray(action(Image.fromarray(picture)))


REENCODINGS = {
    "as is": lambda p: p,
    "JPEG q30": lambda p: jpeg(p, 30),
    "half size, JPEG q75": lambda p: jpeg(resized(p, 0.5), 75),
    "1.7 times the size": lambda p: resized(p, 1.7),
    "blurred": pillow(lambda i: i.filter(ImageFilter.GaussianBlur(2))),
    "brighter": pillow(lambda i: ImageEnhance.Brightness(i).enhance(1.15)),
    "flatter": pillow(lambda i: ImageEnhance.Contrast(i).enhance(0.6)),
    "gamma 0.6": lambda p: (255 * (p / 255) ** 0.6).astype(np.uint8),
    "gamma 1.6": lambda p: (255 * (p / 255) ** 1.6).astype(np.uint8),
    "grey": pillow(lambda i: i.convert("L").convert("RGB")),
}


@pytest.mark.parametrize("name", REENCODINGS)
def test_a_reencoded_photograph_is_found_and_shows_no_change(photo, name):
    received = Media.still(np.ascontiguousarray(REENCODINGS[name](photo)))
    one, two = READER.fingerprint(Media.still(photo)), READER.fingerprint(received)
    assert distance(one.value, two.value) <= MAX_DISTANCE
    comparison = READER.compare(received, READER.sketch(Media.still(photo)))
    assert comparison.same
    assert comparison.alignment == "as is"
    assert comparison.similarity > 0.95
    assert (comparison.changed, comparison.regions) == (0.0, ())


@pytest.mark.parametrize("turn", range(8))
def test_turned_and_mirrored_photographs_are_found_and_laid_right(photo, turn):
    received = np.rot90(photo[:, ::-1] if turn >= 4 else photo, turn % 4)
    media = Media.still(jpeg(received, 60))
    original = READER.fingerprint(Media.still(photo))
    keys = READER.fingerprints(media)
    assert [key.alg for key in keys] == ["pdq"] * 8 + ["io.iscc.v0"]
    assert min(distance(original.value, key.value) for key in keys) <= MAX_DISTANCE
    comparison = READER.compare(media, READER.sketch(Media.still(photo)))
    assert comparison.same
    assert comparison.changed == 0.0
    assert (comparison.alignment == "as is") == (turn == 0)


@pytest.mark.parametrize(
    ("name", "attack", "words"),
    [
        ("cropped", lambda p: jpeg(cut(p, 0.2, 0.1, 0.9, 0.8), 60), "cropped to 4"),
        ("cropped and mirrored", lambda p: cut(p, 0.1, 0.2, 0.7, 0.9)[:, ::-1], "mirrored, cropped to 4"),
        ("padded", lambda p: np.pad(p, ((50, 50), (90, 90), (0, 0))), "set inside a larger picture"),
        ("screenshot", screenshot, "set inside a larger picture"),
    ],
)
def test_crops_and_screenshots_are_laid_over_their_original(photo, name, attack, words):
    comparison = READER.compare(
        Media.still(np.ascontiguousarray(attack(photo))), READER.sketch(Media.still(photo))
    )
    assert comparison.same
    assert words in comparison.alignment
    assert comparison.changed < 0.01


@pytest.mark.parametrize("box", [(0.3, 0.4, 0.25, 0.2), (0.5, 0.1, 0.4, 0.5), (0.05, 0.6, 0.3, 0.35)])
def test_a_painted_object_is_found_where_it_is(photo, box):
    original = READER.sketch(Media.still(photo))
    comparison = READER.compare(Media.still(jpeg(painted(photo, *box), 70)), original)
    assert comparison.same
    assert comparison.changed == pytest.approx(box[2] * box[3], abs=0.04)
    assert max(overlap(region, box) for region in comparison.regions) >= 0.6


def test_an_object_painted_out_is_found_too(photo):
    """The signed original had it; the received picture is clean."""
    box = (0.4, 0.3, 0.3, 0.3)
    comparison = READER.compare(
        Media.still(jpeg(photo, 80)), READER.sketch(Media.still(painted(photo, *box)))
    )
    assert comparison.same
    assert max(overlap(region, box) for region in comparison.regions) >= 0.6


def test_regions_are_given_in_the_received_picture(photo):
    """Painted, then mirrored: the region is where the viewer sees it."""
    box = (0.1, 0.2, 0.3, 0.3)
    received = Media.still(np.ascontiguousarray(painted(photo, *box)[:, ::-1]))
    comparison = READER.compare(received, READER.sketch(Media.still(photo)))
    seen = (1 - box[0] - box[2], *box[1:])
    assert comparison.same
    assert max(overlap(region, seen) for region in comparison.regions) >= 0.6
    turned = Media.still(np.rot90(painted(photo, *box)).copy())
    comparison = READER.compare(turned, READER.sketch(Media.still(photo)))
    seen = (box[1], 1 - box[0] - box[2], box[3], box[2])
    assert max(overlap(region, seen) for region in comparison.regions) >= 0.6


def test_regions_survive_a_screenshot(photo):
    box = (0.5, 0.1, 0.4, 0.4)
    comparison = READER.compare(
        Media.still(screenshot(painted(photo, *box))), READER.sketch(Media.still(photo))
    )
    seen = ((0.2 + box[0]) / 1.4, (0.4 + box[1]) / 1.6, box[2] / 1.4, box[3] / 1.6)
    assert comparison.same
    assert max(overlap(region, seen) for region in comparison.regions) >= 0.6


def test_different_pictures_are_not_the_same():
    pictures = [sample(name) for name in ("astronaut", "chelsea", "coffee")]
    for one in pictures:
        for two in pictures:
            if one is not two:
                comparison = READER.compare(Media.still(one), READER.sketch(Media.still(two)))
                assert not comparison.same
                assert (comparison.changed, comparison.regions) == (1.0, ())


def test_the_two_eyes_of_a_stereo_camera_are_not_the_same():
    left, right, _ = pytest.importorskip("skimage.data").stereo_motorcycle()
    comparison = READER.compare(Media.still(left), READER.sketch(Media.still(right)))
    assert not comparison.same


def test_flat_pictures_have_no_fingerprint_and_are_never_the_same():
    sky = np.linspace(120, 220, 300)[:, None, None] + np.zeros((300, 400, 3)) + np.array([0, 10, 30])
    sky = np.clip(sky, 0, 255).astype(np.uint8)
    noise = np.random.default_rng(1).integers(-2, 3, sky.shape)
    other = np.clip(sky.astype(int) + noise, 0, 255).astype(np.uint8)
    for picture in (sky, other, np.full((64, 64, 3), 7, np.uint8), np.zeros((1, 900, 3), np.uint8)):
        assert READER.fingerprint(Media.still(picture)) is None
        assert READER.fingerprints(Media.still(picture)) == []
    assert not READER.compare(Media.still(other), READER.sketch(Media.still(sky))).same


def test_neighbouring_frames_of_a_car_camera_are_not_the_same(corpus):
    frames = sorted((corpus / "detect" / "image" / "real_camvid").glob("*.png"))
    pictures = [np.asarray(Image.open(frame).convert("RGB")) for frame in frames]
    assert len(pictures) > 4
    for one, two in itertools.pairwise(pictures[:5]):
        assert not READER.compare(Media.still(one), READER.sketch(Media.still(two))).same


def test_real_photographs_survive_recompression_and_show_painted_parts(corpus):
    files = sorted((corpus / "detect" / "image" / "real_kodak").glob("*"))
    assert len(files) > 5
    box = (0.35, 0.3, 0.3, 0.3)
    for file in files:
        picture = np.asarray(Image.open(file).convert("RGB"))
        sketch = READER.sketch(Media.still(picture))
        clean = READER.compare(Media.still(jpeg(resized(picture, 0.5), 75)), sketch)
        assert clean.same
        assert clean.changed == 0.0
        edited = READER.compare(Media.still(jpeg(painted(picture, *box), 75)), sketch)
        assert edited.same
        assert max(overlap(region, box) for region in edited.regions) >= 0.6


@pytest.mark.parametrize("shape", [(1, 1), (7, 3000), (3000, 7), (4, 4), (2049, 2048)])
def test_odd_shapes_have_a_sketch_and_can_be_compared(shape):
    picture = np.random.default_rng(2).integers(0, 256, (*shape, 3)).astype(np.uint8)
    sketch = READER.sketch(Media.still(picture))
    assert max(decode_sketch(sketch).shape) <= SKETCH_SIDE
    assert 0.0 <= READER.compare(Media.still(picture), sketch).similarity <= 1.0


def test_the_canonical_picture_averages_by_area():
    picture = np.random.default_rng(3).integers(0, 256, (1024, 768, 3)).astype(np.uint8)
    blocks = picture.reshape(512, 2, 384, 2, 3).mean(axis=(1, 3))
    assert np.abs(canonical(picture).astype(float) - blocks).max() <= 1.0
    assert canonical(picture[:512, :512]).shape == (512, 512, 3)
    assert canonical(np.zeros((3000, 4000, 3), np.uint8)).shape == (384, 512, 3)


def test_a_sketch_is_the_picture_made_small(photo):
    planes = decode_sketch(READER.sketch(Media.still(photo)))
    height, width = photo.shape[:2]
    assert max(planes.shape[1:]) == SKETCH_SIDE
    assert planes.shape[1] / planes.shape[2] == pytest.approx(height / width, rel=0.02)
    small = np.asarray(
        Image.fromarray(photo).convert("YCbCr").resize(planes.shape[:0:-1], Image.Resampling.BOX)
    )
    assert np.abs(planes[0] - small[..., 0]).mean() < 1.5


def broken_sketches(good: bytes) -> dict[str, bytes]:
    bomb = zlib.compress(bytes(50_000_000), 9)
    return {
        "empty": b"",
        "magic": b"XXX" + good[3:],
        "version": good[:3] + b"\x02" + good[4:],
        "no body": good[:6],
        "zero width": good[:4] + b"\x00" + good[5:],
        "too wide": good[:4] + b"\xff" + good[5:],
        "another width": good[:4] + b"\x05" + good[5:],
        "cut short": good[:-10],
        "more behind": good + b"x",
        "damaged": good[:40] + bytes(20) + good[60:],
        "bomb": good[:6] + bomb,
    }


@pytest.mark.parametrize("name", broken_sketches(b"ASK\x01\x60\x60"))
def test_a_broken_sketch_is_refused(name):
    good = READER.sketch(Media.still(sample("chelsea")))
    with pytest.raises(MalformedError, match="sketch"):
        READER.compare(Media.still(sample("chelsea")), broken_sketches(good)[name])
