"""BagIt bags (RFC 8493) as zip files that depend on nothing but their content."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from assay.provenance.asset import Digest
from assay.provenance.errors import InputError, LimitError, MalformedError
from assay.provenance.text import safe_text

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
PAYLOAD = "data/"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say
_ZIP64 = 1 << 31
_BLOCK = 1 << 20


class BagWriter:
    """Writes one bag into a stream, file by file, stored as they are: no time, no order of a folder enters it.

    ``base`` is the bag's one top folder. Payload lies below ``data/``; ``finish`` adds what BagIt asks for. Use it
    as a context manager: the archive must be closed before its stream is, also after an error.
    """

    def __init__(self, stream: BinaryIO, base: str) -> None:
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED)
        self._base = base
        self._digests: dict[str, str] = {}
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def _info(self, name: str, size: int, mode: int) -> zipfile.ZipInfo:
        if name in self._digests:
            raise ValueError(f"{name} twice in one bag")
        info = zipfile.ZipInfo(f"{self._base}/{name}", _EPOCH)
        info.create_system = 3  # Unix, wherever this runs
        info.external_attr = (0o100000 | mode) << 16
        info.file_size = size
        return info

    def add(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file; ``name`` is below the base folder."""
        self._zip.writestr(self._info(name, len(data), mode), data)
        self._digests[name] = hashlib.sha256(data).hexdigest()
        self._bytes += len(data) if name.startswith(PAYLOAD) else 0

    def add_file(self, name: str, path: Path, wanted: Digest) -> None:
        """Copy a file in, block by block; raises InputError if it cannot be read or is not the one wanted."""
        digest = hashlib.sha256()
        try:
            with path.open("rb") as source:
                size = path.stat().st_size
                info = self._info(name, size, 0o644)
                with self._zip.open(info, "w", force_zip64=size >= _ZIP64) as target:
                    while block := source.read(_BLOCK):
                        digest.update(block)
                        target.write(block)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=path) from error
        if digest.digest() != wanted.value:
            raise InputError(
                "this is not the file that was logged", path=path, hint=f"its entry says {wanted}"
            )
        self._digests[name] = digest.hexdigest()
        self._bytes += size

    def finish(self, information: Mapping[str, str]) -> None:
        """Add declaration, information and manifests."""
        payload = {name: value for name, value in self._digests.items() if name.startswith(PAYLOAD)}
        lines = {**information, "Payload-Oxum": f"{self._bytes}.{len(payload)}"}
        self.add("bagit.txt", DECLARATION)
        self.add("bag-info.txt", "".join(f"{label}: {value}\n" for label, value in lines.items()).encode())
        self.add("manifest-sha256.txt", _manifest(payload))
        tags = {name: value for name, value in self._digests.items() if name not in payload}
        self.add("tagmanifest-sha256.txt", _manifest(tags))


def _manifest(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{value}  {name}\n" for name, value in sorted(digests.items())).encode()


def read_from_bag(path: Path, name: str, limit: int) -> bytes:
    """Return one file of a zipped bag, whatever its base folder; nothing is verified.

    Raises InputError where the archive cannot be read, MalformedError where it is no bag or lacks the file,
    LimitError over ``limit`` bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = [i for i in archive.infolist() if i.filename.partition("/")[2] == name]
            if len(found) != 1 or found[0].compress_type != zipfile.ZIP_STORED or found[0].flag_bits & 1:
                raise MalformedError(f"this is no bundle: it has not one plain {name}", path=path)
            with archive.open(found[0]) as stream:
                data = stream.read(limit + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise MalformedError(f"this is no bundle: {safe_text(error, 120)}", path=path) from error
    if len(data) > limit:
        raise LimitError(f"its {name} is larger than {limit} bytes", path=path)
    return data
