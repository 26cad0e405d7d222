"""A file as found: path, type by content, digest and size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from assay.provenance.errors import UsageError
from assay.provenance.media import Kind


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A hash value that never travels without its algorithm.

    ``alg`` is the hashlib name (``sha256``); ``value`` the raw bytes.
    """

    alg: str
    value: bytes

    @property
    def hex(self) -> str:
        """The value in lower-case hexadecimal."""
        return self.value.hex()

    def __str__(self) -> str:
        return f"{self.alg}:{self.hex}"

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Hash ``data`` with SHA-256."""
        return cls("sha256", hashlib.sha256(data).digest())

    @classmethod
    def of_file(cls, stream: BinaryIO) -> Digest:
        """Hash a binary stream from its start with SHA-256, leaving it at its start."""
        stream.seek(0)
        value = hashlib.file_digest(cast(BufferedReader, stream), "sha256").digest()
        stream.seek(0)
        return cls("sha256", value)

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``alg:hex``; raises UsageError on anything else."""
        alg, _, value = text.partition(":")
        try:
            return cls(alg, bytes.fromhex(value))
        except ValueError as error:
            raise UsageError(f"not a digest: {text[:80]!r}", hint="write it as sha256:<hex>") from error

    def to_json(self) -> dict[str, str]:
        """Return the form used in reports."""
        return {"alg": self.alg, "value": self.hex}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as found; what is signed and logged.

    ``media_type`` is decided by content, never by name; ``application/octet-stream`` where nothing is known.
    """

    path: Path
    kind: Kind
    media_type: str
    size: int
    digest: Digest

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports."""
        return {
            "path": str(self.path),
            "kind": str(self.kind),
            "media_type": self.media_type,
            "size": self.size,
            "digest": self.digest.to_json(),
        }
