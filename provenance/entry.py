"""One leaf of the ledger, and what is kept beside it for recovery. Format: docs/formats/entry.md."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from assay.provenance.asset import Digest
from assay.provenance.canonical import canonical, json_object, plain, sha256_of, text_of
from assay.provenance.errors import LedgerError, MalformedError, UsageError
from assay.provenance.mark import Mark
from assay.provenance.text import safe_text

ENTRY_TYPE = "assay.entry/v1"
RECOVERY_TYPE = "assay.recovery/v1"
MAX_ENTRY_BYTES = 65_535  # tlog-tiles gives entries a 16-bit length
MAX_SIZE = 1 << 53  # RFC 8785 numbers are exact below it


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger commits to about one signed asset; JSON (RFC 8785), hashed as stored.

    ``digest`` is of the file as signed, ``manifest`` of its C2PA manifest store, ``manifest_label`` the active
    manifest's URN, ``signer`` of the signing certificate (DER), ``recovery`` of the Recovery record kept
    beside the log, all SHA-256. ``time`` is RFC 3339 UTC, as the signer's clock had it: a claim.
    """

    digest: Digest
    media_type: str
    size: int
    time: str
    mark: Mark | None = None
    manifest: Digest | None = None
    manifest_label: str = ""
    signer: Digest | None = None
    recovery: Digest | None = None
    source_type: str = ""
    generator: str = ""

    def to_bytes(self) -> bytes:
        """Return the canonical leaf bytes; raises LedgerError over 65,535 bytes, UsageError on what is no size."""
        if not 0 <= self.size < MAX_SIZE:
            raise UsageError(f"not the size of a file: {self.size}")
        document: dict[str, Any] = {
            "type": ENTRY_TYPE,
            "digest": str(self.digest),
            "media_type": self.media_type,
            "size": self.size,
            "time": self.time,
        }
        if self.mark:
            document["mark"] = {"scheme": self.mark.scheme, "id": self.mark.id}
        for name in ("manifest", "signer", "recovery"):
            value: Digest | None = getattr(self, name)
            if value:
                document[name] = str(value)
        for name in ("manifest_label", "source_type", "generator"):
            if getattr(self, name):
                document[name] = getattr(self, name)
        data = plain(document)
        if len(data) > MAX_ENTRY_BYTES:
            raise LedgerError(
                f"the ledger entry has {len(data)} bytes, more than {MAX_ENTRY_BYTES}",
                hint="shorten the generator name",
            )
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> Entry:
        """Read leaf bytes; unknown fields are ignored. Raises LedgerError on an unknown type or a broken field."""
        try:
            document = json_object(data, "a ledger entry")
            if document.get("type") != ENTRY_TYPE:
                raise LedgerError(f"a ledger entry of unknown type {safe_text(document.get('type'), 80)!r}")
            return cls(
                digest=sha256_of(document["digest"]),
                media_type=text_of(document["media_type"]),
                size=_size(document["size"]),
                time=text_of(document["time"]),
                mark=_mark(document["mark"]) if "mark" in document else None,
                manifest=sha256_of(document["manifest"]) if "manifest" in document else None,
                manifest_label=text_of(document.get("manifest_label", "")),
                signer=sha256_of(document["signer"]) if "signer" in document else None,
                recovery=sha256_of(document["recovery"]) if "recovery" in document else None,
                source_type=text_of(document.get("source_type", "")),
                generator=text_of(document.get("generator", "")),
            )
        except (ValueError, KeyError, TypeError, MalformedError, UsageError) as error:
            raise LedgerError(f"a ledger entry cannot be read: {safe_text(error, 200)}") from error

    def names(self) -> Iterator[tuple[str, str]]:
        """Give what the entry is found by, as (kind, value)."""
        yield "digest", str(self.digest)
        if self.manifest_label:
            yield "manifest", self.manifest_label
        if self.mark:
            yield "mark", str(self.mark)


def _mark(value: Any) -> Mark:
    return Mark(text_of(value["scheme"]), text_of(value["id"]))


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_SIZE:
        raise ValueError("the size is not a number of bytes")
    return value


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A perceptual hash: ``alg`` (``pdq``), raw ``value``, and its ``quality`` 0..100."""

    alg: str
    value: bytes
    quality: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """What is kept beside the log so that stripped credentials can be found and compared; erasable.

    The leaf holds only its digest, and ``salt`` (16 random bytes) keeps that digest from being guessed.
    ``sketch`` is a small picture (docs/formats/sketch.md) to compare regions with; ``manifest`` the C2PA
    manifest store as embedded; ``bindings`` are other soft bindings (registered algorithm, value) to find it by.
    """

    salt: bytes
    fingerprint: Fingerprint | None
    sketch: bytes
    manifest: bytes
    bindings: tuple[tuple[str, str], ...] = ()

    def to_bytes(self) -> bytes:
        """Return the canonical bytes whose SHA-256 the leaf holds."""
        document: dict[str, Any] = {
            "type": RECOVERY_TYPE,
            "salt": self.salt.hex(),
            "fingerprint": {
                "alg": self.fingerprint.alg,
                "value": self.fingerprint.value.hex(),
                "quality": self.fingerprint.quality,
            }
            if self.fingerprint
            else None,
            "sketch": base64.b64encode(self.sketch).decode(),
            "manifest": base64.b64encode(self.manifest).decode(),
        }
        if self.bindings:
            document["bindings"] = [{"alg": alg, "value": value} for alg, value in self.bindings]
        return canonical(document)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes."""
        return Digest.of(self.to_bytes())
