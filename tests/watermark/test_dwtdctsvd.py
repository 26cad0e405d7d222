from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import LimitError
from assay.provenance.media import Media
from assay.provenance.protocols import Watermark
from assay.watermark.blocks import blocks_at, low_band, top_singular
from assay.watermark.dwtdctsvd import ALARM, DwtDctSvd

ID = "00112233aabb"
MARK = DwtDctSvd()


def resized(picture, scale):
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def marked(photo):
    names = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
    return {name: MARK.embed(Media.still(photo(name)), ID).frame() for name in names}


ATTACKS = {
    "as is": lambda a, saved: a,
    "jpeg 75": lambda a, saved: saved(a),
    "jpeg 30": lambda a, saved: saved(a, quality=30),
    "webp 80": lambda a, saved: saved(a, "WEBP", 80),
    "grey": lambda a, saved: np.repeat(np.asarray(Image.fromarray(a).convert("L"))[..., None], 3, 2),
    "cropped, jpeg 75": lambda a, saved: saved(a[37:-41, 53:-30]),
    "flipped and turned": lambda a, saved: np.rot90(a[:, ::-1]),
    "half": lambda a, saved: resized(a, 0.5),
    "four fifths, jpeg 80": lambda a, saved: saved(resized(a, 0.8), quality=80),
    "doubled": lambda a, saved: resized(a, 2),
    "darker": lambda a, saved: np.round(a * 0.8).astype(np.uint8),
    "brighter": lambda a, saved: np.minimum(a.astype(np.uint16) + 15, 255).astype(np.uint8),
    "noisy": lambda a, saved: np.clip(a + np.random.default_rng(1).normal(0, 5, a.shape), 0, 255).astype(
        np.uint8
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"])
def test_reads_after(attack, name, marked, saved):
    reading = MARK.read(Media.still(ATTACKS[attack](marked[name], saved)))
    assert reading.mark is not None, reading
    assert reading.mark.id == ID
    assert reading.p_value < ALARM


def test_is_hardly_visible(marked, photo):
    for name, after in marked.items():
        change = after.astype(float) - photo(name)
        assert 10 * np.log10(255**2 / (change**2).mean()) > 42, name
        assert np.abs(change).max() <= 16, name
        # Chroma is left alone: all channels move together wherever none is at its end.
        before = photo(name)
        free = ((before > 16) & (before < 239)).all(-1)
        assert (change[free].max(-1) == change[free].min(-1)).all()


def test_the_sky_moves_by_two_levels_at_most(marked, photo):
    sky = (slice(0, 100), slice(90, 180))
    change = marked["rocket.jpg"][sky].astype(int) - photo("rocket.jpg")[sky]
    assert np.abs(change).max() <= 2
    assert change.std() < 1


def test_unmarked_pictures_and_other_keys_read_nothing(marked, photo, saved):
    for name in marked:
        assert not MARK.read(Media.still(photo(name))).found
    other = DwtDctSvd(b"another deployment")
    for name, picture in marked.items():
        assert other.read(Media.still(picture)).reason == "no mark", name
    both = other.embed(Media.still(marked["coffee.png"]), "ffeeddccbbaa").frame()
    assert other.read(Media.still(saved(both))).mark.id == "ffeeddccbbaa"


@pytest.mark.parametrize("level", [0, 128, 254, 255])
def test_blank_pictures_answer_only_once_marked(level):
    blank = np.full((300, 300, 3), level, np.uint8)
    assert not MARK.read(Media.still(blank)).found
    marked = MARK.embed(Media.still(blank), ID)
    assert MARK.read(marked).mark.id == ID
    assert np.abs(marked.frame().astype(int) - level).max() <= 4


def test_degenerate_pictures_do_not_answer():
    ramp = np.arange(400)
    rng = np.random.default_rng(5)
    pictures = [
        np.repeat((ramp[None] * np.ones((400, 1)) * 255 / 399)[..., None], 3, 2),
        np.repeat(((ramp[None] + ramp[:, None]) * 255 / 798)[..., None], 3, 2),
        rng.integers(0, 256, (400, 400, 3)),
        rng.integers(0, 2, (400, 400, 3)) * 255,
        np.kron(rng.integers(0, 256, (50, 50, 3)), np.ones((8, 8, 1))),
        np.tile(rng.integers(0, 256, (128, 160, 3)), (4, 4, 1)),
        np.indices((400, 400)).sum(0)[..., None] % 2 * np.full(3, 255),
    ]
    for picture in pictures:
        assert not MARK.read(Media.still(picture.astype(np.uint8))).found


def test_marks_of_the_library_are_not_ours(photo, library):
    method = library("dwtDctSvd").EmbedDwtDctSvd([1, 0, 1, 1] * 12, wmLen=48)
    theirs = method.encode(photo("astronaut.png")[..., ::-1].copy())[..., ::-1]
    assert not MARK.read(Media.still(theirs)).found


def test_small_and_thin_pictures():
    for shape in ((1, 1), (7, 9000), (9000, 7), (100, 100), (9, 3_000_000 // 9)):
        picture = Media.still(np.zeros((*shape, 3), np.uint8))
        assert not MARK.read(picture).found
        with pytest.raises(LimitError):
            MARK.embed(picture, ID)
    assert MARK.read(Media.still(np.zeros((100, 100, 3), np.uint8))).reason == "too small"


def test_large_pictures_carry_larger_blocks_and_survive_a_quarter_of_their_size(photo, saved):
    large = resized(photo("coffee.png"), 4)
    marked = MARK.embed(Media.still(large), ID).frame()
    assert marked.shape == large.shape
    assert MARK.read(Media.still(saved(resized(marked, 0.25)))).mark.id == ID
    assert MARK.read(Media.still(saved(marked[333:, 222:]))).mark.id == ID


def test_singular_values_agree_with_lapack_and_with_the_library(photo, library):
    luma = photo("chelsea.png").astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    blocks = blocks_at(low_band(luma), 0, 0)
    ours, left, right = top_singular(blocks)
    matrices = blocks.transpose(2, 3, 0, 1)
    assert np.abs(ours - np.linalg.svd(matrices, compute_uv=False)[..., 0]).max() < 0.5
    assert np.allclose((left * left).sum(0), 1, atol=1e-3)
    assert np.allclose((right * right).sum(0), 1, atol=1e-3)
    import cv2
    import pywt

    low = pywt.dwt2(luma[: luma.shape[0] // 4 * 4, : luma.shape[1] // 4 * 4], "haar")[0]
    theirs = np.array(
        [
            [np.linalg.svd(cv2.dct(low[i : i + 4, j : j + 4]))[1][0] for j in range(0, 4 * ours.shape[1], 4)]
            for i in range(0, 4 * ours.shape[0], 4)
        ]
    )
    assert np.abs(ours - theirs).max() < 0.5
    method = library("dwtDctSvd").EmbedDwtDctSvd(wmLen=1, scales=[0, 40, 0])
    bits = [
        [method.infer_dct_svd(low[i : i + 4, j : j + 4], 40) for j in range(0, 80, 4)]
        for i in range(0, 80, 4)
    ]
    agree = (ours[:20, :20] % 40 > 20) == np.array(bits, bool)
    assert agree.mean() > 0.99


def test_holds_on_photographs_of_the_corpus(corpus, saved):
    paths = (
        sorted((corpus / "real_imagenet").iterdir())[:8] + sorted((corpus / "real_deepface").iterdir())[:4]
    )
    kept = 0
    for number, path in enumerate(paths):
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"))
        identifier = np.random.default_rng(number).bytes(6).hex()
        marked = MARK.embed(Media.still(picture), identifier).frame()
        reading = MARK.read(Media.still(saved(marked)))
        assert not reading.found or reading.mark.id == identifier
        kept += reading.found
        assert not MARK.read(Media.still(picture)).found
    assert kept >= 0.95 * len(paths)


def test_only_whole_pictures_are_aligned(marked, saved):
    for name, whole in marked.items():
        for picture in (saved(whole), np.round(whole * 0.9).astype(np.uint8)):
            assert MARK.read(Media.still(picture)).aligned, name
        for part in (whole[:, :-16], whole[:-24], whole[:-128], whole[:, 160:], whole[3:], whole[:, ::-1]):
            reading = MARK.read(Media.still(part))
            assert reading.found, name
            assert not reading.aligned, name


def test_conforms_to_the_protocol():
    assert isinstance(MARK, Watermark)
