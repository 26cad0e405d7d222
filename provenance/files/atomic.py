"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from assay.provenance.errors import AssayError, UsageError
from assay.provenance.text import safe_text

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file so large is not allowed here",
}


@contextlib.contextmanager
def atomic_output(path: Path | str, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Give a temporary file beside ``path``, open for reading and writing, and put it in place at the end.

    Leaving the block flushes the bytes to the disk, then moves them to ``path`` in one step, then flushes the
    folder; any error, in the block or after it, removes the temporary file and leaves ``path`` as it was.
    Without ``overwrite`` an existing file is never replaced, not even one made meanwhile.

    Raises UsageError (no such folder, file exists), AssayError (no rights, disk full).
    """
    path = Path(path)
    shown = safe_text(path)
    if not overwrite and os.path.lexists(path):
        raise _exists(shown)
    if path.is_dir():
        raise UsageError("is a folder", hint="name a file in it", path=shown)
    temporary = path.with_name(f".assay-{secrets.token_hex(8)}.tmp")
    stream = _create(temporary, shown)
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _move(temporary, path, overwrite, shown)
        _flush_folder(path.parent)
    except OSError as error:
        if error.errno in _FULL:
            raise AssayError(
                f"could not be written: {_FULL[error.errno]}", hint="make room and run it again", path=shown
            ) from error
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def refuse_same_file(source: Path | str, target: Path | str) -> None:
    """Raise UsageError where both names lead to one file, through links too; a missing target is fine."""
    try:
        same = Path(source).samefile(target)
    except OSError:
        same = Path(source).absolute() == Path(target).absolute()
    if same:
        raise UsageError(
            "input and output are the same file",
            hint="the original is kept: give another name",
            path=safe_text(source),
        )


def _exists(shown: str) -> UsageError:
    return UsageError("exists already", hint="choose another name, or overwrite it (--force)", path=shown)


def _create(temporary: Path, shown: str) -> BinaryIO:
    try:
        # O_EXCL with 0666 leaves the final rights to the user's umask, which reading would mean setting.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(temporary, flags, 0o666), "w+b")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError("its folder does not exist", hint="make the folder first", path=shown) from error
    except OSError as error:
        reason = _FULL.get(error.errno or 0, error.strerror)
        raise AssayError(
            f"could not be written: {reason}", hint="check the folder's rights and room", path=shown
        ) from error


def _move(temporary: Path, path: Path, overwrite: bool, shown: str) -> None:
    if overwrite:
        with contextlib.suppress(OSError):  # keep the rights of what is replaced
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise _exists(shown) from error
    except OSError:  # a file system without hard links; the check and the move are then two steps
        if os.path.lexists(path):
            raise _exists(shown) from None
        temporary.rename(path)


def _flush_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system lets a folder be flushed
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
