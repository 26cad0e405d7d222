"""Certificates as honest and dishonest people have them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EMAIL = "1.3.6.1.5.5.7.3.4"
DOCUMENT = "1.3.6.1.5.5.7.3.36"
CLAIM_SIGNING = "1.3.6.1.4.1.62558.2.1"
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
CODE_SIGNING = "1.3.6.1.5.5.7.3.3"

PEM = serialization.Encoding.PEM
YEAR = dt.timedelta(days=365)


@dataclass(frozen=True)
class Person:
    """A key, its certificate, and whoever issued it (None: itself)."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    issuer: Person | None = None

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    @property
    def chain(self) -> bytes:
        """Leaf first, root last."""
        return self.pem + (self.issuer.chain if self.issuer else b"")

    @property
    def private(self) -> bytes:
        return self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def person(
    organization: str,
    now: dt.datetime,
    *,
    issuer: Person | None = None,
    usages: tuple[str, ...] = (EMAIL,),
    authority: bool = False,
    since: dt.timedelta = dt.timedelta(days=1),
    until: dt.timedelta = YEAR,
    name: str = "",
    serial: int | None = None,
    extra: Sequence[x509.ExtensionType] = (),
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Person:
    """Make someone whose certificate is valid from ``now - since`` to ``now + until``; ``extra`` are extensions."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)]
    attributes += [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    subject = x509.Name(attributes)
    issuing = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now - since)
        .not_valid_after(now + until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing.public_key()), critical=False
        )
        .add_extension(_key_usage(authority), critical=True)
    )
    if usages and not authority:
        oids = [x509.ObjectIdentifier(u) for u in usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(oids), critical=True)
    for extension in extra:
        builder = builder.add_extension(extension, critical=False)
    return Person(key, builder.sign(issuing, hashes.SHA256()), issuer)


def _key_usage(authority: bool) -> x509.KeyUsage:
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
