"""COSE Receipts (RFC 9942, verifiable data structure RFC9162_SHA256): the same proof, spelt for SCITT.

Format: docs/formats/cose-receipt.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from assay.ledger.tlog.note import Checkpoint, Verifier
from assay.ledger.tlog.proof import Proof
from assay.provenance.entry import MAX_ENTRY_BYTES
from assay.provenance.errors import ConfigurationError, CredentialError, LimitError, MalformedError
from assay.provenance.receipt import Receipt
from assay.provenance.text import safe_text

COSE_SUFFIX = ".cbor"
MAX_COSE_BYTES = 1 << 16
"""Largest COSE receipt read; a path has at most 63 hashes of 32 bytes."""

_ALG, _KID, _CLAIMS, _VDS, _PROOFS = 1, 4, 15, 395, 396
_ISSUER, _SUBJECT = 1, 2
_RFC9162_SHA256 = 1
_INCLUSION = -1
_PEM = serialization.Encoding.PEM


def _library() -> Any:
    try:
        import scitt_cose.cose_sign1
        import scitt_cose.receipt
    except ImportError as error:
        raise ConfigurationError(
            "COSE receipts are not installed", hint="pip install 'assay[scitt]'"
        ) from error
    return scitt_cose


@dataclass(frozen=True, slots=True)
class CoseReceipt:
    """What a verified COSE receipt says: that the leaf is in the tree with this root, of which log.

    The signature covers the root alone: ``index`` and ``size`` are the unsigned proof's, and another size whose
    paths are as long leads to the same root (so RFC 9942); a tlog-proof has no such gap. ``issuer`` is the
    log's origin, ``subject`` what the entry is about (``sha256:<hex>`` of the file).
    """

    index: int
    size: int
    root: bytes
    issuer: str
    subject: str


def log_key(seed: bytes) -> bytes:
    """Return a log's Ed25519 key as ``encode`` takes it (PKCS#8 PEM) from its seed of 32 bytes."""
    try:
        key = Ed25519PrivateKey.from_private_bytes(seed)
    except ValueError as error:
        raise CredentialError("an Ed25519 seed has 32 bytes") from error
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def log_public(vkey: str) -> bytes:
    """Return a log's verifier key as ``verify`` takes it (PEM); raises CredentialError."""
    key = Ed25519PublicKey.from_public_bytes(Verifier.parse(vkey).public)
    return key.public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _algorithm(private: bytes) -> str:
    try:
        key = serialization.load_pem_private_key(private, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CredentialError(
            "the key of a COSE receipt cannot be read", hint="an open PKCS#8 PEM key"
        ) from error
    if isinstance(key, Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    raise CredentialError("COSE receipts are signed with Ed25519 or P-256, not with this key")


def encode(receipt: Receipt, private: bytes, key_id: bytes) -> bytes:
    """Return the COSE Receipt of a receipt's entry in the receipt's tree, signed with a PKCS#8 PEM key.

    ``key_id`` goes into the protected header for the verifier to choose a key by. The receipt itself must have
    been verified. Raises CredentialError where the key is neither Ed25519 nor P-256, ConfigurationError where
    the extra ``scitt`` is not installed.
    """
    import cbor2

    sign1 = _library().cose_sign1
    algorithm = _algorithm(private)
    proof, tree = Proof.from_text(receipt.text), Checkpoint.peek(Proof.from_text(receipt.text).note)
    claims = {_ISSUER: tree.origin, _SUBJECT: str(receipt.entry.digest)}
    path = cbor2.dumps([tree.size, proof.index, list(proof.path)])
    signed: bytes = sign1.sign_sign1(
        tree.root,
        alg=algorithm,
        private_key_pem=private,
        protected={_KID: key_id, _CLAIMS: claims, _VDS: _RFC9162_SHA256},
        unprotected={_PROOFS: {_INCLUSION: [path]}},
        detached=True,
    )
    return signed


def claimed_index(data: bytes) -> int:
    """Return the index that a COSE receipt claims, to look its leaf up by; nothing is verified.

    Raises LimitError over 64 KiB, MalformedError.
    """
    import cbor2

    library = _library()
    if len(data) > MAX_COSE_BYTES:
        raise LimitError(f"the COSE receipt is larger than {MAX_COSE_BYTES} bytes")
    try:
        _, unprotected, _, _ = library.cose_sign1.strict_decode(data).value
        (path,) = unprotected[_PROOFS][_INCLUSION]
        _, index, _ = cbor2.loads(path)
    except Exception as error:  # whatever the decoder and hostile shapes raise
        raise MalformedError("not a COSE receipt with one inclusion proof") from error
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise MalformedError("the COSE receipt claims no index")
    return index


def verify(data: bytes, leaf: bytes, public: bytes, origin: str) -> CoseReceipt:
    """Verify a COSE receipt of leaf bytes against a log's public key (PEM) and origin.

    Raises LimitError over the limits, MalformedError, saying why, where it does not hold.
    """
    if len(data) > MAX_COSE_BYTES or len(leaf) > MAX_ENTRY_BYTES:
        raise LimitError(f"a COSE receipt has at most {MAX_COSE_BYTES} bytes, an entry {MAX_ENTRY_BYTES}")
    result = _library().receipt.verify_receipt(data, leaf_entry_hex=leaf.hex(), log_public_key_pem=public)
    if not result.ok:
        why = safe_text("; ".join(str(item) for item in result.errors), 300)
        raise MalformedError(f"the COSE receipt does not hold: {why}")
    if result.tree_size is None or result.leaf_index is None:
        raise MalformedError("the COSE receipt is over another data structure than RFC9162_SHA256")
    if result.issuer != origin:
        raise MalformedError(
            f"the COSE receipt is of the ledger {safe_text(result.issuer, 120)}, not {safe_text(origin, 120)}"
        )
    return CoseReceipt(
        result.leaf_index, result.tree_size, bytes.fromhex(result.root), origin, str(result.subject or "")
    )
