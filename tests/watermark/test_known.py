from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import ConfigurationError
from assay.provenance.media import Media
from assay.provenance.protocols import KnownMarks
from assay.watermark.dwtdctsvd import DwtDctSvd
from assay.watermark.known import ALARM, MESSAGES, GeneratorMarks
from assay.watermark.known.messages import FLOATS
from assay.watermark.known.search import whole

READER = GeneratorMarks()
BY_NAME = {m.generator: m for m in MESSAGES}


def write(module, picture, message, red=False):
    """Mark as the generator does: the library's own code, on bytes or on floats, channels as it hands them over."""
    kind = np.float32 if message.domains[0] == FLOATS else np.uint8
    method = module.EmbedMaxDct([int(b) for b in message.bits], wmLen=len(message.bits))
    turn = 1 if red else -1
    marked = method.encode(picture[..., ::turn].astype(kind).copy())[..., ::turn]
    return np.clip(np.round(marked), 0, 255).astype(np.uint8)


def found(picture):
    """Return who marked the picture, and the strongest reading."""
    readings = READER.read(Media.still(np.ascontiguousarray(picture)))
    assert sum(r.found for r in readings) <= 1
    return readings[0].mark.id if readings[0].mark else None, readings[0]


def sized(picture, width, height, kernel=Image.Resampling.LANCZOS):
    return np.asarray(Image.fromarray(picture).resize((width, height), kernel))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.generator)
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png"])
def test_reads_what_the_library_wrote_also_from_jpeg_and_webp(message, name, photo, library, saved):
    marked = write(library("maxDct"), photo(name), message)
    lighter = np.minimum(marked.astype(np.uint16) + 9, 255).astype(np.uint8)
    for picture in (marked, lighter, saved(marked, quality=90), saved(marked, "WEBP", quality=95)):
        generator, reading = found(picture)
        assert generator == message.generator
        assert reading.aligned
        assert reading.details["domain"] == message.domains[0].name


def test_reads_jpeg_75_of_a_picture_as_large_as_generators_make(photo, library, saved):
    picture = sized(photo("astronaut.png"), 1024, 1024)
    for generator in ("stable-diffusion-xl", "stable-diffusion-2"):
        marked = write(library("maxDct"), picture, BY_NAME[generator])
        assert found(saved(marked, quality=75))[0] == generator


def test_reads_mirrored_cropped_resized_and_re_lit_pictures(photo, library, saved):
    message = BY_NAME["stable-diffusion-xl"]
    marked = write(library("maxDct"), photo("astronaut.png"), message)
    stretched = np.clip(np.round((marked - 128.0) * 1.5 + 128), 0, 255).astype(np.uint8)
    changed = {
        "mirrored": marked[:, ::-1],
        "cropped": saved(marked[13:490, 27:500], quality=95),
        "resized": sized(marked, 384, 384),
        "re-lit": stretched,
    }
    for name, picture in changed.items():
        generator, reading = found(picture)
        assert generator == message.generator, name
        assert reading.details["as"] in (name, "whole"), name
        assert reading.aligned == (reading.details["as"] == "whole")
    assert found(marked[13:490, 27:500])[1].details["offset"] == [3, 5]
    assert found(sized(marked, 1024, 1024))[1].details["marked_at"] == [512, 512]


def test_reads_the_mark_of_pipelines_that_exchanged_red_and_blue(photo, library):
    message = BY_NAME["stable-diffusion-xl"]
    generator, reading = found(write(library("maxDct"), photo("astronaut.png"), message, red=True))
    assert generator == message.generator
    assert reading.details["domain"] == "float, red for blue"


def test_flux_has_46_bits_and_texts_have_theirs():
    assert {m.generator: len(m.bits) for m in MESSAGES} == {
        "stable-diffusion-1": 136,
        "stable-diffusion-2": 32,
        "stable-diffusion-xl": 48,
        "flux": 46,
        "invokeai": 64,
    }


def test_another_message_is_nobodys(photo, library):
    bits = np.random.default_rng(3).integers(0, 2, 48)
    text = np.unpackbits(np.frombuffer(b"Pict", np.uint8))
    for message in (bits, text):
        method = library("maxDct").EmbedMaxDct([int(b) for b in message], wmLen=len(message))
        marked = method.encode(photo("astronaut.png")[..., ::-1].copy())[..., ::-1]
        assert found(marked)[0] is None


def test_photographs_our_marks_and_degenerate_pictures_have_none(photo):
    rng = np.random.default_rng(4)
    pictures = [photo(n) for n in ("chelsea.png", "coffee.png")]
    pictures.append(DwtDctSvd().embed(Media.still(pictures[0]), "00112233aabb").frame())
    pictures += [np.full((512, 512, 3), v, np.uint8) for v in (0, 255)]
    pictures += [
        np.full((256, 256, 3), (9, 9, 200), np.uint8),
        rng.integers(0, 256, (256, 256, 3), dtype=np.uint8),
        np.tile(rng.integers(0, 256, (1, 64, 3), dtype=np.uint8), (256, 4, 1)),  # stripes
        np.tile(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), (4, 4, 1)),  # tiles
    ]
    for picture in pictures:
        assert found(picture)[0] is None
    grey = np.repeat(pictures[0].mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    for picture in (pictures[3], grey):
        assert {r.reason for r in READER.read(Media.still(picture))} == {"no colour to read in"}
    for shape in ((1, 1), (200, 200), (3, 40_000)):
        assert {r.reason for r in READER.read(Media.still(np.zeros((*shape, 3), np.uint8)))} == {"too small"}
    for shape in ((64, 2000), (2000, 65)):
        assert found(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))[0] is None


def test_corpus_photographs_have_none_and_p_values_are_not_optimistic(corpus):
    values = []
    paths = [
        *sorted((corpus / "real_clothing").iterdir())[:30],
        *sorted((corpus / "real_bsds500").iterdir())[:50],
    ]
    for path in paths:
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"))
        values.append(min(f.log_chance for f in whole(picture)))
    assert len(values) == 80
    # The least of five tests, counted as five: one in a hundred falls below 1e-2.
    assert sum(v < -2 for v in values) <= 5
    assert min(values) > np.log10(1e4 * ALARM)


def test_a_network_that_is_not_ours_is_refused(monkeypatch):
    from assay.watermark.known import network

    network._layers.cache_clear()
    monkeypatch.setattr(network, "SHA256", "0" * 64)
    with pytest.raises(ConfigurationError, match="not the one published"):
        network.log_odds(np.zeros((32, 32), np.float32))


def test_conforms_to_the_protocol():
    assert isinstance(READER, KnownMarks)
