"""CAWG identities: judged by lists of their own, stated apart, and never a change of the C2PA answer."""

from __future__ import annotations

import copy
import datetime as dt
import io
import json
import re
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console

from assay.provenance.credentials.identities import judge_identities
from assay.provenance.errors import CredentialError
from assay.provenance.identity import AGGREGATION, PROVES, X509, Identity, IdentityStatus, Verified
from assay.provenance.inspection import inspect
from assay.provenance.keys.health import check_trust
from assay.provenance.keys.update import update_list
from assay.provenance.manifest import ManifestState
from assay.provenance.page import page
from tests.forger import bare_sign, created, definition, sign_with_identity
from tests.people import TIME_STAMPING, person
from tests.reports import HOSTILE, manifest, untrusted
from tests.studio import SMALL, encode, photo

CHECKS = ("manifest", "metadata", "receipt", "agreement")
SAID = definition(created("digitalCapture"))
FIXTURE = "c2pa/c2pa-rs/sdk/tests/fixtures/C_with_CAWG_data.jpg"
ROOTS = "c2pa/c2pa-rs/sdk/tests/fixtures/certs/trust/test_cert_root_bundle.pem"
LISTED, UNLISTED, BROKEN, UNCHECKED = IdentityStatus


@pytest.fixture(scope="module")
def guild(studio):
    """An authority for identities, which no list of signers names."""
    return person("Guild of Reporters", studio.now, authority=True)


@pytest.fixture(scope="module")
def reporter(studio, guild):
    return person("Guild", studio.now, issuer=guild, name="Jane Reporter")


@pytest.fixture(scope="module")
def jpeg():
    return encode(photo("astronaut", SMALL), "jpeg")


@pytest.fixture(scope="module")
def stated(studio, reporter, jpeg):
    """A file of a trusted signer in which a reporter stands by content and actions."""
    return sign_with_identity(jpeg, "image/jpeg", studio.agency, reporter, SAID)


def trust(desk, people, kind="cawg", name="guild"):
    desk.workspace.trust.add(people.pem, name=name, kind=kind, source="x", date=desk.now.date())


def answer(report):
    """All of a report that an identity must not touch."""
    found = report.manifest
    return (
        report.verdict, report.integrity, report.origin, report.synthesis, report.score, report.leaning,
        report.conflicts, report.notices, found.state, found.codes, found.reasons, found.trust_list,
        found.signer_trusted, found.time,
        found.coverage.gaps[1:] if found.coverage else None, report.without,
    )  # fmt: skip


def only(report) -> Identity:
    (found,) = report.manifest.stated
    return found


def test_an_identity_on_a_list_is_named_with_what_it_stands_by(desk, guild, stated):
    trust(desk, guild)
    found = only(desk.verify(desk.file(stated), checks=CHECKS))
    assert (found.status, found.list, found.kind, found.codes) == (LISTED, "guild", X509, ())
    assert (found.organization, found.common_name, found.roles) == (
        "Guild",
        "Jane Reporter",
        ("cawg.creator",),
    )
    assert set(found.references) == {"c2pa.hash.data", "c2pa.actions.v2"}
    assert found.says.startswith(
        "“Jane Reporter” of “Guild”, whose certificate is on your list of identities “guild”"
    )
    assert "stands by the content and c2pa.actions.v2" in found.says


def test_an_identity_on_no_list_is_only_what_it_calls_itself(desk, stated):
    found = only(desk.verify(desk.file(stated), checks=CHECKS))
    assert (found.status, found.list, found.codes) == (UNLISTED, "", ("cawg.x509.credential.untrusted",))
    assert "calls itself “Jane Reporter”" in found.says
    assert "on no list of identities that you chose" in found.says


def test_a_certificate_can_be_listed_by_itself(desk, reporter, stated):
    trust(desk, reporter, name="friends")
    assert only(desk.verify(desk.file(stated), checks=CHECKS)).list == "friends"


@pytest.mark.parametrize("kind", ["signer", "tsa"])
def test_no_list_of_another_kind_vouches_for_an_identity(desk, guild, stated, kind):
    trust(desk, guild, kind=kind)
    report = desk.verify(desk.file(stated), checks=CHECKS)
    assert (only(report).status, report.verdict) == (UNLISTED, "source-confirmed")


def test_a_list_of_identities_vouches_for_no_signer(desk, guild, reporter, jpeg):
    trust(desk, guild)
    report = desk.verify(
        desk.file(sign_with_identity(jpeg, "image/jpeg", reporter, reporter, SAID)), checks=CHECKS
    )
    assert only(report).status is LISTED
    assert (report.verdict, report.origin.status, report.origin.list) == ("inconclusive", "untrusted", "")


def test_one_authority_on_lists_of_both_kinds_is_each_by_its_own(desk, studio, jpeg):
    """The engine then names the list of identities for the signer too, which is then no signer's."""
    path = desk.file(sign_with_identity(jpeg, "image/jpeg", studio.agency, studio.wire, SAID))
    before = desk.verify(path, checks=CHECKS)
    trust(desk, studio.agencies)
    after = desk.verify(path, checks=CHECKS)
    assert (only(before).status, only(after).status, only(after).list) == (UNLISTED, LISTED, "guild")
    assert answer(before) == answer(after)
    assert (after.verdict, after.origin.list) == ("source-confirmed", "agencies")


BROKEN_ASSERTIONS = {
    "no form": {"what": "is this"},
    "no map": ["x"],
    "no signature": {
        "signer_payload": {"sig_type": X509, "referenced_assertions": []}, "signature": [1, 2, 3], "pad1": [],
    },
    "another content": {
        "signer_payload": {
            "sig_type": AGGREGATION,
            "referenced_assertions": [{"url": "self#jumbf=c2pa.assertions/c2pa.hash.data", "hash": [0] * 32}],
        },
        "signature": [1, 2, 3],
        "pad1": [],
        "verifiedIdentities": [{"name": "Reuters"}],
        "signature_info": {"issuer": "Reuters", "common_name": "Reuters"},
    },
    "unknown type": {
        "signer_payload": {"sig_type": "x.y", "referenced_assertions": []}, "signature": [1], "pad1": [],
        "signature_info": {"issuer": "Reuters", "common_name": "Reuters"},
    },
}  # fmt: skip


@pytest.mark.parametrize("signer", ["agency", "stranger"])
def test_no_identity_whatever_it_is_changes_the_answer(desk, studio, guild, reporter, jpeg, signer):
    """Without one, with one that is listed, with one that is not, and with broken ones: the same answer."""
    trust(desk, guild)
    by = getattr(studio, signer)
    plain = answer(desk.verify(desk.file(bare_sign(jpeg, "image/jpeg", by, SAID)), checks=CHECKS))
    unlisted = person("Nobody", studio.now, name="Nobody")
    for name in (reporter, unlisted, by):
        report = desk.verify(desk.file(sign_with_identity(jpeg, "image/jpeg", by, name, SAID)), checks=CHECKS)
        assert answer(report) == plain
        assert only(report).status is (LISTED if name is reporter else UNLISTED)
    for what, data in BROKEN_ASSERTIONS.items():
        said = definition(created("digitalCapture"), assertions=[{"label": "cawg.identity", "data": data}])
        report = desk.verify(desk.file(bare_sign(jpeg, "image/jpeg", by, said)), checks=CHECKS)
        assert answer(report) == plain, what
        found = only(report)
        assert found.status in (BROKEN, UNCHECKED), what
        assert "Reuters" not in found.says, what


def test_a_changed_file_has_nobody_who_stands_by_it(desk, guild, stated):
    trust(desk, guild)
    report = desk.verify(desk.file(stated[:-40] + bytes([stated[-40] ^ 1]) + stated[-39:]), checks=CHECKS)
    assert report.verdict == "conflict"
    assert (only(report).status, only(report).list) == (UNCHECKED, "")
    assert report.to_json()["manifest"]["identities"][0]["status"] == "unchecked"


def test_which_of_several_identities_fails_cannot_be_told(desk, studio, guild, reporter, jpeg):
    trust(desk, guild)
    odd = {"label": "cawg.identity", "data": BROKEN_ASSERTIONS["unknown type"]}
    said = definition(created("digitalCapture"), assertions=[odd, odd])
    report = desk.verify(desk.file(bare_sign(jpeg, "image/jpeg", studio.agency, said)), checks=CHECKS)
    assert report.verdict == "source-confirmed"
    assert [i.status for i in report.manifest.stated] == [UNCHECKED, UNCHECKED]
    assert [i.label for i in report.manifest.stated] == ["cawg.identity", "cawg.identity__1"]


def test_a_certificate_for_time_stamps_states_no_listed_identity(desk, studio, guild, jpeg):
    trust(desk, guild)
    stamper = person("Guild", studio.now, issuer=guild, usages=("1.3.6.1.5.5.7.3.4", TIME_STAMPING))
    try:
        data = sign_with_identity(jpeg, "image/jpeg", studio.agency, stamper, SAID)
    except Exception as error:  # the engine may refuse to make it
        pytest.skip(f"the engine refuses: {error}")
    report = desk.verify(desk.file(data), checks=CHECKS)
    assert only(report).status is not LISTED
    assert report.verdict == "source-confirmed"


def test_an_expired_certificate_is_neither_believed_nor_called_broken(desk, studio, guild, jpeg):
    trust(desk, guild)
    until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=4)
    old = person("Guild", until, issuer=guild, until=dt.timedelta(0))
    paths = [
        desk.file(sign_with_identity(jpeg, "image/jpeg", studio.agency, old, SAID, tsa=tsa))
        for tsa in (None, studio.tsa.url, studio.rogue_tsa.url)
    ]
    time.sleep(max(0, (until - dt.datetime.now(dt.UTC)).total_seconds()) + 1)
    for path in paths:
        report = desk.verify(path, checks=("manifest",))
        assert (report.verdict, only(report).status) == ("source-confirmed", UNCHECKED)
        assert "no trusted time proves" in only(report).says


def test_the_deny_list_counts_for_identities_and_for_them_alone(desk, guild, reporter, stated):
    trust(desk, guild)
    path = desk.file(stated)
    before = desk.verify(path, checks=CHECKS)
    toml = f'type = "assay.revoked/v1"\n[[revoked]]\nserial = "{reporter.certificate.serial_number}"\n'
    (desk.workspace.home / "trust" / "revoked.toml").write_text(toml)
    after = desk.verify(path, checks=CHECKS)
    assert (only(before).status, only(after).status) == (LISTED, BROKEN)
    assert "no longer count" in only(after).says
    assert answer(before) == answer(after)


# ----------------------------------------------------------------------------------------------- public files


def test_the_public_file_with_an_identity(corpus, desk):
    """The engine calls it Valid, not Trusted, for the sake of the identity alone."""
    path = corpus / FIXTURE
    roots = (corpus / ROOTS).read_bytes()
    seen = {}
    for signer, cawg in product((False, True), repeat=2):
        for kind, on in (("signer", signer), ("cawg", cawg)):
            if on:
                desk.workspace.trust.add(
                    roots, name=f"{kind}-roots", kind=kind, source="x", date=desk.now.date()
                )
        report = desk.verify(path, checks=CHECKS)
        seen[signer, cawg] = (
            str(report.verdict),
            report.origin.list,
            str(only(report).status),
            only(report).list,
        )
        for kind, on in (("signer", signer), ("cawg", cawg)):
            if on:
                desk.workspace.trust.remove(f"{kind}-roots")
    assert seen == {
        (False, False): ("inconclusive", "", "unlisted", ""),
        (False, True): ("inconclusive", "", "listed", "cawg-roots"),
        (True, False): ("source-confirmed", "signer-roots", "unlisted", ""),
        (True, True): ("source-confirmed", "signer-roots", "listed", "cawg-roots"),
    }


# ----------------------------------------------------------------------------------------- lists of identities

DID = "did:jwk:eyJhbGciOiJFZERTQSJ9"


def test_a_list_of_identities_holds_certificates_issuers_or_both(desk, guild):
    trusts, day = desk.workspace.trust, desk.now.date()
    both = trusts.add(
        guild.pem + f"# issuers\n{DID}\n{DID}\n".encode(), name="a", kind="cawg", source="x", date=day
    )
    issuers = trusts.add(f"{DID}\ndid:web:a.example\n".encode(), name="b", kind="cawg", source="x", date=day)
    assert [(e.anchors, e.end_entities) for e in (both, issuers)] == [(1, 1), (0, 2)]
    anchors, _ = desk.workspace.anchors()
    assert [a.issuers for a in anchors if a.kind == "cawg"] == [(DID,), (DID, "did:web:a.example")]
    assert not [f for f in check_trust(trusts, desk.now) if f.kind == "cawg"]
    change = update_list(trusts, issuers, f"{DID}\n".encode(), source="x", date=day)
    assert ([m["name"] for m in change.removed], change.kept) == (["did:web:a.example"], 1)


@pytest.mark.parametrize(
    "data", [b"", b"did:web\n", b"did:web:a b\n", b"DID:web:a\n", b"did:web:" + b"a" * 3000]
)
def test_a_list_of_nobody_is_refused(desk, data):
    with pytest.raises(CredentialError):
        desk.workspace.trust.add(data, name="x", kind="cawg", source="x", date=desk.now.date())


@pytest.mark.parametrize("kind", ["signer", "tsa"])
def test_issuers_of_identities_are_no_list_of_another_kind(desk, kind):
    with pytest.raises(CredentialError):
        desk.workspace.trust.add(f"{DID}\n".encode(), name="x", kind=kind, source="x", date=desk.now.date())


# ---------------------------------------------------------------------------------------------------- outputs


def laced(s: str) -> Identity:
    return Identity(
        s,
        s,
        UNCHECKED,
        s,
        s,
        s,
        s,
        (Verified(s, s, s, s, s, s),),
        s,
        s,
        (s,),
        (s, s),
        s,
        (s,),
        reason="it is odd",
    )


@pytest.mark.parametrize("s", HOSTILE)
@pytest.mark.parametrize("kind", [X509, AGGREGATION, "?"])
def test_sentences_of_hostile_identities_are_one_line_of_visible_text(s, kind):
    for status in IdentityStatus:
        says = replace(laced(s), kind=kind, status=status).says
        assert says.isprintable()
        assert "\n" not in says
        assert len(says) < 4000


def test_every_status_is_said_apart_from_the_verdict(desk, guild, stated):
    trust(desk, guild)
    path = desk.file(stated)
    shown = page([(desk.verify(path, checks=CHECKS), None)], "x")
    assert "Identity (CAWG), stated apart" in shown
    assert PROVES in shown
    assert "Holds, and is on your list" in shown
    assert inspect(desk.workspace, path)["manifest"]["identities"][0]["list"] == "guild"


def test_the_terminal_says_who_stands_by_what_and_what_that_is_worth():
    from assay.cli.show import show_report
    from assay.cli.show_inspection import show_inspection

    for report in (untrusted(), untrusted(identities=(laced("x"), laced("y")))):
        for shown in (
            lambda console, report=report: show_report(report, console),
            lambda console, report=report: show_report(report, console, verbose=True),
            lambda console, report=report: show_inspection({"manifest": report.manifest.to_json()}, console),
        ):
            out = io.StringIO()
            shown(Console(file=out, width=400, _environ={}))
            text = " ".join(re.sub("[│├└─]", " ", out.getvalue()).split())
            assert PROVES in text
            assert all(i.says in text for i in report.manifest.stated)
    out = io.StringIO()
    show_report(untrusted(identities=()), Console(file=out, width=400, _environ={}))
    assert "CAWG" not in out.getvalue()


def test_a_page_without_identities_does_not_speak_of_them():
    assert (
        "CAWG"
        not in page([(untrusted(identities=(), cawg=()), None)], "x").partition("The whole report as JSON")[0]
    )


def test_around_credentials_that_do_not_hold_no_identity_is_listed():
    listed = replace(laced("x"), status=LISTED)
    for state in ManifestState:
        found = manifest(state, identities=(listed,)).stated[0].status
        assert (found is LISTED) is (state in (ManifestState.TRUSTED, ManifestState.UNTRUSTED))
    assert (
        manifest(ManifestState.TRUSTED, identities=(listed,), uncovered=((1, 2),)).stated[0].status
        is UNCHECKED
    )


# -------------------------------------------------------------------------- credentials of issuers, as answered

ANSWERS = json.loads(Path(__file__).with_name("ica.json").read_text("utf-8"))["answers"]
LISTS = {"assay:cawg:c": "issuers"}


@pytest.mark.parametrize(
    ("name", "status", "codes"),
    [
        ("success", LISTED, ()),
        ("valid_time_stamp", LISTED, ()),
        ("success-unlisted", UNLISTED, ("cawg.ica.untrusted_issuer",)),
        ("adobe_connected_identities", UNCHECKED, ("cawg.ica.did_unavailable",)),
        ("invalid_sig_type", UNCHECKED, ("cawg.identity.sig_type.unknown",)),
        ("signature_mismatch", BROKEN, ("cawg.ica.signature_mismatch",)),
        ("signer_payload_mismatch", BROKEN, ("cawg.ica.signer_payload.mismatch",)),
        ("valid_until_in_past", BROKEN, ("cawg.ica.valid_until.invalid",)),
        ("unsupported_did_method", BROKEN, ("cawg.ica.invalid_issuer",)),
        ("invalid_vc", BROKEN, ("cawg.ica.invalid_verifiable_credential",)),
        ("malformed_cbor", BROKEN, ()),
    ],
)
def test_credentials_of_issuers(name, status, codes):
    """Such a credential is bound to content that the engine alone can name, so these are answers of its own files."""
    (found,) = judge_identities(ANSWERS[name], b"", LISTS)
    assert (found.status, found.codes) == (status, codes)
    assert found.list == ("issuers" if status is LISTED else "")


def test_an_issuer_is_believed_for_what_it_says_and_no_more():
    (found,) = judge_identities(ANSWERS["success"], b"", LISTS)
    assert found.issuer.startswith("did:jwk:")
    assert [v.kind for v in found.verified] == [
        "cawg.document_verification", "cawg.affiliation", "cawg.social_media", "cawg.crypto_wallet",
    ]  # fmt: skip
    social = found.verified[2]
    assert (social.name, social.username, social.provider) == (
        "Silly Cats 929",
        "username",
        "Example Social Network",
    )
    assert (social.uri, social.verified_at[:10]) == (
        "https://example-social-network.com/username",
        "2024-05-27",
    )
    assert re.match(
        "The issuer “did:jwk:.*”, which is on your list of identities “issuers”, says that it ", found.says
    )
    assert judge_identities(ANSWERS["success"], b"", {})[0].status is UNCHECKED


def test_identities_are_read_in_bounds():
    answer = copy.deepcopy(ANSWERS["success"])
    credential = answer["read"]["cawg.identity"]
    credential["verifiedIdentities"] = [{"type": "x" * 9999, "name": ["x"], "provider": "x"}, 7, None] * 100
    credential["c2paAsset"]["referenced_assertions"] = [
        {"url": "self#jumbf=c2pa.assertions/" + "x" * 9999}
    ] * 500
    credential["validFrom"] = {"x": 1}
    (found,) = judge_identities(answer, b"", LISTS)
    assert (len(found.verified), len(found.references), found.valid_from) == (32, 64, "")
    assert max(len(v.kind) for v in found.verified) == 300


@pytest.mark.parametrize(
    "odd", [None, 7, "x", [], [[]], {"signer_payload": 7}, {"signer_payload": {"sig_type": []}}]
)
def test_what_is_no_identity_is_broken_and_no_fault_of_ours(odd):
    for part in ("stated", "read"):
        answer = copy.deepcopy(ANSWERS["success"])
        answer[part]["cawg.identity"] = odd
        (found,) = judge_identities(answer, b"", LISTS)
        assert found.status is not LISTED
        assert found.says
