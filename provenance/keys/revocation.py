"""Revocation: what an authority's signed answers (OCSP, revocation lists) say of one certificate.

Every answer is checked by ``cryptography`` against the key of the authority that issued the certificate; one that is
not its own, about another certificate, or out of date says nothing. RFC 6960, RFC 5280.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

SKEW = dt.timedelta(minutes=10)
"""How far the clocks of an authority and of this machine may be apart."""
MAX_AGE = dt.timedelta(days=7)
"""How long an answer that names no end of its own is believed."""
MAX_STAPLES = 8
"""Most answers looked at that a file carries itself."""
OCSP_REQUEST = "application/ocsp-request"
OCSP_TYPES = ("application/ocsp-response",)
CRL_TYPES = ("application/pkix-crl", "application/x-pkcs7-crl", "application/octet-stream")

# An OCSPResponse: SEQUENCE, status "successful", response bytes. Stapled ones stand whole in the COSE header.
_STAPLE_START = re.compile(rb"\x30\x82(?=(..)\x0a\x01\x00\xa0\x82)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """An authority's answer about one certificate.

    ``made`` and ``until`` bound when it was right; ``revoked`` is the moment of the revocation, None for a
    certificate that stands; ``reason`` the name that RFC 5280 gives the revocation's reason, "" if it gave none.
    """

    made: dt.datetime
    until: dt.datetime
    revoked: dt.datetime | None = None
    reason: str = ""

    def holds_at(self, moment: dt.datetime) -> bool:
        """Whether the answer is one of that moment; a revocation stays one for ever."""
        return self.revoked is not None or self.made - SKEW <= moment <= self.until + SKEW


def find_issuer(certificate: x509.Certificate, among: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """Return the certificate that issued ``certificate``, by its signature; None where it is not ``among`` them."""
    for candidate in among:
        try:
            certificate.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return candidate
    return None


def ocsp_url(certificate: x509.Certificate) -> str:
    """Return where the certificate says that its authority answers OCSP, or ""."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    places = (d for d in access if d.access_method == AuthorityInformationAccessOID.OCSP)
    return next((u for d in places if (u := _url(d.access_location))), "")


def crl_url(certificate: x509.Certificate) -> str:
    """Return where the certificate says that its authority's whole list of revocations is, or ""."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    whole = (p for p in points if not p.reasons and not p.crl_issuer)
    return next((u for p in whole for name in p.full_name or () if (u := _url(name))), "")


def _url(name: x509.GeneralName) -> str:
    if not isinstance(name, x509.UniformResourceIdentifier):
        return ""
    return name.value if name.value.startswith(("http://", "https://")) else ""


def ocsp_request(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """Return the DER of an OCSP request about one certificate."""
    # SHA-1 only names the certificate here, and is what every responder knows (RFC 5019).
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
    return builder.build().public_bytes(serialization.Encoding.DER)


def find_staples(store: bytes) -> Iterator[bytes]:
    """Yield what looks like OCSP responses in a manifest store, DER; ``read_ocsp`` judges them."""
    for count, found in enumerate(_STAPLE_START.finditer(store)):
        if count >= MAX_STAPLES:
            return
        yield store[found.start() : found.start() + 4 + int.from_bytes(found[1], "big")]


def read_ocsp(data: bytes, certificate: x509.Certificate, issuer: x509.Certificate) -> Answer | None:
    """Return what an OCSP response says of ``certificate``; None where it is not its authority's, or says nothing."""
    try:
        response = ocsp.load_der_ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL or not _is_of(response, issuer):
            return None
        for single in response.responses:
            if _is_about(single, certificate, issuer):
                return _answered(single)
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return None
    return None


def _answered(single: ocsp.OCSPSingleResponse) -> Answer | None:
    made = single.this_update_utc
    until = single.next_update_utc or made + MAX_AGE
    if single.certificate_status is ocsp.OCSPCertStatus.GOOD:
        return Answer(made, until)
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED and single.revocation_time_utc:
        reason = single.revocation_reason.value if single.revocation_reason else ""
        return Answer(made, until, single.revocation_time_utc, reason)
    return None


def _is_about(
    single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    if single.serial_number != certificate.serial_number:
        return False
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, single.hash_algorithm)
    named = builder.build()
    return (single.issuer_key_hash, single.issuer_name_hash) == (
        named.issuer_key_hash,
        named.issuer_name_hash,
    )


def _is_of(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Whether the authority itself signed, or a responder that it made one (RFC 6960, 4.2.2.2)."""
    if _signed_by(issuer, response):
        return True
    for responder in response.certificates:
        try:
            responder.verify_directly_issued_by(issuer)
            usages = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            continue
        in_time = responder.not_valid_before_utc <= response.produced_at_utc <= responder.not_valid_after_utc
        if ExtendedKeyUsageOID.OCSP_SIGNING in usages and in_time and _signed_by(responder, response):
            return True
    return False


def _signed_by(signer: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    key, signature, signed = signer.public_key(), response.signature, response.tbs_response_bytes
    digest = response.signature_hash_algorithm
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest:
            key.verify(signature, signed, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest:
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def read_crl(data: bytes, certificate: x509.Certificate, issuer: x509.Certificate) -> Answer | None:
    """Return what a revocation list says of ``certificate``; None for one that is not its authority's, or not whole."""
    try:
        crl = x509.load_der_x509_crl(data)
        if crl.issuer != issuer.subject or not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
            return None
        if _is_part(crl):
            return None
        until = crl.next_update_utc or crl.last_update_utc + MAX_AGE
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        if entry is None:
            return Answer(crl.last_update_utc, until)
        return Answer(crl.last_update_utc, until, entry.revocation_date_utc, _crl_reason(entry))
    except (ValueError, TypeError, InvalidSignature):
        return None


def _is_part(crl: x509.CertificateRevocationList) -> bool:
    """Whether a list holds only some revocations, so that what is not on it says nothing."""
    for extension in crl.extensions:
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            return True
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            point = extension.value
            if point.indirect_crl or point.only_contains_ca_certs or point.only_some_reasons:
                return True
    return False


def _crl_reason(entry: x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return ""
