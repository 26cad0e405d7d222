"""A log as a folder of files that any web server can serve: C2SP tlog-tiles. Format: docs/formats/static.md."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assay.ledger.tlog.layout import CHECKPOINT, ENTRIES, Resource, pack, resources
from assay.ledger.tlog.merkle import HASH_SIZE, leaf_hash
from assay.ledger.tlog.note import MAX_NOTE_BYTES, Checkpoint
from assay.ledger.tlog.tiles import TILE_WIDTH
from assay.provenance.errors import AssayError, LedgerError, MalformedError, UsageError
from assay.provenance.files.atomic import atomic_output
from assay.provenance.text import safe_text

VKEY = "vkey"
POLICY = "policy"


class Readable(Protocol):
    """A log whose tree is published; ``assay.ledger.log.SqlLog`` is one."""

    origin: str

    @property
    def vkey(self) -> str:
        """The verifier key in text."""
        ...

    def checkpoint(self) -> str:
        """Return the head's signed note."""
        ...

    def kept_checkpoint(self, size: int = 0) -> str | None:
        """Return the newest cosigned note of at least ``size`` leaves."""
        ...

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves."""
        ...

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile of the head's tree."""
        ...

    def leaves(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Iterate over leaf bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published: the tree's ``size``, how many were already there, how many await a cosignature; files."""

    size: int
    before: int
    waiting: int
    files: int


def chosen_note(log: Readable, *, cosigned: bool) -> str:
    """Return the checkpoint to show: the newest cosigned one, else, unless ``cosigned`` is demanded, the head.

    Raises LedgerError where a cosigned one is demanded and none is kept.
    """
    head = log.checkpoint()
    if cosigned:
        note = log.kept_checkpoint()
        if note is None:
            raise LedgerError(
                "no witness has cosigned this ledger yet", hint="ask them: assay ledger witness ask"
            )
        return note
    return log.kept_checkpoint(Checkpoint.peek(head).size) or head


def content(log: Readable, resource: Resource) -> bytes:
    """Return a tile's or an entry bundle's bytes.

    Raises UsageError where the log is not as large as that, LedgerError where entries do not have the tree's
    hashes.
    """
    wanted = resource.width * HASH_SIZE
    hashes = log.tile(max(resource.level, 0), resource.number)[:wanted]
    if len(hashes) < wanted:
        raise UsageError(f"the ledger is not so large as to have {resource.path}")
    if resource.level != ENTRIES:
        return hashes
    start = resource.number * TILE_WIDTH
    leaves = list(log.leaves(start, start + resource.width))
    if b"".join(map(leaf_hash, leaves)) != hashes:
        raise LedgerError(
            f"an entry from {start} on was changed in the database",
            hint="assay ledger check names the faulty row",
        )
    return pack(leaves)


def publish(log: Readable, folder: Path, *, cosigned: bool = False, policy: str = "") -> Publication:
    """Write into ``folder`` what it lacks of the log; the checkpoint last, so that a reader finds all it names.

    What was published before is checked to be of the same log and an earlier state of it. ``policy`` is the
    tlog-policy to lay beside. Raises LedgerError where the folder shows another log, another history or a later
    one, or where the log contradicts itself; UsageError where the folder cannot be used.
    """
    note = chosen_note(log, cosigned=cosigned)
    vkey = log.vkey
    new = Checkpoint.open(note, [vkey])
    before = _published(log, folder, vkey, new)
    files = 0
    for resource in resources(new.size, before):
        _write(folder / resource.path, content(log, resource))
        files += 1
    for name, text in ((VKEY, f"{vkey}\n"), (POLICY, policy)):
        if text and _read(folder / name) != text:
            _write(folder / name, text.encode())
    if log.root(new.size) != new.root:
        raise LedgerError(
            "the ledger's tree does not have the signed root", hint="assay ledger check names the fault"
        )
    _write(folder / CHECKPOINT, note.encode())
    _drop_outgrown(folder, before, new.size)
    waiting = Checkpoint.peek(log.checkpoint()).size - new.size
    return Publication(new.size, before, waiting, files)


def _published(log: Readable, folder: Path, vkey: str, new: Checkpoint) -> int:
    """Return the size of the tree that the folder shows, 0 if none, after checking that ours extends it."""
    text = _read(folder / CHECKPOINT)
    if text is None:
        if folder.is_dir() and any(folder.iterdir()) and not (folder / "tile").is_dir():
            raise UsageError(
                "the folder holds something else",
                path=folder,
                hint="name a new folder, or one published before",
            )
        return 0
    try:
        old = Checkpoint.open(text, [vkey])
    except AssayError as error:
        raise LedgerError(
            f"the checkpoint in the folder is not of this ledger: {error.message}", path=folder / CHECKPOINT
        ) from error
    if old.origin != log.origin:
        raise LedgerError(f"the folder shows the ledger {safe_text(old.origin, 120)}", path=folder)
    if old.size > new.size:
        raise LedgerError(
            f"the folder shows {old.size} entries, this ledger has {new.size} to publish",
            path=folder,
            hint="was an older copy of the ledger restored? Nothing was written",
        )
    if log.root(old.size) != old.root:
        raise LedgerError(
            f"the first {old.size} entries published here are not those of this ledger: one of them was rewritten",
            path=folder,
            hint="nothing was written; assay ledger check, and compare with receipts and witnesses",
        )
    return old.size


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as source:
            return source.read(MAX_NOTE_BYTES + 1).decode("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise MalformedError("is not text", path=path) from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder cannot be made: {error.strerror}", path=path.parent) from error
    with atomic_output(path, overwrite=True) as stream:
        stream.write(data)


def _drop_outgrown(folder: Path, old: int, new: int) -> None:
    """Remove partial tiles whose full ones are there now, as tlog-tiles allows."""
    for resource in resources(new, old):
        if resource.width == TILE_WIDTH:
            path = folder / resource.path
            with contextlib.suppress(OSError):  # they are in nobody's way
                shutil.rmtree(path.with_name(f"{path.name}.p"))
