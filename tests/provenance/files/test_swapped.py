"""A file that somebody changes while it is examined: the digest and the samples are those of one and the same file."""

import hashlib
import io
import os
import threading

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import AssayError
from assay.provenance.limits import Limits
from assay.provenance.subject import Subject


def flat(level):
    """Return a PNG of one grey, the same number of bytes for every grey."""
    out = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), level, np.uint8)).save(out, "PNG", compress_level=0)
    return out.getvalue()


BLACK, WHITE = flat(0), flat(255)
COLOURS = {hashlib.sha256(BLACK).hexdigest(): 0, hashlib.sha256(WHITE).hexdigest(): 255}


def by_renaming(path, data):
    beside = path.with_suffix(".new")
    beside.write_bytes(data)
    beside.replace(path)


def in_place(path, data):
    with path.open("r+b") as stream:
        stream.write(data)


@pytest.mark.parametrize("swap", [by_renaming, in_place])
def test_what_is_hashed_is_what_is_decoded(tmp_path, swap):
    """The digest may be of a mixture, which then does not decode; it is never of another picture."""
    assert len(BLACK) == len(WHITE)
    path = tmp_path / "picture.png"
    path.write_bytes(BLACK)
    stop = threading.Event()
    swaps = 0

    def swapping():
        nonlocal swaps
        while not stop.is_set():
            swap(path, WHITE if swaps % 2 == 0 else BLACK)
            swaps += 1

    thread = threading.Thread(target=swapping)
    thread.start()
    seen = set()
    try:
        for _ in range(60):
            try:
                with Subject.open(path) as subject, subject.reopen() as again:
                    pixels = subject.picture().pixels
                    assert again.read() == subject.stream.read()
            except AssayError:
                continue
            level = COLOURS[subject.asset.digest.hex]
            assert (pixels == level).all()
            seen.add(level)
    finally:
        stop.set()
        thread.join()
    assert swaps > 60
    assert seen


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no sealed memory here")
def test_the_copy_is_sealed_and_a_file_over_the_limit_is_read_where_it_lies(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(BLACK)
    with Subject.open(path) as subject:
        number = os.open(f"/proc/self/fd/{subject.stream.fileno()}", os.O_RDWR)
        with pytest.raises(PermissionError):
            os.pwrite(number, b"x", 0)
        os.close(number)
        in_place(path, WHITE)
        assert (subject.picture().pixels == 0).all()
    with Subject.open(path, Limits(copied_bytes=100)) as subject:
        assert os.path.samestat(os.fstat(subject.stream.fileno()), path.stat())
        assert (subject.picture().pixels == 255).all()
        assert subject.asset.digest.hex in COLOURS
