"""Trust lists: whose signatures count, by kind, each with its source, date and hash. Format: docs/formats/trust.md."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from assay.provenance.asset import Digest
from assay.provenance.canonical import load_json
from assay.provenance.errors import ConfigurationError, CredentialError, UsageError
from assay.provenance.files.atomic import atomic_output
from assay.provenance.keys.certificates import DEVELOPMENT, describe, is_authority, load_pem
from assay.provenance.text import safe_text

CERTIFICATES = ("signer", "tsa", "cawg")
"""Kinds of lists of certificates, which the C2PA engine takes."""
LOG = "log"
"""The kind of a C2SP tlog-policy: ledgers of others, and the witnesses their receipts need."""
KINDS = (*CERTIFICATES, LOG)
STANDINGS = ("official", "interim", "private")
"""Who keeps a list: the C2PA (or who answers for its kind), the same until a day now past, or the desk itself."""
INDEX = "lists.json"
INDEX_TYPE = "assay.trust/v1"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# W3C DID syntax; did:jwk holds a whole key.
_ISSUER = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9._:%-]{1,2000}")
_PEM_START = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class TrustList:
    """One list: its name and kind, where it came from, its date, the SHA-256 of the file as added.

    ``anchors`` and ``end_entities`` count its certificate authorities and directly trusted certificates, of kind
    ``cawg`` issuers of identities with the latter, of kind ``log`` its logs and its witnesses; ``development`` says
    that it holds a development authority, ``frozen`` that its keeper no longer changes it; ``standing`` is one of
    STANDINGS.
    """

    name: str
    kind: str
    source: str
    date: str
    sha256: str
    anchors: int
    end_entities: int
    development: bool = False
    frozen: bool = False
    standing: str = "private"

    @property
    def uri(self) -> str:
        """The name under which the C2PA engine knows this list."""
        return f"assay:{self.kind}:{self.name}"

    def to_json(self) -> dict[str, object]:
        """Return the form used in reports and in the index."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Members:
    """What a list's file holds, as its reader counted it; see ``TrustList``."""

    anchors: int
    end_entities: int
    development: bool = False


class TrustStore:
    """The trust lists of one workspace: a folder with an index and one file a list."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> TrustStore:
        """Make an empty store."""
        folder.mkdir(parents=True)
        store = cls(folder)
        store._write(())
        return store

    def lists(self) -> tuple[TrustList, ...]:
        """Return all lists, by kind and name; raises ConfigurationError where the index is unreadable."""
        path = self.folder / INDEX
        try:
            document = load_json(path.read_bytes())
            if document["type"] != INDEX_TYPE:
                raise ConfigurationError("the trust index is of an unknown version", path=path)
            return tuple(TrustList(**entry) for entry in document["lists"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                "the trust index cannot be read", path=path, hint="restore it, or run 'assay init' elsewhere"
            ) from error

    def content(self, entry: TrustList) -> bytes:
        """Return a list's file, PEM certificates or of kind ``log`` a tlog-policy, byte for byte as it was added.

        Raises ConfigurationError where it is missing or was changed.
        """
        path = self.path(entry)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigurationError("a trust list is missing", path=path, hint="add it again") from error
        if Digest.of(data).hex != entry.sha256:
            raise ConfigurationError(
                "a trust list was changed outside Assay", path=path, hint="remove it and add it again"
            )
        return data

    def add(
        self,
        data: bytes,
        *,
        name: str,
        kind: str,
        source: str,
        date: dt.date,
        frozen: bool = False,
        standing: str = "private",
        read: Callable[[bytes, str], Members] | None = None,
    ) -> TrustList:
        """Add a list; replaces one of the same kind and name, at one stroke. Raises UsageError, CredentialError.

        An interim list is a frozen one. ``read`` counts a file's members and raises where it is not of its kind; by
        default it reads certificates, and of kind ``cawg`` issuers as well.
        """
        if kind not in KINDS:
            raise UsageError(f"unknown kind of trust list {kind!r}", hint=f"one of {', '.join(KINDS)}")
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"unusable list name {name!r}", hint="lower-case letters, digits, '.', '_' and '-'"
            )
        if standing not in STANDINGS:
            raise UsageError(f"unknown standing of a trust list {standing!r}", hint=", ".join(STANDINGS))
        members = (read or (read_identities if kind == "cawg" else read_certificates))(data, source)
        entry = TrustList(
            name=name,
            kind=kind,
            source=source,
            date=date.isoformat(),
            sha256=Digest.of(data).hex,
            anchors=members.anchors,
            end_entities=members.end_entities,
            development=members.development,
            frozen=frozen or standing == "interim",
            standing=standing,
        )
        lists = self.lists()
        former = next((e for e in lists if (e.kind, e.name) == (kind, name)), None)
        before = self.path(former) if former else None
        # The file is named by its content, so that the index alone says, at one stroke, which list is in force.
        with atomic_output(self.folder / _file_name(entry), overwrite=True) as stream:
            stream.write(data)
        self._write(
            tuple(sorted([e for e in lists if e is not former] + [entry], key=lambda e: (e.kind, e.name)))
        )
        if before and before != self.path(entry):
            before.unlink(missing_ok=True)
        return entry

    def remove(self, name: str, kind: str | None = None) -> TrustList:
        """Remove a list; raises UsageError if there is none of that name, or several and no kind."""
        found = [e for e in self.lists() if e.name == name and kind in (None, e.kind)]
        if len(found) != 1:
            what = "no trust list" if not found else "several trust lists"
            raise UsageError(f"{what} named {name!r}", hint="see 'assay trust list'; --kind tells them apart")
        path = self.path(found[0])
        self._write(tuple(e for e in self.lists() if e != found[0]))
        path.unlink(missing_ok=True)
        return found[0]

    def path(self, entry: TrustList) -> Path:
        """Return where a list's file is; before names by content, it had no hash in its name."""
        path = self.folder / _file_name(entry)
        former = self.folder / f"{entry.kind}-{entry.name}{path.suffix}"
        return former if former.exists() and not path.exists() else path

    def _write(self, lists: tuple[TrustList, ...]) -> None:
        document = {"type": INDEX_TYPE, "lists": [e.to_json() for e in lists]}
        with atomic_output(self.folder / INDEX, overwrite=True) as stream:
            stream.write(json.dumps(document, indent=2).encode() + b"\n")


def _file_name(entry: TrustList) -> str:
    suffix = "pem" if entry.kind in CERTIFICATES else "policy"
    return f"{entry.kind}-{entry.name}.{entry.sha256[:16]}.{suffix}"


def read_certificates(data: bytes, source: str) -> Members:
    """Count the certificates of a PEM list; raises CredentialError where there are none or one is broken."""
    certificates = load_pem(data, source)
    authorities = sum(is_authority(c) for c in certificates)
    development = any(describe(c).organization == DEVELOPMENT for c in certificates)
    return Members(authorities, len(certificates) - authorities, development)


def read_identities(data: bytes, source: str) -> Members:
    """Count the members of a list of identities: PEM certificates, and lines that are the DID of an issuer.

    Raises CredentialError where there are neither, or one is broken.
    """
    found = issuers(data)
    if not found or _PEM_START in data:
        certificates = read_certificates(data, source)
        return replace(certificates, end_entities=certificates.end_entities + len(found))
    return Members(0, len(found))


def issuers(data: bytes) -> tuple[str, ...]:
    """Return the DIDs that a list of identities names, one a line; raises CredentialError for one that is none."""
    found = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    found = [line for line in found if line.startswith("did:")]
    wrong = next((line for line in found if not _ISSUER.fullmatch(line)), None)
    if wrong:
        raise CredentialError(
            f"no DID of an issuer: {safe_text(wrong, 100)}", hint="one a line, without '#…'"
        )
    return tuple(dict.fromkeys(found))


def load_members(data: bytes, source: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a list; raises CredentialError where it holds neither these nor issuers."""
    return () if _PEM_START not in data and issuers(data) else load_pem(data, source)


def split_pem(data: bytes) -> tuple[str, str]:
    """Return (authorities, end entities) of a list of certificates as two PEM strings."""
    authorities: list[str] = []
    others: list[str] = []
    for certificate in load_members(data, "trust list"):
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        (authorities if is_authority(certificate) else others).append(pem)
    return "".join(authorities), "".join(others)
