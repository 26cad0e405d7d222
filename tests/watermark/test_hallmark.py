"""The default mark: read after attacks, under the right key only, placed and located; nothing read where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import LimitError, UsageError
from assay.provenance.media import Media
from assay.provenance.protocols import Watermark
from assay.watermark.hallmark.read import ALARM
from assay.watermark.hallmark.scheme import Hallmark

ID = "00112233445566aa"
NAMES = ("astronaut.png", "coffee.png", "rocket.jpg")
MARK = Hallmark()


def resized(picture, across, down=None):
    size = (round(picture.shape[1] * across), round(picture.shape[0] * (down or across)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def rotated(picture, degrees):
    return np.asarray(Image.fromarray(picture).rotate(degrees, Image.Resampling.BICUBIC))


def psnr(before, after):
    return 10 * np.log10(255**2 / ((before.astype(float) - after) ** 2).mean())


@pytest.fixture(scope="module")
def marked(photo):
    return {name: MARK.embed(Media.still(photo(name)), ID).frame() for name in NAMES}


ATTACKS = {
    "as is": lambda a, saved: a,
    "jpeg 30": lambda a, saved: saved(a, quality=30),
    "webp 50": lambda a, saved: saved(a, "WEBP", 50),
    "a third": lambda a, saved: resized(a, 0.37),
    "doubled": lambda a, saved: resized(a, 2),
    "stretched": lambda a, saved: resized(a, 0.91, 1.0),
    "a quarter of it": lambda a, saved: a[90 : 90 + a.shape[0] // 2, 70 : 70 + a.shape[1] // 2],
    "mirrored, turned": lambda a, saved: rotated(np.ascontiguousarray(a[:, ::-1]), 33),
    "half of it, smaller, jpeg 60": lambda a, saved: saved(resized(a[40:-60, 50:-90], 0.8), quality=60),
    "grey, darker": lambda a, saved: np.repeat(
        (np.asarray(Image.fromarray(a).convert("L")) * 0.7).astype(np.uint8)[..., None], 3, 2
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", NAMES)
def test_reads_after(attack, name, marked, saved):
    reading = MARK.read(Media.still(np.ascontiguousarray(ATTACKS[attack](marked[name], saved))))
    assert reading.mark is not None, reading
    assert reading.mark.id == ID
    assert reading.p_value < ALARM


def test_is_hardly_visible(marked, photo):
    for name, after in marked.items():
        assert psnr(photo(name), after) > 40.9, name


def test_is_a_watermark_of_ours():
    assert isinstance(MARK, Watermark)
    assert (MARK.scheme, MARK.id_bits) == ("io.assay.hallmark.1", 64)


def test_is_deterministic(photo, marked):
    again = Hallmark().embed(Media.still(photo("coffee.png")), ID).frame()
    assert (again == marked["coffee.png"]).all()


def test_other_keys_read_nothing_and_old_keys_still_read(photo):
    picture = photo("coffee.png")
    old, new = b"the first secret of a desk", b"its second secret, this year"
    marked = Hallmark([old]).embed(Media.still(picture), ID)
    assert not Hallmark([new]).read(marked).found
    assert not MARK.read(marked).found
    rotated_keys = Hallmark([new, old])
    assert rotated_keys.read(marked).mark.id == ID
    assert rotated_keys.read(rotated_keys.embed(Media.still(picture), ID)).mark.id == ID


def test_finds_nothing_where_nothing_is(photo):
    rng = np.random.default_rng(2)
    pictures = [photo("chelsea.png"), rng.integers(0, 256, (300, 400, 3), np.uint8)]
    pictures += [np.full((300, 300, 3), level, np.uint8) for level in (0, 128, 255)]
    stripes = np.zeros((400, 500, 3), np.uint8)
    stripes[:, ::7] = 255
    for picture in (*pictures, stripes):
        reading = MARK.read(Media.still(picture))
        assert not reading.found
        assert reading.p_value == 1.0


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (63, 4000), (64, 9000), (9000, 64), (65, 65)])
def test_shapes_of_every_sort_are_answered(shape):
    picture = np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)
    reading = MARK.read(Media.still(picture))
    assert not reading.found
    assert reading.reason in ("no mark", "too small")


def test_refuses_what_cannot_carry_it(photo):
    with pytest.raises(LimitError, match="too small"):
        MARK.embed(Media.still(photo("coffee.png")[:100, :300]), ID)
    with pytest.raises(LimitError, match="too flat"):
        MARK.embed(Media.still(np.full((600, 600, 3), 255, np.uint8)), ID)
    for malformed in ("", "00112233", "zz112233445566aa", ID + "00"):
        with pytest.raises(UsageError):
            MARK.embed(Media.still(photo("coffee.png")), malformed)
    with pytest.raises(UsageError):
        Hallmark(id_bits=100)


@pytest.mark.parametrize("side", [170, 220, 300])
def test_small_pictures_carry_it_too(side, photo, saved):
    small = np.asarray(Image.fromarray(photo("astronaut.png")).resize((side, side), Image.Resampling.LANCZOS))
    marked = MARK.embed(Media.still(small), ID).frame()
    assert psnr(small, marked) > 40.5
    assert MARK.read(Media.still(marked)).mark.id == ID
    assert MARK.read(Media.still(saved(marked, quality=90))).mark.id == ID


@pytest.mark.parametrize("bits", [128, 256])
def test_longer_identifiers_are_schemes_of_their_own(bits, photo, saved):
    scheme, long = Hallmark(id_bits=bits), "5a" * (bits // 8)
    marked = scheme.embed(Media.still(photo("coffee.png")), long).frame()
    assert scheme.scheme == f"io.assay.hallmark{bits}.1"
    assert scheme.read(Media.still(saved(marked, quality=75))).mark.id == long
    assert not MARK.read(Media.still(marked)).found


def test_knows_a_whole_picture_from_a_cut_one(marked, saved):
    whole = marked["coffee.png"]
    assert MARK.read(Media.still(whole)).aligned
    assert MARK.read(Media.still(saved(whole, quality=60))).aligned
    for cut in (
        whole[6:],
        whole[:, :-24],
        whole[:, ::-1],
        np.rot90(whole),
        np.pad(whole, ((0, 20), (0, 0), (0, 0))),
    ):
        reading = MARK.read(Media.still(np.ascontiguousarray(cut)))
        assert reading.found
        assert not reading.aligned


def test_a_copied_mark_is_not_read(marked, photo):
    """The exact change of one picture, added to another: the content of that one disagrees."""
    size = (600, 400)
    source, target = (
        np.asarray(Image.fromarray(photo(n)).resize(size)) for n in ("coffee.png", "chelsea.png")
    )
    change = MARK.embed(Media.still(source), ID).frame().astype(int) - source
    for gain in (1, 2):
        forged = np.clip(target + gain * change, 0, 255).astype(np.uint8)
        assert not MARK.read(Media.still(forged)).found


def test_says_where_it_is_missing(marked, photo, saved):
    picture = marked["astronaut.png"].copy()
    assert MARK.locate(Media.still(picture)).extent.holes == ()
    assert MARK.locate(Media.still(photo("astronaut.png"))).extent is None
    face = np.asarray(Image.fromarray(photo("chelsea.png")).resize((180, 180)))
    picture[60:240, 130:310] = face
    for attacked in (picture, saved(picture, quality=70)):
        found = MARK.locate(Media.still(attacked)).extent
        assert len(found.holes) == 1
        assert found.present + found.absent <= 1
        left, top, width, height = found.holes[0]
        middle = (left + width / 2, top + height / 2)
        assert 130 / 512 < middle[0] < 310 / 512
        assert 60 / 512 < middle[1] < 240 / 512


def test_a_secret_is_not_printed():
    voice = Hallmark([b"a secret nobody may read"]).voices[0]
    for shown in (voice, voice.pattern, voice.finder, voice.payload):
        assert "secret nobody" not in repr(shown)
        assert repr(voice.key) not in repr(shown)
