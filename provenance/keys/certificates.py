"""Certificates: making a development chain that C2PA validators accept, and reading what a certificate says."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from assay.provenance.asset import Digest
from assay.provenance.errors import CredentialError
from assay.provenance.manifest import SignerName

DEVELOPMENT = "Assay Development"
"""Organisation name of every certificate that ``assay init`` makes; shown wherever such a signer is."""

CLAIM_SIGNING_EKUS = {
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.36": "documentSigning",
    "1.3.6.1.4.1.62558.2.1": "c2pa-kp-claimSigning",
    "1.3.6.1.4.1.311.76.59.1.9": "microsoft-c2pa",
}
"""Extended key usages that a claim signer may have (C2PA 2.x §14.4.1 and the official list's profile)."""

FORBIDDEN_EKUS = {
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}
"""Extended key usages that disqualify a claim signer (C2PA 2.x §14.5.1.1)."""

# Two SEQUENCE headers in a row, each with one to three bytes of length: what a certificate starts with.
_CERTIFICATE_START = re.compile(
    rb"\x30(?:\x81(?=(.)\x30[\x81-\x83])|\x82(?=(..)\x30[\x81-\x83])|\x83(?=(...)\x30[\x81-\x83]))",
    re.DOTALL,
)

RSA_BITS = 2048
"""Fewest bits of an RSA key that may sign claims."""
CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
"""Elliptic curves of keys that may sign claims."""
CA_DAYS = 3650
LEAF_DAYS = 365


@dataclass(frozen=True, slots=True)
class DevelopmentChain:
    """A development authority and one signer below it, as PEM; both keys are unencrypted PKCS#8 in memory."""

    authority: bytes
    authority_key: bytes
    signer: bytes
    signer_key: bytes

    @property
    def chain(self) -> bytes:
        """Leaf first, then the authority, as c2pa wants it."""
        return self.signer + self.authority


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEVELOPMENT),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def development_chain(now: dt.datetime, *, label: str = "", leaf_days: int = LEAF_DAYS) -> DevelopmentChain:
    """Make a P-256 authority and signer that c2pa-python accepts (C2PA 2.x §14.5.1, profile measured).

    ``now`` is timezone-aware. The organisation of both says that they are for development.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    signer_key = ec.generate_private_key(ec.SECP256R1())
    tail = f" ({label})" if label else ""
    authority_name = _name(f"Assay development authority{tail} - NOT FOR PRODUCTION")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    signer = (
        _builder(
            _name(f"Assay development signer{tail}"), authority_name, signer_key.public_key(), now, leaf_days
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    return DevelopmentChain(
        authority.public_bytes(serialization.Encoding.PEM),
        _pkcs8(authority_key),
        signer.public_bytes(serialization.Encoding.PEM),
        _pkcs8(signer_key),
    )


def _pkcs8(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_pem(data: bytes, origin: str) -> tuple[x509.Certificate, ...]:
    """Read all certificates of a PEM file; raises CredentialError naming ``origin`` where there is none."""
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError as error:
        raise CredentialError("holds no readable PEM certificate", path=origin) from error


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether basic constraints make this a certificate authority."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        return False


def _subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    try:
        values = certificate.subject.get_attributes_for_oid(oid)
        return str(values[0].value) if values else ""
    except ValueError:
        return ""


def _ekus(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        return tuple(oid.dotted_string for oid in extension.value)
    except (x509.ExtensionNotFound, ValueError):
        return ()


def describe(certificate: x509.Certificate) -> SignerName:
    """Return what a certificate says of its subject; every string is the certificate's own claim."""
    return SignerName(
        organization=_subject(certificate, NameOID.ORGANIZATION_NAME),
        common_name=_subject(certificate, NameOID.COMMON_NAME),
        serial=str(certificate.serial_number),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        certificate=Digest("sha256", certificate.fingerprint(hashes.SHA256())),
        eku=_ekus(certificate),
    )


def find_certificates(store: bytes, serial: str) -> Iterator[x509.Certificate]:
    """Yield each X.509 certificate in a manifest store whose serial number is ``serial`` (decimal).

    The engine tells which certificate signed by its serial number only. DER certificates stand whole in the
    COSE header, so they are found where a SEQUENCE header starts and parsed by ``cryptography``. A forged
    second certificate with the same serial can be planted: where there are several, none may be believed.
    """
    return (c for c in certificates_in(store) if str(c.serial_number) == serial)


def certificates_in(store: bytes) -> Iterator[x509.Certificate]:
    """Yield what parses as an X.509 certificate in a manifest store: those of its chains, or planted ones."""
    for found in _CERTIFICATE_START.finditer(store):
        size = found[1] or found[2] or found[3]
        end = found.start() + 2 + len(size) + int.from_bytes(size, "big")
        try:
            yield x509.load_der_x509_certificate(store[found.start() : end])
        except ValueError:
            continue


def eku_problem(certificate: x509.Certificate) -> str:
    """Return in words why a certificate may not sign claims, or "" if it may."""
    ekus = set(_ekus(certificate))
    forbidden = sorted(FORBIDDEN_EKUS[e] for e in ekus & set(FORBIDDEN_EKUS))
    if forbidden:
        return f"the signing certificate is one for {' and '.join(forbidden)}, not for signing content"
    if not ekus & set(CLAIM_SIGNING_EKUS):
        return "the signing certificate does not say that it may sign content"
    return ""


def key_problem(certificate: x509.Certificate) -> str:
    """Return in words why a certificate's key is too weak to sign claims (C2PA 2.x §13.2), or "" if it is not."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "the signing key is of a kind that is not known"
    if isinstance(key, rsa.RSAPublicKey):
        return "" if key.key_size >= RSA_BITS else f"the signing key, RSA of {key.key_size} bits, is too weak"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return (
            ""
            if key.curve.name in CURVES
            else f"the signing key's curve, {key.curve.name}, is not one for claims"
        )
    return (
        ""
        if isinstance(key, ed25519.Ed25519PublicKey)
        else "the signing key is of a kind that is not for claims"
    )


def signer_and_others(
    store: bytes, serial: str
) -> tuple[tuple[x509.Certificate, ...], tuple[x509.Certificate, ...]]:
    """Return what signed a manifest store, where one certificate alone bears the serial number, and all it holds."""
    found = tuple(dict.fromkeys(certificates_in(store)))
    named = tuple(c for c in found if serial and str(c.serial_number) == serial)
    return (named if len(named) == 1 else ()), found


def pem_of(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return certificates as PEM, one after the other."""
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)
