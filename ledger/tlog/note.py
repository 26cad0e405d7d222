"""Signed notes and checkpoints of C2SP (signed-note v1.0.0, tlog-checkpoint v1.0.0), and Ed25519 note keys.

Cosignatures, of whatever algorithm, are in ``cosignature``; which keys a checkpoint needs is in ``policy``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from assay.ledger.tlog.merkle import HASH_SIZE
from assay.provenance.errors import CredentialError, MalformedError
from assay.provenance.text import safe_text

MAX_NOTE_BYTES = 1 << 20
MAX_SIGNATURES = 100
MAX_TREE_SIZE = (1 << 63) - 1  # what a signed 64-bit column holds

ED25519 = 1
"""The signature type of plain Ed25519 note signatures."""
_SIGNATURE = "— "  # em dash U+2014, space
_NO_NAME = re.compile(r"[\s+\x00-\x1f\ud800-\udfff]")
_NO_NOTE = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")


def decode_base64(text: str) -> bytes:
    """Decode RFC 4648 section 4 base64, one spelling a value; raises MalformedError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"not base64: {safe_text(text, 80)}") from error
    if base64.b64encode(data).decode() != text:
        raise MalformedError(f"base64 with stray bits: {safe_text(text, 80)}")
    return data


def parse_decimal(text: str) -> int:
    """Read an ASCII decimal below 2^63 without leading zeros; raises MalformedError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or (text[0] == "0" and text != "0"):
        raise MalformedError(f"not a plain decimal number: {safe_text(text, 80)!r}")
    value = int(text)
    if value > MAX_TREE_SIZE:
        raise MalformedError(f"{text} is over the largest tree size {MAX_TREE_SIZE}")
    return value


def check_name(name: str) -> None:
    """Raise MalformedError unless a note can carry a signature under this key name."""
    if not name or _NO_NAME.search(name):
        raise MalformedError(
            f"not a key name: {safe_text(name, 80)!r}",
            hint="neither spaces nor plus signs, as in example.org/ledger",
        )


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """Return SHA-256(name ‖ 0x0A ‖ signature type ‖ public key)[:4]: a name, not a commitment."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def format_vkey(name: str, algorithm: int, public: bytes) -> str:
    """Return a verifier key in text, ``name+id+base64``."""
    material = base64.b64encode(bytes([algorithm]) + public).decode()
    return f"{name}+{key_id(name, algorithm, public).hex()}+{material}"


def split_vkey(vkey: str) -> tuple[str, int, bytes]:
    """Return name, signature type and public key of ``name+id+base64``; raises CredentialError."""
    name, _, rest = vkey.strip().partition("+")
    identifier, _, body = rest.partition("+")
    try:
        check_name(name)
        material = decode_base64(body)
    except MalformedError as error:
        raise CredentialError(
            f"not a verifier key: {safe_text(vkey, 120)}", hint="it looks like name+01234567+base64"
        ) from error
    if len(material) < 2 or identifier != key_id(name, material[0], material[1:]).hex():
        raise CredentialError(f"a verifier key whose id is not its own: {safe_text(vkey, 120)}")
    return name, material[0], material[1:]


class Signer(Protocol):
    """What a log signs its checkpoints with; ``name`` is the log's origin."""

    name: str

    @property
    def vkey(self) -> str:
        """The verifier key in text."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes."""
        ...


class NoteSigner:
    """An Ed25519 key under a name, signing checkpoints; ``name`` is the log's origin."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        check_name(name)
        self.name = name
        self._key = key

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> NoteSigner:
        """Make a signer of a raw 32-byte Ed25519 seed; raises CredentialError on any other length."""
        try:
            return cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        except ValueError as error:
            raise CredentialError(
                "an Ed25519 seed has 32 bytes", hint="make one with: assay keys new"
            ) from error

    @classmethod
    def from_skey(cls, text: str) -> NoteSigner:
        """Read ``PRIVATE+KEY+name+id+base64``, the form of Go's sumdb/note; raises CredentialError."""
        refused = CredentialError("not a note signing key", hint="it looks like PRIVATE+KEY+name+id+base64")
        fields = text.strip().split("+", 4)
        if len(fields) != 5 or fields[:2] != ["PRIVATE", "KEY"]:
            raise refused
        try:
            material = decode_base64(fields[4])
            if material[:1] != bytes([ED25519]):
                raise refused
            signer = cls.from_seed(fields[2], material[1:])
        except MalformedError as error:
            raise refused from error
        if fields[3] != key_id(signer.name, ED25519, signer.public).hex():
            raise refused
        return signer

    @property
    def public(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    @cached_property
    def vkey(self) -> str:
        """The verifier key in text, ``name+id+base64``."""
        return Verifier(self.name, self.public).vkey

    def skey(self) -> str:
        """Return the secret key in text; whoever reads it signs as this log."""
        seed = self._key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        body = base64.b64encode(bytes([ED25519]) + seed).decode()
        return f"PRIVATE+KEY+{self.name}+{key_id(self.name, ED25519, self.public).hex()}+{body}"

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature over the bytes as they are, 64 bytes."""
        return self._key.sign(message)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A name and the raw Ed25519 public key (32 bytes) trusted under it."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Read ``name+id+base64``; raises CredentialError on a wrong id, another algorithm, anything else."""
        name, algorithm, public = split_vkey(vkey)
        try:
            if algorithm == ED25519:
                Ed25519PublicKey.from_public_bytes(public)
                return cls(name, public)
        except ValueError:
            pass
        raise CredentialError(f"not an Ed25519 verifier key: {safe_text(vkey, 120)}")

    @property
    def id(self) -> bytes:
        """The key id, 4 bytes: a name, not a commitment."""
        return key_id(self.name, ED25519, self.public)

    @property
    def vkey(self) -> str:
        """The key in text."""
        return format_vkey(self.name, ED25519, self.public)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Say whether the signature, 64 bytes, is good for the note text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class NoteKey(Protocol):
    """A public key known by name and id, of whatever algorithm: ``Verifier``, or a cosigner's."""

    @property
    def name(self) -> str:
        """The key's name."""
        ...

    @property
    def id(self) -> bytes:
        """The key id, 4 bytes."""
        ...

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Say whether the signature (without key id) is good for the note text."""
        ...


Known = TypeVar("Known", bound=NoteKey)


def signature_line(name: str, identifier: bytes, signature: bytes) -> str:
    """Return one signature line of a note, with its newline."""
    return f"{_SIGNATURE}{name} {base64.b64encode(identifier + signature).decode()}\n"


@cache
def _identifier(vkey: str) -> bytes:
    return Verifier.parse(vkey).id


def sign_note(text: str, signer: Signer) -> str:
    """Return the signed note; ``text`` ends in a newline."""
    identifier = _identifier(signer.vkey)
    return f"{text}\n{signature_line(signer.name, identifier, signer.sign(text.encode()))}"


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return a note's text and its signatures (name, key id ‖ signature), unverified; raises MalformedError."""
    if len(note) > MAX_NOTE_BYTES:
        raise MalformedError(f"the note is longer than {MAX_NOTE_BYTES} characters")
    if _NO_NOTE.search(note):
        raise MalformedError("the note holds control characters or is not Unicode text")
    head, blank, tail = note.rpartition("\n\n")
    if not blank or not head or not tail.endswith("\n"):
        raise MalformedError("the note has no signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedError(f"the note has more than {MAX_SIGNATURES} signatures")
    return head + "\n", [_split_line(line) for line in lines]


def _split_line(line: str) -> tuple[str, bytes]:
    name, space, body = line.removeprefix(_SIGNATURE).partition(" ")
    if not line.startswith(_SIGNATURE) or not space:
        raise MalformedError(f"not a signature line: {safe_text(line, 80)!r}")
    check_name(name)
    data = decode_base64(body)
    if len(data) < 5:
        raise MalformedError("a signature of the note is too short")
    return name, data


def open_note(note: str, known: Iterable[Known]) -> tuple[str, Mapping[Known, bytes]]:
    """Return a note's text, and of the given keys those that signed it, each with its signature.

    Unknown signatures are ignored. Raises MalformedError where the note breaks the format, where the
    signature of a known key fails, or where no known key signed.
    """
    text, signatures = split_note(note)
    keys = {(key.name, key.id): key for key in known}
    signed: dict[Known, bytes] = {}
    for name, data in signatures:
        key = keys.get((name, data[:4]))
        if key is None:
            continue
        if not key.verifies(text.encode(), data[4:]):
            raise MalformedError(f"the signature of {safe_text(name, 120)} is wrong")
        signed.setdefault(key, data[4:])
    if not signed:
        names = ", ".join(sorted({safe_text(name, 120) for name, _ in signatures}))
        raise MalformedError(f"no known key signed this note (signed by {names})")
    return text, signed


def merge_signatures(note: str, *others: str) -> str:
    """Return the note with the signatures of the other notes of the same text; a key's last one counts.

    Nothing is verified. Raises MalformedError where one breaks the format or has another text.
    """
    text, signatures = split_note(note)
    lines = {(name, data[:4]): data[4:] for name, data in signatures}
    for other in others:
        other_text, more = split_note(other)
        if other_text != text:
            raise MalformedError("signatures of another text cannot be merged")
        lines.update({(name, data[:4]): data[4:] for name, data in more})
    merged = "".join(signature_line(name, identifier, data) for (name, identifier), data in lines.items())
    return f"{text}\n{merged}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree head: ``origin``, ``size`` in leaves, ``root`` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def to_text(self) -> str:
        """Return the note text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Read a checkpoint's note text; extension lines are allowed and ignored. Raises MalformedError."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not text.endswith("\n") or not all(lines):
            raise MalformedError("not a checkpoint: it needs three lines, none of them empty")
        root = decode_base64(lines[2])
        if len(root) != HASH_SIZE:
            raise MalformedError("not a checkpoint: its root hash has not 32 bytes")
        return cls(lines[0], parse_decimal(lines[1]), root)

    @classmethod
    def peek(cls, note: str) -> Checkpoint:
        """Read a signed checkpoint without verifying anything: for naming it, never for trusting it."""
        return cls.from_text(split_note(note)[0])

    @classmethod
    def open(cls, note: str, vkeys: Sequence[str]) -> Checkpoint:
        """Verify a signed checkpoint and return it; one of ``vkeys`` named as its origin must have signed.

        Raises MalformedError, as ``open_note`` does, and CredentialError on a broken verifier key.
        """
        verifiers = [Verifier.parse(vkey) for vkey in vkeys]
        text, signed = open_note(note, verifiers)
        checkpoint = cls.from_text(text)
        if all(verifier.name != checkpoint.origin for verifier in signed):
            raise MalformedError(
                f"the checkpoint of {safe_text(checkpoint.origin, 120)} is not signed by that log"
            )
        return checkpoint
