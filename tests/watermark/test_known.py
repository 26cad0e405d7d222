from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from assay.provenance.media import Media
from assay.provenance.protocols import KnownMarks
from assay.watermark.dwtdctsvd import DwtDctSvd
from assay.watermark.known import ALARM, MESSAGES, GeneratorMarks

READER = GeneratorMarks()


def write(module, picture, message):
    """Mark as the generator does: the library's own code, on bytes or on floats."""
    kind = np.float32 if message.generator in {"stable-diffusion-xl", "flux"} else np.uint8
    method = module.EmbedMaxDct([int(b) for b in message.bits], wmLen=len(message.bits))
    marked = method.encode(picture[..., ::-1].astype(kind).copy())[..., ::-1]
    return np.clip(np.round(marked), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.generator)
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png"])
def test_reads_what_the_library_wrote(message, name, photo, library, saved):
    marked = write(library("maxDct"), photo(name), message)
    lighter = np.minimum(marked.astype(np.uint16) + 9, 255).astype(np.uint8)
    # Short texts less what repeats every byte leave little: after JPEG they are often not significant.
    short = message.generator in {"stable-diffusion-2", "invokeai"}
    compressed = [] if short else [saved(marked, quality=95)]
    for picture in (marked, lighter, *compressed):
        readings = READER.read(Media.still(picture))
        assert readings[0].mark is not None, readings[0]
        assert readings[0].mark.id == message.generator
        assert [r.scheme for r in readings if r.found] == [message.scheme]


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
    method = library("maxDct").EmbedMaxDct([int(b) for b in bits], wmLen=48)
    marked = method.encode(photo("astronaut.png")[..., ::-1].copy())[..., ::-1]
    assert not any(r.found for r in READER.read(Media.still(marked)))


def test_photographs_our_marks_and_degenerate_pictures_have_none(photo):
    rng = np.random.default_rng(4)
    pictures = [photo(n) for n in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")]
    pictures.append(DwtDctSvd().embed(Media.still(pictures[0]), "00112233aabb").frame())
    pictures += [np.full((512, 512, 3), v, np.uint8) for v in (0, 127, 255)]
    pictures += [
        np.full((512, 512, 3), (9, 9, 200), np.uint8),
        rng.integers(0, 256, (512, 512, 3), dtype=np.uint8),
    ]
    pictures.append(np.tile(rng.integers(0, 256, (1, 64, 3), dtype=np.uint8), (512, 16, 1)))
    for picture in pictures:
        assert not any(r.found for r in READER.read(Media.still(picture)))
    assert {r.reason for r in READER.read(Media.still(pictures[5]))} == {"no colour to read in"}
    for shape in ((1, 1), (200, 200), (3, 40_000)):
        assert {r.reason for r in READER.read(Media.still(np.zeros((*shape, 3), np.uint8)))} == {"too small"}


def test_corpus_photographs_have_none_and_p_values_are_not_optimistic(corpus):
    values = []
    for path in sorted((corpus / "real_clothing").iterdir())[:40] + sorted(
        (corpus / "real_imagenet").iterdir()
    ):
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"))
        values += [r.p_value for r in READER.read(Media.still(picture)) if r.p_value is not None]
    assert len(values) > 300
    assert min(values) > 1e4 * ALARM


def test_conforms_to_the_protocol():
    assert isinstance(READER, KnownMarks)
