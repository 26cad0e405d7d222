"""Certificates that the C2PA engine takes, keys that only their owner reads, and whom a desk trusts."""

from __future__ import annotations

import datetime as dt
import json
import stat

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from assay.provenance.claim import Claim
from assay.provenance.errors import ConfigurationError, CredentialError, UsageError
from assay.provenance.keys.certificates import (
    describe,
    development_chain,
    eku_problem,
    find_certificates,
    load_pem,
)
from assay.provenance.keys.signers import (
    FileSigner,
    KeySigner,
    SignerContext,
    check_certificate,
    is_development,
    open_signer,
    write_key,
    write_secret,
)
from assay.provenance.keys.trust import INDEX, TrustStore
from assay.provenance.sign import Signing, sign
from assay.provenance.workspace import SignOptions, Workspace, no_passphrase

from ..people import CLAIM_SIGNING, CODE_SIGNING, DOCUMENT, EMAIL, OCSP_SIGNING, TIME_STAMPING, person

NONE = SignerContext(no_passphrase, {})
TODAY = dt.date(2026, 6, 1)


def pkcs8(key, secret=None):
    protection = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


# ------------------------------------------------------------------------------------------- certificates


@pytest.mark.parametrize("label", ["", "camera 7", "<b>&\u202e"])
def test_a_development_chain_signs_and_is_trusted_once_its_authority_is(desk, label):
    made = development_chain(desk.now, label=label)
    key, chain = desk.path(".key"), desk.file(made.chain, ".pem")
    write_key(key, made.signer_key, None)
    options = SignOptions(key=f"file:{key}", chain=chain, ledger=False)
    desk.workspace.sign_file(desk.picture(), out := desk.path(), Claim(source_type="digitalCapture"), options)
    assert desk.verify(out).verdict == "inconclusive"
    desk.workspace.trust.add(made.authority, name="new", kind="signer", source="test", date=TODAY)
    report = desk.verify(out)
    assert (report.verdict, report.origin.list, report.origin.development) == (
        "source-confirmed",
        "new",
        True,
    )


def test_a_development_chain_says_what_it_is(desk):
    made = development_chain(desk.now)
    leaf, authority = load_pem(made.chain, "chain")
    assert is_development(made.chain, "chain")
    assert "NOT FOR PRODUCTION" in describe(authority).common_name
    assert made.authority_key != made.signer_key
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < dt.timedelta(days=367)


@pytest.mark.parametrize(
    ("usages", "allowed"),
    [
        ((EMAIL,), True),
        ((DOCUMENT,), True),
        ((CLAIM_SIGNING,), True),
        ((EMAIL, TIME_STAMPING), False),
        ((TIME_STAMPING,), False),
        ((OCSP_SIGNING,), False),
        ((CODE_SIGNING,), False),
        (("2.5.29.37.0",), False),
        ((), False),
    ],
)
def test_usages_decide_who_may_sign_claims(studio, usages, allowed):
    someone = person("Someone", studio.now, issuer=studio.agencies, usages=usages)
    assert (eku_problem(someone.certificate) == "") is allowed
    if allowed:
        assert check_certificate(someone.chain, "x", studio.now) == someone.certificate
    else:
        with pytest.raises(CredentialError):
            check_certificate(someone.chain, "x", studio.now)


def test_a_certificate_is_valid_from_its_first_to_its_last_second(studio):
    leaf = studio.agency.certificate
    second = dt.timedelta(seconds=1)
    for moment in (leaf.not_valid_before_utc, leaf.not_valid_after_utc):
        check_certificate(studio.agency.chain, "x", moment)
    for moment in (leaf.not_valid_before_utc - second, leaf.not_valid_after_utc + second):
        with pytest.raises(CredentialError):
            check_certificate(studio.agency.chain, "x", moment)


def test_certificates_are_found_in_a_store_by_serial_only(studio):
    first, second = (
        p.certificate.public_bytes(serialization.Encoding.DER) for p in (studio.agency, studio.wire)
    )
    store = b"\x30\x82" * 3 + first[:40] + first + b"padding" + second + second[:-1]
    found = list(find_certificates(store, str(studio.wire.certificate.serial_number)))
    assert found == [studio.wire.certificate]
    assert list(find_certificates(store, "1")) == []


@pytest.mark.parametrize(
    "data", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_named(data):
    with pytest.raises(CredentialError) as caught:
        load_pem(data, "chain.pem")
    assert caught.value.path == "chain.pem"


# ------------------------------------------------------------------------------------------- signers


def test_a_key_file_is_born_for_its_owner_alone_and_never_replaced(tmp_path, studio):
    path = tmp_path / "a.key"
    write_key(path, studio.agency.private, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    before = path.read_bytes()
    for write in (lambda: write_key(path, studio.wire.private, None), lambda: write_secret(path, b"x")):
        with pytest.raises(CredentialError):
            write()
    assert path.read_bytes() == before
    signer = open_signer(f"file:{path}", studio.agency.chain, NONE)
    studio.agency.certificate.public_key().verify(signer.sign(b"hello"), b"hello", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o620])
def test_a_key_that_others_can_reach_is_refused(tmp_path, studio, mode):
    path = tmp_path / "a.key"
    write_key(path, studio.agency.private, None)
    path.chmod(mode)
    with pytest.raises(CredentialError) as caught:
        FileSigner.open(str(path), studio.agency.chain, NONE)
    assert "chmod" in caught.value.hint


def test_an_encrypted_key_needs_its_own_passphrase(tmp_path, studio):
    path = tmp_path / "a.key"
    write_key(path, studio.agency.private, b"correct horse")
    assert b"ENCRYPTED" in path.read_bytes()
    asked = []

    def answering(secret):
        def passphrase(what):
            asked.append(what)
            return secret

        return SignerContext(passphrase, {})

    assert open_signer(str(path), studio.agency.chain, answering(b"correct horse")).alg == "es256"
    for wrong in (b"battery staple", None, b""):
        with pytest.raises(CredentialError):
            open_signer(str(path), studio.agency.chain, answering(wrong))
    assert asked == [str(path)] * 4


def test_a_key_from_the_environment_is_read_from_what_is_given_only(studio, monkeypatch):
    monkeypatch.setenv("ASSAY_TEST_KEY", studio.agency.private.decode())
    context = SignerContext(no_passphrase, {"KEY": studio.agency.private.decode()})
    assert open_signer("env:KEY", studio.agency.chain, context).alg == "es256"
    with pytest.raises(CredentialError):
        open_signer("env:ASSAY_TEST_KEY", studio.agency.chain, context)


def test_an_unknown_kind_of_key_is_named_with_those_there_are():
    with pytest.raises(UsageError) as caught:
        open_signer("carrier-pigeon:x", b"", NONE)
    assert "file" in caught.value.hint


def test_the_key_must_be_the_certificate_s(studio):
    for private, chain in (
        (studio.wire.private, studio.agency.chain),
        (studio.agency.private, studio.agencies.pem + studio.agency.pem),
    ):
        with pytest.raises(CredentialError) as caught:
            KeySigner(private, chain, "a.key", no_passphrase)
        assert "does not belong" in caught.value.message


@pytest.mark.parametrize(
    ("make", "works"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "es256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "es384"),
        (lambda: ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        (lambda: rsa.generate_private_key(65537, 2048), "ps256"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), ""),
        (lambda: rsa.generate_private_key(65537, 1024), ""),
    ],
    ids=["p256", "p384", "ed25519", "rsa2048", "k256", "rsa1024"],
)
def test_keys_of_every_kind_that_c2pa_uses_sign_and_verify(desk, make, works):
    from cryptography import x509

    key = make()
    base, root = desk.studio.agency.certificate, desk.studio.agencies
    builder = x509.CertificateBuilder(
        root.certificate.subject, base.subject, key.public_key(), x509.random_serial_number(),
        base.not_valid_before_utc, base.not_valid_after_utc,
    )  # fmt: skip
    for extension in base.extensions:
        if extension.oid != x509.OID_SUBJECT_KEY_IDENTIFIER:
            builder = builder.add_extension(extension.value, extension.critical)
    chain = builder.sign(root.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + root.pem
    if not works:
        with pytest.raises(CredentialError):
            KeySigner(pkcs8(key), chain, "a.key", no_passphrase)
        return
    signer = KeySigner(pkcs8(key), chain, "a.key", no_passphrase)
    assert signer.alg == works
    sign(
        desk.picture(),
        out := desk.path(),
        Claim(source_type="digitalCapture"),
        Signing(signer, "a.key", desk.now),
    )
    report = desk.verify(out)
    assert report.verdict == "source-confirmed", (report.headline, report.manifest.codes)


class Broken:
    """A signer whose device has gone away, or which answers rubbish."""

    alg = "es256"

    def __init__(self, chain, answer):
        self.chain, self._answer = chain, answer

    def sign(self, message):
        if self._answer is None:
            raise OSError("the card was pulled")
        return self._answer


@pytest.mark.parametrize("answer", [None, b"", b"rubbish", bytes(64)])
def test_a_signer_that_fails_leaves_nothing(desk, answer):
    source, target = desk.picture(), desk.path()
    setup = Signing(Broken(desk.studio.agency.chain, answer), "the card", desk.now)
    with pytest.raises(CredentialError) as caught:
        sign(source, target, Claim(source_type="digitalCapture"), setup)
    assert answer is not None or "pulled" in caught.value.message
    assert {p.name for p in desk.files()} == {source.name}


# ------------------------------------------------------------------------------------------- trust


@pytest.fixture
def store(tmp_path):
    return TrustStore.create(tmp_path / "trust")


def test_a_new_store_trusts_nobody(store):
    assert store.lists() == ()


def test_a_list_keeps_kind_source_date_and_hash(store, studio):
    entry = store.add(
        studio.agencies.pem + studio.agency.pem, name="a", kind="signer", source="by hand", date=TODAY
    )
    assert (entry.anchors, entry.end_entities, entry.date, entry.source) == (1, 1, "2026-06-01", "by hand")
    assert entry.uri == "assay:signer:a"
    assert not entry.development
    assert store.lists() == (entry,)
    assert store.content(entry) == studio.agencies.pem + studio.agency.pem


def test_kinds_are_kept_apart(store, studio):
    for kind in ("signer", "tsa", "cawg"):
        store.add(studio.agencies.pem, name="same", kind=kind, source="x", date=TODAY)
    assert len(store.lists()) == 3
    with pytest.raises(UsageError):
        store.remove("same")
    assert store.remove("same", "tsa").kind == "tsa"
    assert {e.kind for e in store.lists()} == {"signer", "cawg"}
    with pytest.raises(UsageError):
        store.add(studio.agencies.pem, name="same", kind="friends", source="x", date=TODAY)


@pytest.mark.parametrize("name", ["", "../up", "A", "a/b", "a\n", "\u202e", "x" * 65])
def test_names_that_are_no_names_are_refused(store, studio, name):
    with pytest.raises(UsageError):
        store.add(studio.agencies.pem, name=name, kind="signer", source="x", date=TODAY)
    assert [p.name for p in store.folder.iterdir()] == [INDEX]


def test_a_list_changed_behind_our_back_is_noticed(store, studio):
    entry = store.add(studio.agencies.pem, name="a", kind="signer", source="x", date=TODAY)
    store.path(entry).write_bytes(studio.agencies.pem + studio.stranger.issuer.pem)
    with pytest.raises(ConfigurationError):
        store.content(entry)
    store.path(entry).unlink()
    with pytest.raises(ConfigurationError):
        store.content(entry)


def test_a_changed_list_stops_every_verification(desk):
    signed = desk.sign(desk.picture())
    trust = desk.workspace.trust
    (agencies,) = (entry for entry in trust.lists() if entry.name == "agencies")
    trust.path(agencies).write_bytes(desk.studio.stranger.issuer.pem)
    with pytest.raises(ConfigurationError):
        desk.verify(signed)


@pytest.mark.parametrize("text", ["", "{}", '{"type": "assay.trust/v9", "lists": []}', "[1]", '{"type": 1}'])
def test_a_broken_index_is_no_empty_index(store, text):
    (store.folder / INDEX).write_text(text)
    with pytest.raises(ConfigurationError):
        store.lists()


def test_a_list_without_certificates_is_refused(store):
    with pytest.raises(CredentialError):
        store.add(b"nothing", name="a", kind="signer", source="x", date=TODAY)
    assert store.lists() == ()


def test_a_development_authority_is_marked_in_the_list(store, studio):
    made = development_chain(studio.now)
    assert store.add(made.authority, name="dev", kind="signer", source="x", date=TODAY).development


def test_replacing_a_list_replaces_it(store, studio):
    store.add(studio.agencies.pem, name="a", kind="signer", source="x", date=TODAY)
    newer = store.add(studio.clocks.pem, name="a", kind="signer", source="y", date=TODAY)
    assert store.lists() == (newer,)
    assert json.loads((store.folder / INDEX).read_text())["lists"][0]["source"] == "y"


# ------------------------------------------------------------------------------------------- workspace


def test_a_workspace_is_made_once(tmp_path):
    home = tmp_path / "home"
    Workspace.init(home)
    secret = (home / "keys" / "signing.key").read_bytes()
    with pytest.raises(ConfigurationError):
        Workspace.init(home)
    assert (home / "keys" / "signing.key").read_bytes() == secret
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (home / "keys").iterdir()}
    assert {modes[n] for n in ("signing.key", "ledger.seed", "development-authority.key")} == {0o400}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
    assert Workspace.open(home).trust.lists() == ()


def test_nothing_is_made_by_opening(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        Workspace.open(tmp_path / "nowhere")
    assert "assay init" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["version = 9", "version = 1\ncolour = 'blue'", "version = 1", "= ="])
def test_settings_that_cannot_be_understood_stop_everything(tmp_path, line):
    (tmp_path / "assay.toml").write_text(line)
    with pytest.raises(ConfigurationError):
        Workspace.open(tmp_path)


def test_a_ledger_seed_that_others_can_read_is_refused(desk):
    (desk.workspace.home / "keys" / "ledger.seed").chmod(0o444)
    with pytest.raises(CredentialError):
        desk.workspace.log  # noqa: B018
