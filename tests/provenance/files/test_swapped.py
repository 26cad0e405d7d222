"""A file that somebody changes while it is examined: the digest and the samples are those of one and the same file."""

import hashlib
import io
import mmap
import os
import threading

import numpy as np
import pytest
from PIL import Image

from assay.provenance import sign as sign_line
from assay.provenance.claim import Claim
from assay.provenance.errors import AssayError, InputError
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


IN_PLACE = Limits(copied_bytes=100)


def by_mapping(path, data):
    """Through memory that was mapped, and written to, before the file was opened here."""
    MAPPED[0][:] = data


MAPPED = []


@pytest.fixture
def mapped(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(BLACK)
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as memory:
        memory[:] = BLACK  # these pages need no leave any more
        MAPPED.append(memory)
        yield path
        MAPPED.clear()


@pytest.mark.parametrize("back", [False, True], ids=["changed", "changed and changed back"])
@pytest.mark.parametrize("change", [in_place, by_mapping])
def test_a_large_file_changed_in_place_while_it_is_examined_is_no_report(mapped, change, back):
    """Without a private copy the digest and the picture may be of different bytes: that is never said."""

    def examined():
        with Subject.open(mapped, IN_PLACE) as subject:
            change(mapped, WHITE)
            assert (subject.picture().pixels == 255).all()
            assert COLOURS[subject.asset.digest.hex] == 0
            if back:
                change(mapped, BLACK)
                os.utime(mapped, ns=(0, subject._written_at[1]))

    with pytest.raises(InputError, match="changed or moved while") as caught:
        examined()
    assert caught.value.exit_code == 4


def test_a_large_file_that_nobody_touches_is_hashed_twice_and_its_errors_are_its_own(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(BLACK)
    with Subject.open(path, IN_PLACE) as subject:
        assert (subject.picture().pixels == 0).all()

    def failing():
        with Subject.open(path, IN_PLACE):
            in_place(path, WHITE)
            raise KeyError

    with pytest.raises(KeyError):
        failing()


def test_a_large_file_changed_while_it_is_signed_is_not_signed(desk, monkeypatch):
    source, target = desk.picture(), desk.path()
    desk.workspace.limits = IN_PLACE
    signing = sign_line._sign

    def meanwhile(*arguments, **named):
        source.write_bytes(source.read_bytes())
        return signing(*arguments, **named)

    monkeypatch.setattr(sign_line, "_sign", meanwhile)
    size = desk.workspace.log.size
    with pytest.raises(InputError, match="changed or moved while"):
        desk.workspace.sign_file(source, target, Claim(source_type="digitalCapture"))
    assert not target.exists()
    assert desk.workspace.log.size == size
