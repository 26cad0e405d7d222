"""A published log (C2SP tlog-tiles), read from a folder or from a web server; nothing of it is believed here."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from assay.ledger.tlog.layout import CHECKPOINT, ENTRIES, MAX_BUNDLE_BYTES, Resource, unpack
from assay.ledger.tlog.merkle import HASH_SIZE
from assay.ledger.tlog.note import MAX_NOTE_BYTES
from assay.ledger.tlog.tiles import TILE_WIDTH, Fetch, width_at
from assay.provenance.errors import InputError, LedgerError, LimitError, MalformedError, NetworkError
from assay.provenance.net import Net
from assay.provenance.text import safe_text


class Source(Protocol):
    """Where a log is published; ``name`` is for messages."""

    name: str

    def get(self, path: str, limit: int) -> bytes | None:
        """Return a resource's bytes, None if there is none; raises AssayError where it cannot be read."""
        ...


class FolderSource:
    """A log published into a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.name = safe_text(folder, 400)
        self._folder = folder

    def get(self, path: str, limit: int) -> bytes | None:
        """Return a file's bytes."""
        try:
            with (self._folder / path).open("rb") as stream:
                data = stream.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=self._folder / path) from error
        if len(data) > limit:
            raise LimitError(f"has more than {limit} bytes", path=self._folder / path)
        return data


class WebSource:
    """A log published under a URL, its *prefix* in tlog-tiles."""

    def __init__(self, url: str, net: Net) -> None:
        self._prefix = url.rstrip("/")
        self.name = safe_text(self._prefix, 400)
        self._net = net

    def get(self, path: str, limit: int) -> bytes | None:
        """Return what GET answers; None for 404 and 410."""
        answer = self._net.request("GET", f"{self._prefix}/{path}", max_bytes=limit)
        if answer.status in (404, 410):
            return None
        if answer.status != 200:
            raise NetworkError(f"{self.name} answered {answer.status} to {path}", hint="try again later")
        return answer.body


class PublishedLog:
    """The tiles and entries of a tree of ``size`` leaves at a source; remembers nothing, believes nothing."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self.size = size

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile's hashes as this tree has them; a partial one may be cut from the full one."""
        width = width_at(self.size, level, number)
        data = self._get(Resource(level, number, width), TILE_WIDTH * HASH_SIZE)
        if len(data) < width * HASH_SIZE or len(data) % HASH_SIZE:
            raise MalformedError(f"{self._source.name}: tile {level}/{number} has {len(data)} bytes")
        return data[: width * HASH_SIZE]

    def leaves(self, number: int) -> list[bytes]:
        """Return the leaves of an entry bundle as far as this tree goes."""
        width = width_at(self.size, 0, number)
        try:
            return unpack(self._get(Resource(ENTRIES, number, width), MAX_BUNDLE_BYTES), width)
        except MalformedError as error:
            raise MalformedError(f"{self._source.name}: {error.message}") from error

    def _get(self, resource: Resource, limit: int) -> bytes:
        data = self._source.get(resource.path, limit)
        if data is None and resource.width < TILE_WIDTH:  # outgrown since its checkpoint was read
            data = self._source.get(resource.full.path, limit)
        if data is None:
            raise LedgerError(
                f"{self._source.name} does not have {resource.path}, which its checkpoint promises",
                hint="was it published in whole? Try again later",
            )
        return data

    @property
    def fetch(self) -> Fetch:
        """The tiles as the tree functions read them: with ValueError where one is missing or broken."""

        def fetch(level: int, number: int) -> bytes:
            try:
                return self.tile(level, number)
            except (LedgerError, MalformedError) as error:
                raise ValueError(error.message) from error

        return fetch


def published_checkpoint(source: Source) -> str:
    """Return a source's checkpoint note, unverified; raises LedgerError where there is none."""
    data = source.get(CHECKPOINT, MAX_NOTE_BYTES)
    if data is None:
        raise LedgerError(
            f"no ledger is published at {source.name}", hint="name the folder or URL that holds 'checkpoint'"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"the checkpoint of {source.name} is not text") from error
