import errno
from pathlib import Path

import pytest

from assay.provenance.errors import AssayError, UsageError
from assay.provenance.files.atomic import atomic_output, refuse_same_file


def test_nothing_is_visible_before_the_end(tmp_path):
    target = tmp_path / "out"
    with atomic_output(target) as stream:
        stream.write(b"whole")
        assert not target.exists()
        stream.seek(0)
        assert stream.read() == b"whole"
    assert target.read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_any_error_leaves_the_old_file_and_no_rubbish(tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")

    def interrupted():
        with atomic_output(target, overwrite=True) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_overwrite_replaces_and_keeps_the_rights(tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with atomic_output(target, overwrite=True) as stream:
        stream.write(b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_an_existing_file_is_never_replaced_unasked(tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(UsageError, match="exists already"), atomic_output(target):
        pytest.fail("opened")
    target.unlink()

    def overtaken():
        with atomic_output(target) as stream:
            stream.write(b"mine")
            target.write_bytes(b"theirs")  # made meanwhile

    with pytest.raises(UsageError, match="exists already"):
        overtaken()
    assert target.read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_with_advice(tmp_path):
    with pytest.raises(AssayError, match="disk is full") as caught, atomic_output(tmp_path / "out"):
        Path("/dev/full").write_bytes(b"x")
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_other_failures_of_the_block_stay_what_they_are(tmp_path):
    with pytest.raises(OSError) as caught, atomic_output(tmp_path / "out"):
        raise OSError(errno.EIO, "broken cable")
    assert not isinstance(caught.value, AssayError)


def test_missing_folder_and_folder_as_target(tmp_path):
    with pytest.raises(UsageError, match="folder does not exist"), atomic_output(tmp_path / "no" / "out"):
        pytest.fail("opened")
    with pytest.raises(UsageError, match="is a folder"), atomic_output(tmp_path, overwrite=True):
        pytest.fail("opened")


def test_same_file_by_name_link_and_hard_link(tmp_path):
    source = tmp_path / "a"
    source.write_bytes(b"x")
    (tmp_path / "soft").symlink_to(source)
    (tmp_path / "hard").hardlink_to(source)
    for other in ("a", "soft", "hard", "./a"):
        with pytest.raises(UsageError, match="same file"):
            refuse_same_file(source, tmp_path / other)
    refuse_same_file(source, tmp_path / "b")
