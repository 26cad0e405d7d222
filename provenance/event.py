"""One event in the life of an asset, as an in-toto Statement, and its leaf in the ledger.

Format: docs/formats/statement.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assay.provenance.asset import Digest
from assay.provenance.canonical import canonical, json_object, sha256_of, text_of
from assay.provenance.errors import AssayError, LedgerError, LimitError, MalformedError, UsageError
from assay.provenance.text import safe_text

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
EVENT_TYPE = "https://assay.io/event/v1"
EVENT_ENTRY_TYPE = "assay.event/v1"
DETAILS_TYPE = "assay.details/v1"
SALT_BYTES = 16
MAX_SUBJECTS = 512
MAX_EVENT_BYTES = 262_144

KINDS = (
    "captured", "received", "verified", "edited", "approved", "published", "corrected", "retracted", "exported",
    "accessed", "transferred", "decided", "note",
)  # fmt: skip
"""What can happen to an asset."""

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Details:
    """What an event does not say in clear: kept beside the log and erasable, as a ``Recovery`` is.

    ``content`` is a JSON object, ``salt`` 16 random bytes that keep its digest from being guessed.
    """

    salt: bytes
    content: Mapping[str, Any]

    @property
    def digest(self) -> Digest:
        """SHA-256(salt ‖ RFC 8785 of the content); raises UsageError on a short salt or what is not JSON."""
        if len(self.salt) != SALT_BYTES:
            raise UsageError(f"the salt of an event's details has {SALT_BYTES} bytes")
        return Digest.of(self.salt + canonical(dict(self.content)))

    def to_bytes(self) -> bytes:
        """Return the record to keep."""
        return canonical({"type": DETAILS_TYPE, "salt": self.salt.hex(), "details": dict(self.content)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Details:
        """Read a kept record; raises MalformedError."""
        document = json_object(data, "the details of an event")
        try:
            if document["type"] != DETAILS_TYPE or not isinstance(document["details"], dict):
                raise ValueError("not of the known type")
            salt = bytes.fromhex(document["salt"])
            if len(salt) != SALT_BYTES or salt.hex() != document["salt"]:
                raise ValueError(f"the salt is not {2 * SALT_BYTES} lower-case hexadecimal digits")
            return cls(salt, document["details"])
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedError(
                f"the details of an event cannot be read: {safe_text(error, 120)}"
            ) from error


@dataclass(frozen=True, slots=True)
class EventSubject:
    """What an event is about: the file's digest (SHA-256) and, if it has one, its manifest's URN."""

    digest: Digest
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Who says what happened to which files; a claim of its actor until its envelope is verified.

    ``id`` is 32 hex digits, ``kind`` one of ``KINDS``. ``actor`` is SHA-256 of the signing key
    (SubjectPublicKeyInfo, DER), ``role`` the part it plays (``desk``, ``camera``). ``time`` is RFC 3339 UTC by
    the actor's clock. ``previous`` is the digest of the preceding event's PAE (None for the first of a file),
    ``details`` that of a ``Details`` record. Raises UsageError where a field is none of these.
    """

    id: str
    kind: str
    actor: Digest
    role: str
    subjects: tuple[EventSubject, ...]
    time: str
    software: str
    previous: Digest | None = None
    details: Digest | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise UsageError("an event's id has 32 hexadecimal digits")
        if self.kind not in KINDS:
            raise UsageError(
                f"there is no event {safe_text(self.kind, 40)!r}", hint=f"one of {', '.join(KINDS)}"
            )
        if not 1 <= len(self.subjects) <= MAX_SUBJECTS:
            raise UsageError(f"an event is about 1 to {MAX_SUBJECTS} files, not {len(self.subjects)}")
        digests = [self.actor, *(s.digest for s in self.subjects), self.previous, self.details]
        if any(d is not None and (d.alg != "sha256" or len(d.value) != 32) for d in digests):
            raise UsageError("an event's digests are SHA-256")

    def to_bytes(self) -> bytes:
        """Return the canonical in-toto Statement; made once, from then on the bytes count."""
        predicate: dict[str, Any] = {
            "id": self.id,
            "type": self.kind,
            "actor": {"key": str(self.actor), "role": self.role},
            "time": self.time,
            "software": self.software,
        }
        if self.previous:
            predicate["previous"] = str(self.previous)
        if self.details:
            predicate["details"] = str(self.details)
        subjects = [
            {"digest": {"sha256": s.digest.hex}} | ({"uri": s.uri} if s.uri else {}) for s in self.subjects
        ]
        document = {
            "_type": STATEMENT_TYPE,
            "subject": subjects,
            "predicateType": EVENT_TYPE,
            "predicate": predicate,
        }
        data = canonical(document)
        if len(data) > MAX_EVENT_BYTES:
            raise LimitError(f"the event has {len(data)} bytes, more than {MAX_EVENT_BYTES}")
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> Event:
        """Read a statement; unknown fields are ignored. Raises MalformedError, LimitError."""
        if len(data) > MAX_EVENT_BYTES:
            raise LimitError(f"the event has {len(data)} bytes, more than {MAX_EVENT_BYTES}")
        document = json_object(data, "the statement")
        if document.get("_type") != STATEMENT_TYPE:
            raise MalformedError("not an in-toto Statement v1")
        if document.get("predicateType") != EVENT_TYPE:
            raise MalformedError(
                f"a statement of unknown kind {safe_text(document.get('predicateType'), 80)!r}"
            )
        try:
            predicate = document["predicate"]
            return cls(
                id=text_of(predicate["id"]),
                kind=text_of(predicate["type"]),
                actor=sha256_of(predicate["actor"]["key"]),
                role=text_of(predicate["actor"]["role"]),
                subjects=tuple(
                    EventSubject(sha256_of("sha256:" + s["digest"]["sha256"]), text_of(s.get("uri", "")))
                    for s in document["subject"]
                ),
                time=text_of(predicate["time"]),
                software=text_of(predicate["software"]),
                previous=sha256_of(predicate["previous"]) if "previous" in predicate else None,
                details=sha256_of(predicate["details"]) if "details" in predicate else None,
            )
        except AssayError as error:
            raise MalformedError(f"the event cannot be read: {error.message}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MalformedError(f"the event cannot be read: {safe_text(error, 120)}") from error


@dataclass(frozen=True, slots=True)
class EventEntry:
    """The ledger's leaf of one event: SHA-256 of its PAE, what it is about, whose key signed.

    The statement itself stays beside the log; the leaf says that it existed, unchanged.
    """

    statement: Digest
    subjects: tuple[Digest, ...]
    actor: Digest

    @classmethod
    def of(cls, pae: bytes, event: Event) -> EventEntry:
        """Make the leaf of an event from the bytes that its actor signed."""
        value = hashlib.sha256(pae).digest()
        return cls(Digest("sha256", value), tuple(s.digest for s in event.subjects), event.actor)

    def to_bytes(self) -> bytes:
        """Return the canonical leaf bytes."""
        return canonical(
            {
                "type": EVENT_ENTRY_TYPE,
                "statement": str(self.statement),
                "subjects": [str(digest) for digest in self.subjects],
                "actor": str(self.actor),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> EventEntry:
        """Read leaf bytes; unknown fields are ignored. Raises LedgerError."""
        try:
            document = json_object(data, "a ledger entry")
            if document.get("type") != EVENT_ENTRY_TYPE:
                raise LedgerError(f"a ledger entry of unknown type {safe_text(document.get('type'), 80)!r}")
            subjects = document["subjects"]
            if not isinstance(subjects, list) or not 1 <= len(subjects) <= MAX_SUBJECTS:
                raise ValueError(f"an event is about 1 to {MAX_SUBJECTS} files")
            return cls(
                sha256_of(document["statement"]),
                tuple(sha256_of(text) for text in subjects),
                sha256_of(document["actor"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, MalformedError, UsageError) as error:
            raise LedgerError(f"a ledger entry cannot be read: {safe_text(error, 120)}") from error

    @property
    def recovery(self) -> None:
        """No recovery record belongs to an event."""
        return None

    def names(self) -> Iterator[tuple[str, str]]:
        """Give what the entry is found by, as (kind, value): the digests of its files."""
        for digest in dict.fromkeys(self.subjects):
            yield "event", str(digest)
