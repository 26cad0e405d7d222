"""Pictures that nobody took: strips, starkness, blanks. A mark is written and can be read, or it is refused."""

from __future__ import annotations

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import LimitError
from assay.provenance.media import Media
from assay.watermark.hallmark import read
from assay.watermark.hallmark.hearing import MOST_TILES, laid_out
from assay.watermark.hallmark.pattern import TILE
from assay.watermark.hallmark.scheme import Hallmark
from assay.watermark.hallmark.sync import Pose

ID = "00112233aabbccdd"
MARK = Hallmark()


def grey(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane.astype(np.uint8)[..., None], 3, axis=2)


def test_what_is_written_can_be_read(photo):
    rows, columns = np.mgrid[:600, :600]
    astronaut = photo("astronaut.png")
    pictures = {
        "checks": grey((rows // 4 + columns // 4) % 2 * 255),
        "dithered": np.asarray(Image.fromarray(astronaut).convert("1").convert("RGB")),
        "black": np.zeros((600, 600, 3), np.uint8),
        "nearly white": np.full((600, 600, 3), 254, np.uint8),
        "noise": np.random.default_rng(1).integers(0, 256, (600, 600, 3), np.uint8),
        "ramp": grey(columns * 255 // 599),
        "dark": astronaut // 32,
        "four levels": astronaut // 64 * 85,
        "in a corner": np.pad(photo("coffee.png")[:160, :160], ((0, 1000), (0, 1000), (0, 0))),
        "smallest": photo("coffee.png")[:128, :128],
    }
    written = set()
    for name, picture in pictures.items():
        try:
            marked = MARK.embed(Media.still(np.ascontiguousarray(picture)), ID)
        except LimitError:
            continue
        written.add(name)
        assert MARK.read(marked).mark.id == ID, name
    assert written >= {"ramp", "dark", "four levels", "in a corner", "smallest"}
    assert not written & {"checks", "dithered", "black", "nearly white"}


def test_long_identifiers_are_read_or_refused(photo):
    """A photograph in the corner of a black page: room for 64 bits, not for 256, which chance needs more to say."""
    picture = np.pad(photo("coffee.png")[:160, :160], ((0, 1000), (0, 1000), (0, 0)))
    with pytest.raises(LimitError, match="too small"):
        Hallmark(id_bits=256).embed(Media.still(picture), "5a" * 32)
    scheme = Hallmark(id_bits=128)
    assert scheme.read(scheme.embed(Media.still(picture), "5A" * 16)).mark.id == "5a" * 16


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (63, 5000), (64, 64)])
def test_nothing_is_found_in_slivers(photo, shape):
    picture = np.resize(photo("coffee.png"), (*shape, 3))
    assert not MARK.read(Media.still(picture)).found
    with pytest.raises(LimitError, match="too small"):
        MARK.embed(Media.still(picture), ID)


def test_a_strip_is_listened_to_once_a_canvas(photo, monkeypatch):
    """The longest canvas is the same at most sizes: its transform is of 6144 x 6144 numbers."""
    heard = []
    listen = read.by_network
    monkeypatch.setattr(read, "by_network", lambda plane: heard.append(plane.shape) or listen(plane))
    strip = np.tile(photo("coffee.png")[:64], (1, 34, 1))[:, :20000]
    assert not MARK.read(Media.still(strip)).found
    assert len(heard) == len(set(heard)) < len(read.SIZES)


def test_a_panorama_is_heard_to_both_its_ends(photo):
    parts = [
        Image.fromarray(photo(name)) for name in ("coffee.png", "astronaut.png", "rocket.jpg", "chelsea.png")
    ]
    parts = [part.resize((part.width * 150 // part.height, 150)) for part in parts]
    strip = np.hstack([np.asarray(part)[:, ::step] for step in (1, -1, 1) for part in parts])[:, -1800:]
    marked = MARK.embed(Media.still(np.ascontiguousarray(strip)), ID).frame()
    assert MARK.locate(Media.still(marked)).extent.holes == ()
    changed = marked.copy()
    changed[:, :110] = changed[:, -110:] = photo("astronaut.png")[200:350, 100:210]
    reading = MARK.locate(Media.still(changed))
    assert reading.mark.id == ID
    assert {round(left + width / 2) for left, _, width, _ in reading.extent.holes} == {0, 1}


@pytest.mark.parametrize(("rows", "columns", "degrees"), [(100, 4096, 0), (100, 4096, 45), (3000, 2900, 10)])
def test_a_region_is_bounded_and_about_the_middle(rows, columns, degrees):
    turn = math.radians(degrees)
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    bright = np.zeros((rows, columns), np.float32)
    bright[rows // 2 - 8 : rows // 2 + 8, columns // 2 - 8 : columns // 2 + 8] = 1
    (region,), _ = laid_out(Pose(matrix, np.zeros(2), 0.0), (bright,))
    assert region.size <= MOST_TILES * TILE**2
    assert degrees or region.shape[1] >= 4096
    assert np.abs(np.argwhere(region > 0.5).mean(0) - np.array(region.shape) / 2).max() <= TILE


def test_threads_share_one_scheme(photo):
    """Four pictures at a time, by one fresh object: the same samples and readings as one after another."""
    pictures = [Media.still(np.roll(photo("chelsea.png"), 40 * n, axis=1)) for n in range(4)]

    def pass_through(scheme: Hallmark, picture: Media) -> tuple[str, object]:
        marked = scheme.embed(picture, ID)
        return hashlib.sha256(marked.frame().tobytes()).hexdigest(), scheme.read(marked)

    shared = Hallmark([b"a secret nobody has used"])
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: pass_through(shared, picture), pictures))
    alone = [pass_through(Hallmark([b"a secret nobody has used"]), picture) for picture in pictures]
    assert together == alone
    assert all(reading.mark.id == ID for _, reading in together)
