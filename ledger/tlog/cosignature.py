"""Cosignatures of C2SP tlog-cosignature: a witness's timed signature on a log's checkpoint, Ed25519 or ML-DSA-44."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from assay.ledger.tlog.note import Checkpoint, check_name, format_vkey, key_id, signature_line, split_vkey
from assay.provenance.errors import CredentialError, MalformedError
from assay.provenance.text import safe_text

ED25519_COSIGNATURE = 4
"""The signature type of timed Ed25519 cosignatures, ``cosignature/v1``."""
ML_DSA_44_COSIGNATURE = 6
"""The signature type of timed ML-DSA-44 cosignatures, ``subtree/v1``."""
ALGORITHMS = {"ed25519": ED25519_COSIGNATURE, "ml-dsa-44": ML_DSA_44_COSIGNATURE}
"""The types by the names that people use."""
MAX_TIMESTAMP = (1 << 63) - 1
MAX_NAME_BYTES = 255
"""Longest cosigner name and log origin that an ML-DSA-44 cosignature can commit to."""
SEED_BYTES = 32
_TIME_BYTES = 8


def _vector(text: str) -> bytes:
    """Return ``opaque <1..2^8-1>`` of RFC 8446 section 3.4."""
    data = text.encode()
    if not 0 < len(data) <= MAX_NAME_BYTES:
        raise MalformedError(f"a name of {len(data)} bytes cannot be cosigned: {safe_text(text, 80)}")
    return bytes([len(data)]) + data


def _ed25519_message(name: str, timestamp: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def _ml_dsa_message(name: str, timestamp: int, text: str) -> bytes:
    head = Checkpoint.from_text(text)
    return (
        b"subtree/v1\n\0"
        + _vector(name)
        + timestamp.to_bytes(8, "big")
        + _vector(head.origin)
        + bytes(8)  # the tree's first leaf
        + head.size.to_bytes(8, "big")
        + head.root
    )


_MESSAGES: dict[int, Callable[[str, int, str], bytes]] = {
    ED25519_COSIGNATURE: _ed25519_message,
    ML_DSA_44_COSIGNATURE: _ml_dsa_message,
}


def _public(algorithm: int, public: bytes) -> Ed25519PublicKey | MLDSA44PublicKey:
    if algorithm == ML_DSA_44_COSIGNATURE:
        return MLDSA44PublicKey.from_public_bytes(public)
    return Ed25519PublicKey.from_public_bytes(public)


@dataclass(frozen=True, slots=True)
class CosignatureKey:
    """A cosigner's name, signature type (4 or 6) and public key (32 or 1,312 bytes)."""

    name: str
    algorithm: int
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> CosignatureKey:
        """Read ``name+id+base64``; raises CredentialError where it is no cosigner's key."""
        name, algorithm, public = split_vkey(vkey)
        if algorithm not in _MESSAGES:
            raise CredentialError(
                f"a key of type {algorithm} does not cosign: {safe_text(vkey, 120)}",
                hint="a witness has an Ed25519 (type 4) or ML-DSA-44 (type 6) cosigning key",
            )
        try:
            _public(algorithm, public)
        except ValueError as error:
            raise CredentialError(f"not a verifier key: {safe_text(vkey, 120)}") from error
        except UnsupportedAlgorithm as error:
            raise CredentialError("the cryptography library here has no ML-DSA-44") from error
        return cls(name, algorithm, public)

    @property
    def id(self) -> bytes:
        """The key id, 4 bytes."""
        return key_id(self.name, self.algorithm, self.public)

    @property
    def vkey(self) -> str:
        """The key in text."""
        return format_vkey(self.name, self.algorithm, self.public)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Say whether a ``timestamped_signature`` is good for a checkpoint's note text."""
        timestamp = timestamp_of(signature)
        if timestamp > MAX_TIMESTAMP:
            return False
        try:
            signed = _MESSAGES[self.algorithm](self.name, timestamp, message.decode())
            _public(self.algorithm, self.public).verify(signature[_TIME_BYTES:], signed)
        except (InvalidSignature, ValueError, MalformedError):
            return False
        return True


class Cosigner:
    """A witness's secret key under the witness's name."""

    def __init__(self, name: str, key: Ed25519PrivateKey | MLDSA44PrivateKey) -> None:
        check_name(name)
        algorithm = ED25519_COSIGNATURE if isinstance(key, Ed25519PrivateKey) else ML_DSA_44_COSIGNATURE
        self._key = key
        self.key = CosignatureKey(name, algorithm, key.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, name: str, algorithm: int, seed: bytes) -> Cosigner:
        """Make a cosigner of signature type 4 or 6 from a 32-byte seed; raises CredentialError."""
        if algorithm not in _MESSAGES or len(seed) != SEED_BYTES:
            raise CredentialError(f"a cosigning key of type {algorithm} is not made of {len(seed)} bytes")
        try:
            if algorithm == ML_DSA_44_COSIGNATURE:
                return cls(name, MLDSA44PrivateKey.from_seed_bytes(seed))
            return cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        except UnsupportedAlgorithm as error:
            raise CredentialError("the cryptography library here has no ML-DSA-44") from error

    def cosign(self, text: str, timestamp: int) -> str:
        """Return the signature line for a checkpoint's note text; ``timestamp`` is in POSIX seconds.

        Raises MalformedError where the text is no checkpoint, or a name is too long to be committed to.
        """
        Checkpoint.from_text(text)
        message = _MESSAGES[self.key.algorithm](self.key.name, timestamp, text)
        signature = timestamp.to_bytes(_TIME_BYTES, "big") + self._key.sign(message)
        return signature_line(self.key.name, self.key.id, signature)


def timestamp_of(signature: bytes) -> int:
    """Return the POSIX seconds that a ``timestamped_signature`` begins with; 0 where it makes no such claim."""
    return int.from_bytes(signature[:_TIME_BYTES], "big")
