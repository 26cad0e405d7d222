"""DSSE envelopes (v1.0.2) round the statements of events. Format: docs/formats/statement.md."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from assay.provenance.asset import Digest
from assay.provenance.canonical import json_object, text_of
from assay.provenance.errors import CredentialError, LimitError, MalformedError, UsageError
from assay.provenance.event import MAX_EVENT_BYTES, Event, EventEntry
from assay.provenance.keys.signers import Signer
from assay.provenance.text import safe_text

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 1 << 20
MAX_SIGNATURES = 16
_RAW_P256 = 64


def pae(payload_type: str, body: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: what is signed, and what a leaf holds the hash of."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """An Ed25519 or ECDSA P-256 public key; ``spki`` is its SubjectPublicKeyInfo, DER."""

    spki: bytes

    @classmethod
    def from_pem(cls, data: bytes) -> VerifyingKey:
        """Read a public key or the first certificate of a PEM text; raises CredentialError."""
        try:
            if b"BEGIN CERTIFICATE" in data:
                key = x509.load_pem_x509_certificate(data).public_key()
            else:
                key = serialization.load_pem_public_key(data)  # type: ignore[assignment]
        except (ValueError, UnsupportedAlgorithm) as error:
            raise CredentialError("not a public key in PEM", hint="a public key or a certificate") from error
        found = cls(
            key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        found._key()
        return found

    def _key(self) -> Ed25519PublicKey | ec.EllipticCurvePublicKey:
        key = serialization.load_der_public_key(self.spki)
        if isinstance(key, Ed25519PublicKey):
            return key
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            return key
        raise CredentialError(
            "events are signed with Ed25519 or ECDSA P-256, not with this key", hint="use a P-256 key"
        )

    @property
    def digest(self) -> Digest:
        """SHA-256 of the SubjectPublicKeyInfo: what an event names its actor by."""
        return Digest.of(self.spki)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Say whether the signature is good; ECDSA in DER or, 64 bytes long, as r ‖ s."""
        key = self._key()
        try:
            if isinstance(key, Ed25519PublicKey):
                key.verify(signature, message)
            else:
                key.verify(_der(signature), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def _der(signature: bytes) -> bytes:
    if len(signature) != _RAW_P256:
        return signature
    half = _RAW_P256 // 2
    return encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of an envelope; ``key`` is a hint for the reader, never a reason to believe."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload as signed, byte for byte, and its signatures."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def pae(self) -> bytes:
        """What the signatures cover."""
        return pae(self.payload_type, self.payload)

    def to_bytes(self) -> bytes:
        """Return the JSON envelope."""
        document = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": s.key, "sig": base64.b64encode(s.value).decode()} for s in self.signatures
            ],
        }
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Envelope:
        """Read a JSON envelope, verifying nothing; unknown fields are ignored.

        Raises LimitError over 1 MiB or 16 signatures, MalformedError on anything else.
        """
        if len(data) > MAX_ENVELOPE_BYTES:
            raise LimitError(f"the envelope is larger than {MAX_ENVELOPE_BYTES} bytes")
        document = json_object(data, "the envelope")
        try:
            listed = document["signatures"]
            if not isinstance(listed, list) or not listed:
                raise ValueError("no signatures")
            if len(listed) > MAX_SIGNATURES:
                raise LimitError(f"the envelope has more than {MAX_SIGNATURES} signatures")
            return cls(
                text_of(document["payloadType"]),
                _base64(document["payload"]),
                tuple(Signature(text_of(s.get("keyid") or ""), _base64(s["sig"])) for s in listed),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedError(f"not a DSSE envelope: {safe_text(error, 120)}") from error


def _base64(text: object) -> bytes:
    """Decode either alphabet, as DSSE asks of verifiers."""
    if not isinstance(text, str):
        raise TypeError("base64 is missing")
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def sign(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> Envelope:
    """Sign a payload; raises CredentialError where a key is neither Ed25519 nor P-256."""
    if not signers:
        raise UsageError("an envelope needs a signer")
    message = pae(payload_type, payload)
    signatures = []
    for signer in signers:
        key = VerifyingKey.from_pem(signer.chain)
        value = signer.sign(message)
        if not key.verifies(message, value):
            raise CredentialError("the key does not make signatures that its certificate verifies")
        signatures.append(Signature(key.digest.hex, value))
    return Envelope(payload_type, payload, tuple(signatures))


def verify(envelope: Envelope, keys: Sequence[VerifyingKey], threshold: int = 1) -> frozenset[VerifyingKey]:
    """Return which of the trusted keys signed; a signature that no key verifies is passed over.

    Raises UsageError for a threshold below 1, CredentialError where fewer than ``threshold`` different keys signed.
    """
    if threshold < 1:
        raise UsageError("at least one signature must be asked for")
    message = envelope.pae
    signed = frozenset(
        key
        for key in keys
        if any(key.verifies(message, signature.value) for signature in envelope.signatures)
    )
    if len(signed) < threshold:
        raise CredentialError(
            f"{len(signed)} of the trusted keys signed this envelope, {threshold} must have",
            hint="is the signer's key among the trusted ones?",
        )
    return signed


def sign_event(event: Event, signer: Signer) -> Envelope:
    """Sign an event with the key that it names as its actor; raises UsageError with another key."""
    if VerifyingKey.from_pem(signer.chain).digest != event.actor:
        raise UsageError("the event names another key than the one that signs it")
    return sign(PAYLOAD_TYPE, event.to_bytes(), [signer])


def verify_event(envelope: Envelope, keys: Sequence[VerifyingKey]) -> Event:
    """Return the event of an envelope that its actor signed, the actor's key being a trusted one.

    The bytes that were verified are the ones read. Raises CredentialError where the actor did not sign,
    MalformedError where the payload is no event, LimitError where it is too large.
    """
    if envelope.payload_type != PAYLOAD_TYPE:
        raise MalformedError(f"an envelope of another type: {safe_text(envelope.payload_type, 80)}")
    if len(envelope.payload) > MAX_EVENT_BYTES:
        raise LimitError(f"the event is larger than {MAX_EVENT_BYTES} bytes")
    signed = verify(envelope, keys)
    event = Event.from_bytes(envelope.payload)
    if all(key.digest != event.actor for key in signed):
        raise CredentialError("the event is signed, but not by the actor that it names")
    return event


def event_entry(envelope: Envelope) -> EventEntry:
    """Return the ledger's leaf of an envelope's event; verifies nothing. Raises MalformedError, LimitError."""
    return EventEntry.of(envelope.pae, Event.from_bytes(envelope.payload))
