"""Memory used again from answer to answer: never another file's samples, never under somebody's view."""

import gc
import os
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.provenance.files import arena
from assay.provenance.files.picture import decode, decode_isolated
from assay.provenance.files.worker import Answer, buffer, run
from assay.provenance.limits import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="answers' memory is used again on Linux only")


@pytest.fixture(autouse=True)
def _cold():
    """Leave no memory of other tests' answers."""
    gc.collect()
    while arena._warm:
        os.close(arena._warm.pop()[1])


def filled(value, size, limits):
    def work(_):
        room = buffer(size)
        seen = max(bytes(room))
        room[:] = bytes([value]) * size
        return Answer({"seen": seen}, (room,))

    return run(work, BytesIO(), limits)


@pytest.mark.parametrize("size", [1, 5000, 3 << 20])
def test_memory_used_again_is_zeroed(size):
    limits = Limits(answer_bytes=64 << 20)
    for value in (7, 8, 9):
        answer = filled(value, size, limits)
        assert answer.header == {"seen": 0}
        assert bytes(answer.blobs[0][:1]) == bytes([value])
        del answer
    assert len(arena._warm) == 1


def test_memory_that_somebody_looks_at_is_not_used_again():
    limits = Limits(answer_bytes=64 << 20)
    held = [np.frombuffer(filled(value, 5000, limits).blobs[0], np.uint8) for value in range(1, 6)]
    assert [int(view[4999]) for view in held] == [1, 2, 3, 4, 5]
    assert arena._warm == []
    held.clear()
    gc.collect()
    assert len(arena._warm) == arena.WARM_ARENAS


def test_a_child_that_writes_far_up_leaves_nothing_there_and_much_is_not_kept():
    far = arena.WARM_BYTES + (1 << 20)
    limits = Limits(answer_bytes=far + 5000)

    def litter(_):
        whole = buffer(far + 4000)
        whole[far] = 1
        return Answer({})

    run(litter, BytesIO(), limits)
    assert len(arena._warm) == 1  # two pages

    def look(_):
        return Answer({"far": buffer(far + 4000)[far]})

    assert run(look, BytesIO(), limits).header == {"far": 0}
    filled(1, far, limits)
    assert arena._warm == []


def test_the_size_of_the_memory_cannot_be_changed():
    """A child that shrank it would kill a parent that reads it (SIGBUS)."""
    descriptor = arena._descriptor(1 << 20)
    try:
        for size in (0, 2 << 20):
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def test_descriptors_do_not_grow_in_number():
    limits = Limits(answer_bytes=1 << 20)
    filled(1, 10, limits)
    before = open_files()
    for number in range(20):
        filled(number, 10, replace_size(limits, number))
    assert open_files() <= before + arena.WARM_ARENAS


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def replace_size(limits, number):
    return Limits(answer_bytes=limits.answer_bytes + 4096 * (number % 3))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_decoding_in_place_gives_the_library_s_own_samples(kind, mode):
    """At widths where a strip ends within the picture, after a picture of other colours in the same memory."""
    random = np.random.default_rng(5)
    for width, height in ((301, 257), (17000, 3), (1, 1)):
        if kind in ("AVIF", "HEIF", "WEBP") and width > 16383:
            continue
        noise = random.integers(0, 256, (height, width, 3), np.uint8)
        out = BytesIO()
        Image.fromarray(noise).convert(mode).save(out, kind)
        wanted = np.asarray(Image.open(out).convert("RGB"))
        assert (decode(out).pixels == wanted).all()
        assert (decode_isolated(out).pixels == wanted).all()


def test_a_picture_that_breaks_off_shows_nothing_of_the_one_before():
    """Where a decoder leaves rows unwritten they are black, whatever the memory held."""
    noise = np.random.default_rng(6).integers(1, 256, (200, 300, 3), np.uint8)
    whole = BytesIO()
    Image.fromarray(noise).save(whole, "BMP")
    assert decode_isolated(whole).pixels.min() > 0

    def unwritten(_):
        return Answer({"seen": max(bytes(buffer(200 * 300 * 4)))})

    assert run(unwritten, BytesIO(), Limits()).header == {"seen": 0}
