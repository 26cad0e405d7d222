"""Signers that no longer count, or not yet: a certificate a reason, authorities on loopback, clocks by argument."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from assay.provenance.errors import ConfigurationError, UsageError
from assay.provenance.fetcher import Fetcher
from assay.provenance.keys.certificates import eku_problem, key_problem
from assay.provenance.keys.denied import DENIED, Denial, read_denials, read_serial, write_denials

from ..authority import Server
from ..forger import bare_sign, created, definition
from ..people import CODE_SIGNING, OCSP_SIGNING, TIME_STAMPING, person
from ..staple import staple

DER = serialization.Encoding.DER
DAY = dt.timedelta(days=1)
YEARS = dt.timedelta(days=3653)


def answer(subject, issuer, now, *, by=None, revoked=None, reason=None, age=DAY / 24, life=DAY, include=()):
    """Return an OCSP response about ``subject``, signed by ``by`` or its issuer."""
    status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
    signer = by or issuer
    built = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=subject.certificate,
            issuer=issuer.certificate,
            algorithm=hashes.SHA1(),
            cert_status=status,
            this_update=now - age,
            next_update=now - age + life,
            revocation_time=revoked,
            revocation_reason=reason,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    )
    built = built.certificates([p.certificate for p in include]) if include else built
    return built.sign(signer.key, hashes.SHA256()).public_bytes(DER)


def crl(issuer, now, *serials, by=None, age=DAY / 24, life=DAY, extra=()):
    """Return a list of revocations of ``serials``, made an hour ago."""
    built = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - age)
        .next_update(now - age + life)
    )
    for serial in serials:
        built = built.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY / 12).build()
        )
    for extension in extra:
        built = built.add_extension(extension, critical=True)
    return built.sign((by or issuer).key, hashes.SHA256()).public_bytes(DER)


class Authority:
    """The agencies' authority: an OCSP responder and a list of revocations, each of which says what it is told."""

    def __init__(self, studio):
        self.studio, self.now, self.issuer = studio, studio.now, studio.agencies
        self.says = lambda subject: answer(subject, self.issuer, self.now)
        self.lists = lambda subject: crl(self.issuer, self.now)
        self.ocsp = Server(lambda _: self._answer(self.says), "application/ocsp-response")
        self.crl = Server(lambda _: self._answer(self.lists), "application/pkix-crl")
        self.subject = None

    def _answer(self, make):
        body = make(self.subject)
        return (200, body) if body else (503, b"")

    def member(self, *, ocsp=True, crl=True, issuer=None, name="Member"):
        extra = []
        if ocsp:
            place = x509.UniformResourceIdentifier(f"{self.ocsp.url}/ocsp")
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
            extra.append(x509.AuthorityInformationAccess([access]))
        if crl:
            place = x509.UniformResourceIdentifier(f"{self.crl.url}/all.crl")
            extra.append(x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)]))
        self.subject = person(name, self.now, issuer=issuer or self.issuer, extra=extra)
        return self.subject

    @property
    def asked(self):
        return [*self.ocsp.requests, *self.crl.requests]

    def close(self):
        self.ocsp.close()
        self.crl.close()


@pytest.fixture
def authority(studio):
    made = Authority(studio)
    yield made
    made.close()


@pytest.fixture
def online(desk):
    """A desk that may ask authorities on loopback, and asks them."""
    desk.workspace.fetcher = Fetcher(seconds=3, allow={"127.0.0.1"})

    def verify(path, **options):
        return desk.verify(path, **{"online": True, "checks": ("manifest",), **options})

    return verify


def signed(desk, by, **options):
    return desk.sign(desk.picture(), by=by, **{"mark": False, "ledger": False, **options})


def rules(report):
    return {c.rule for c in report.conflicts}


# ------------------------------------------------------------------------------------------- the authority's word


def test_nobody_is_asked_unless_online(desk, authority):
    report = desk.verify(signed(desk, authority.member()), checks=("manifest",))
    assert report.verdict == "source-confirmed"
    assert report.manifest.revocation.state == "unknown"
    assert authority.asked == []


def test_loopback_is_refused_without_the_argument(desk, authority):
    report = desk.verify(signed(desk, authority.member()), checks=("manifest",), online=True)
    assert report.verdict == "source-confirmed"
    assert any("not a public address" in reason for reason in report.manifest.reasons)
    assert authority.asked == []


def test_a_responder_vouches_for_a_signer(desk, authority, online):
    report = online(signed(desk, authority.member()))
    assert report.verdict == "source-confirmed"
    assert (report.manifest.revocation.state, report.manifest.revocation.source) == ("good", "ocsp")
    assert authority.ocsp.requests == ["/ocsp"]
    assert authority.crl.requests == []


def test_a_signer_revoked_by_ocsp(desk, authority, online):
    path = signed(desk, authority.member())
    authority.says = lambda s: answer(s, authority.issuer, authority.now, revoked=authority.now - DAY)
    report = online(path)
    assert report.verdict == "conflict"
    assert rules(report) == {"revoked-signer"}
    assert "by the authority that issued it" in report.headline
    assert report.manifest.revocation.source == "ocsp"
    assert desk.verify(path, checks=("manifest",)).verdict == "source-confirmed"


def test_a_signer_revoked_by_a_list(desk, authority, online):
    path = signed(desk, authority.member(ocsp=False))
    assert online(path).manifest.revocation.source == "crl"
    assert online(path).verdict == "source-confirmed"
    authority.lists = lambda s: crl(authority.issuer, authority.now, s.certificate.serial_number)
    report = online(path)
    assert rules(report) == {"revoked-signer"}
    assert report.manifest.revocation.source == "crl"


def test_the_list_is_asked_where_the_responder_fails(desk, authority, online):
    path = signed(desk, authority.member())
    authority.says = lambda _: b""
    authority.lists = lambda s: crl(authority.issuer, authority.now, s.certificate.serial_number)
    assert rules(online(path)) == {"revoked-signer"}


def test_an_authority_that_cannot_be_reached_decides_nothing(desk, authority, online):
    path = signed(desk, authority.member())
    authority.says = authority.lists = lambda _: b""
    report = online(path)
    assert report.verdict == "source-confirmed"
    assert report.manifest.revocation.state == "unknown"
    assert any("could not be learnt" in reason for reason in report.manifest.reasons)


def _by_stranger(a, s, **status):
    return answer(s, a.issuer, a.now, by=a.studio.stranger, include=[a.studio.stranger], **status)


def _by_a_sibling(a, s, **status):
    return answer(s, a.issuer, a.now, by=a.studio.agency, include=[a.studio.agency], **status)


def _by_its_own(a, s, **status):
    return answer(s, a.issuer, a.now, by=s, include=[s], **status)


def _about_another(a, s, **status):
    return answer(a.studio.agency, a.issuer, a.now, **status)


def _of_last_week(a, s, **status):
    return answer(s, a.issuer, a.now, age=9 * DAY, **status)


def _rubbish(a, s, **status):
    return b"\x30\x82\x00\x04\x0a\x01\x00\xa0"


@pytest.mark.parametrize("forged", [_by_stranger, _by_a_sibling, _by_its_own, _about_another, _rubbish])
@pytest.mark.parametrize("revoked", [False, True], ids=["good", "revoked"])
def test_answers_that_are_not_the_authority_s_say_nothing(desk, authority, online, forged, revoked):
    """Neither may a stranger vouch for a signer, nor make an honest one look revoked."""
    path = signed(desk, authority.member(crl=False))
    status = {"revoked": authority.now - DAY} if revoked else {}
    authority.says = lambda s: forged(authority, s, **status)
    report = online(path)
    assert report.verdict == "source-confirmed"
    assert report.manifest.revocation.state == "unknown"


def test_an_old_answer_does_not_vouch(desk, authority, online):
    path = signed(desk, authority.member(crl=False))
    authority.says = lambda s: _of_last_week(authority, s)
    assert online(path).manifest.revocation.state == "unknown"


def test_a_responder_that_the_authority_made_one_is_believed(desk, authority, online):
    path = signed(desk, authority.member(crl=False))
    by = authority.studio.responder
    authority.says = lambda s: answer(
        s, authority.issuer, authority.now, by=by, include=[by], revoked=authority.now - DAY
    )
    assert rules(online(path)) == {"revoked-signer"}


@pytest.mark.parametrize("wrong", ["stranger", "old", "part", "delta"])
def test_lists_that_are_not_the_authority_s_whole_present_one_say_nothing(desk, authority, online, wrong):
    path = signed(desk, authority.member(ocsp=False))
    part = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    options = {
        "stranger": {"by": authority.studio.stranger},
        "old": {"age": 9 * DAY},
        "part": {"extra": [part]},
        "delta": {"extra": [x509.DeltaCRLIndicator(1)]},
    }[wrong]
    authority.lists = lambda s: crl(authority.issuer, authority.now, **options)
    report = online(path)
    assert report.verdict == "source-confirmed"
    assert report.manifest.revocation.state == "unknown"


def test_the_authority_of_a_stranger_is_not_told_that_its_file_is_examined(desk, authority, online):
    path = signed(desk, authority.member(issuer=authority.studio.stranger.issuer))
    report = online(path)
    assert report.verdict == "inconclusive"
    assert authority.asked == []


# ------------------------------------------------------------------------------------------- stapled


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, ("source-confirmed", "good")),
        ({"revoked": DAY}, ("conflict", "revoked")),
        ({"by": "stranger"}, ("source-confirmed", "unknown")),
        ({"by": "stranger", "revoked": DAY}, ("source-confirmed", "unknown")),
        ({"age": 9 * DAY}, ("source-confirmed", "unknown")),
    ],
    ids=["good", "revoked", "forged good", "forged revoked", "old"],
)
def test_an_answer_beside_the_signature_needs_no_network_and_is_believed_only_if_it_is_the_authority_s(
    desk, status, expected
):
    """Anyone can put one there: it is outside the signature."""
    studio = desk.studio
    if "revoked" in status:
        status = {**status, "revoked": studio.now - status["revoked"]}
    if "by" in status:
        status = {**status, "by": studio.stranger, "include": [studio.stranger]}
    response = answer(studio.agency, studio.agencies, studio.now, **status)
    path = desk.file(staple(signed(desk, studio.agency).read_bytes(), response))
    report = desk.verify(path, checks=("manifest",))
    assert (report.verdict, report.manifest.revocation.state) == expected
    if expected[1] != "unknown":
        assert report.manifest.revocation.source == "stapled"


def test_a_stranger_s_own_revocation_accuses_nobody(desk):
    """A copy signed anew by somebody unknown, with a revocation of its own stapled on, is no conflict."""
    by = desk.studio.stranger
    response = answer(by, by.issuer, desk.now, revoked=desk.now - DAY)
    path = desk.file(staple(signed(desk, by).read_bytes(), response))
    assert desk.verify(path, checks=("manifest",)).verdict == "inconclusive"


# ------------------------------------------------------------------------------------------- and the time of it


def test_a_time_stamp_proves_a_signature_older_than_the_revocation(desk, authority, online):
    path = signed(desk, authority.member(crl=False), tsa=desk.studio.tsa.url)
    later = dt.datetime.now(dt.UTC) + DAY / 48
    authority.says = lambda s: answer(s, authority.issuer, authority.now, revoked=later)
    report = online(path)
    assert report.verdict == "source-confirmed"
    assert report.manifest.revocation.state == "revoked-later"
    assert any("proves that it signed before" in reason for reason in report.manifest.reasons)


def test_not_where_the_key_was_compromised(desk, authority, online):
    path = signed(desk, authority.member(crl=False), tsa=desk.studio.tsa.url)
    later = dt.datetime.now(dt.UTC) + DAY / 48
    reason = x509.ReasonFlags.key_compromise
    authority.says = lambda s: answer(s, authority.issuer, authority.now, revoked=later, reason=reason)
    report = online(path)
    assert report.verdict == "inconclusive"
    assert "compromised" in report.manifest.reasons[0]


def test_without_a_time_stamp_a_later_revocation_counts(desk, authority, online):
    path = signed(desk, authority.member(crl=False))
    later = dt.datetime.now(dt.UTC) + DAY / 48
    authority.says = lambda s: answer(s, authority.issuer, authority.now, revoked=later)
    assert rules(online(path)) == {"revoked-signer"}


def test_a_suspended_certificate_is_not_established(desk, authority, online):
    path = signed(desk, authority.member(crl=False))
    hold = x509.ReasonFlags.certificate_hold
    authority.says = lambda s: answer(
        s, authority.issuer, authority.now, revoked=authority.now - DAY, reason=hold
    )
    report = online(path)
    assert report.verdict == "inconclusive"
    assert "suspended" in report.headline


# ------------------------------------------------------------------------------------------- the deny-list


def deny(desk, *denials):
    write_denials(desk.workspace.home / "trust" / DENIED, denials)


def test_a_denied_serial_number_is_revoked_offline(desk):
    agency = desk.studio.agency
    path = signed(desk, agency)
    deny(desk, Denial(str(agency.certificate.serial_number), reason='stolen \U0001f4f7 \x7f\n"x'))
    report = desk.verify(path, checks=("manifest",))
    assert rules(report) == {"revoked-signer"}
    assert "on your own list" in report.headline
    assert report.manifest.revocation.reason == 'stolen \U0001f4f7 \x7f\n"x'
    assert desk.verify(signed(desk, desk.studio.wire), checks=("manifest",)).verdict == "source-confirmed"


def test_a_denial_of_another_issuer_s_serial_number_is_not_meant(desk):
    agency = desk.studio.agency
    path = signed(desk, agency)
    deny(desk, Denial(str(agency.certificate.serial_number), issuer="O=Elsewhere"))
    assert desk.verify(path, checks=("manifest",)).verdict == "source-confirmed"
    deny(desk, Denial(str(agency.certificate.serial_number), issuer="O=Agencies"))
    assert desk.verify(path, checks=("manifest",)).verdict == "conflict"


def test_a_denial_from_a_day_on_spares_what_is_proven_older(desk):
    agency = desk.studio.agency
    path = signed(desk, agency, tsa=desk.studio.tsa.url)
    bare = signed(desk, agency)
    deny(desk, Denial(str(agency.certificate.serial_number), since=dt.datetime.now(dt.UTC) + DAY))
    assert desk.verify(path, checks=("manifest",)).verdict == "source-confirmed"
    assert desk.verify(bare, checks=("manifest",)).verdict == "conflict"


@pytest.mark.parametrize(
    "text",
    [
        "", "type = 1", 'type = "assay.revoked/v2"', 'type = "assay.revoked/v1"\nmore = 1',
        'type = "assay.revoked/v1"\n[[revoked]]\nserial = 12345678901234',
        'type = "assay.revoked/v1"\n[[revoked]]\nserial = "12345"',
        'type = "assay.revoked/v1"\n[[revoked]]\nserial = "x"',
        'type = "assay.revoked/v1"\n[[revoked]]\nserial = "123456789012345"\nsince = 2026-01-01',
        'type = "assay.revoked/v1"\nrevoked = 3',
    ],
)  # fmt: skip
def test_a_deny_list_that_cannot_be_read_stops_the_examination(desk, text):
    """Silently believing a certificate that somebody denied would be the worst answer."""
    path = signed(desk, desk.studio.agency)
    (desk.workspace.home / "trust" / DENIED).write_text(text)
    with pytest.raises(ConfigurationError, match="deny-list cannot be read"):
        desk.verify(path, checks=("manifest",))


def test_serial_numbers_are_read_as_people_find_them():
    number = 0x3FA1_0000_0000_0000_0000_0042
    for text in (str(number), f"0x{number:x}", f"{number:x}", "3F:A1:00:00:00:00:00:00:00:00:00:42"):
        assert read_serial(text) == str(number)
    for text in ("", "0", "-1", "12 34", "xyz", "1" * 60):
        with pytest.raises(UsageError):
            read_serial(text)


def test_a_short_serial_number_does_not_stand_alone(tmp_path):
    with pytest.raises(UsageError, match="too short"):
        write_denials(tmp_path / DENIED, [Denial("1")])
    write_denials(tmp_path / DENIED, [Denial("1", issuer="O=Agencies")])
    assert read_denials(tmp_path / DENIED) == (Denial("1", issuer="O=Agencies"),)


# ------------------------------------------------------------------------------------------- other reasons, one each


def test_clocks_ten_years_off(desk):
    path = signed(desk, desk.studio.agency)
    stamped = signed(desk, desk.studio.agency, tsa=desk.studio.tsa.url)
    for shift, words in ((YEARS, "has expired"), (-YEARS, "not valid yet")):
        desk.now = desk.studio.now + shift
        report = desk.verify(path, checks=("manifest",))
        assert report.verdict == "inconclusive"
        assert words in report.headline
        assert rules(report) == set()
    desk.now = desk.studio.now + YEARS
    assert desk.verify(stamped, checks=("manifest",)).verdict == "source-confirmed"
    desk.now = desk.studio.now - YEARS
    report = desk.verify(stamped, checks=("manifest",))
    assert report.verdict == "inconclusive"
    assert any("lies in the future" in reason for reason in report.manifest.reasons)


@pytest.mark.parametrize(("usage", "words"), [(TIME_STAMPING, "timeStamping"), (OCSP_SIGNING, "OCSPSigning")])
def test_a_certificate_for_something_else(desk, usage, words):
    by = person("Misused", desk.now, issuer=desk.studio.agencies, usages=(usage,))
    path = desk.file(
        bare_sign(
            desk.picture().read_bytes(),
            "image/jpeg",
            by,
            definition(created("digitalCapture")),
            usages=(usage,),
        )
    )
    report = desk.verify(path, checks=("manifest",))
    assert report.verdict == "inconclusive"
    assert words in " ".join(report.manifest.reasons)


def test_usages_and_keys_are_judged_by_themselves(desk):
    agencies = desk.studio.agencies
    assert "does not say" in eku_problem(
        person("Coder", desk.now, issuer=agencies, usages=(CODE_SIGNING,)).certificate
    )
    assert key_problem(desk.studio.agency.certificate) == ""
    for key, words in (
        (rsa.generate_private_key(65537, 1024), "RSA of 1024 bits"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
    ):
        assert words in key_problem(person("Weak", desk.now, issuer=agencies, key=key).certificate)


def test_an_unknown_authority_and_a_missing_one_for_time(desk):
    unknown = desk.verify(signed(desk, desk.studio.stranger), checks=("manifest",))
    assert unknown.origin.status == "untrusted"
    assert "not on a list that you chose" in unknown.headline
    path = signed(desk, desk.studio.agency, tsa=desk.studio.tsa.url)
    assert desk.verify(path, checks=("manifest",)).origin.time.trust == "trusted"
    desk.workspace.trust.remove("clocks")
    report = desk.verify(path, checks=("manifest",))
    assert report.verdict == "source-confirmed"
    assert report.origin.time.trust == "untrusted"
