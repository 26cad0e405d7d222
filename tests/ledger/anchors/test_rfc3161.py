"""Time-stamps of checkpoints: others' tokens, a real authority on loopback, and OpenSSL as a second one."""

from __future__ import annotations

import base64
import datetime as dt
import shutil
import subprocess
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from assay.ledger.anchors.rfc3161 import Rfc3161Anchor, TimestampAuthority
from assay.provenance.anchor import Standing, checkpoint_digest, checkpoint_text
from assay.provenance.errors import ConfigurationError, CredentialError, MalformedError, NetworkError

from ...authority import Server, authority, time_stamp
from ...people import EMAIL, TIME_STAMPING, Person, person
from .journal import MemoryJournal
from .worlds import NOW, checkpoint, context

YEAR = dt.timedelta(days=365)


@pytest.fixture(scope="module")
def root() -> Person:
    return person("Clocks", NOW, authority=True, since=4 * YEAR, until=4 * YEAR, name="Clocks Root")


@pytest.fixture(scope="module")
def clock(root) -> Person:
    return person("Clockwork", NOW, issuer=root, usages=(TIME_STAMPING,))


@pytest.fixture
def serve():
    """Start authorities and servers that end with the test."""
    started = []

    def start(made: Server) -> Server:
        started.append(made)
        return made

    yield start
    for server in started:
        server.close()


def anchor(home, url, pinned: Person | bytes, root: Person) -> Rfc3161Anchor:
    (home / "tsa.pem").write_bytes(pinned if isinstance(pinned, bytes) else pinned.pem)
    (home / "roots.pem").write_bytes(root.pem)
    settings = {"kind": "rfc3161", "url": url, "certificate": "tsa.pem", "roots": "roots.pem"}
    return Rfc3161Anchor("tsa", settings, context(home))


# ------------------------------------------------------------------------------------- others' tokens

HELLO = b"hello"
# file, pinned (its place in the chain file, or the token's own), message; the digests of the others are known only
VERIFY = {
    "sigstage/response-sha256.tsr": HELLO,
    "sigstage/response-sha384.tsr": HELLO,
    "sigstage/response-sha512.tsr": HELLO,
    "sigstage/response-no-embedded-cert.tsr": HELLO,
    "test_tsa/response.tsr": HELLO,
    "test_tsa/response-injected-certs.tsr": HELLO,
    "sigstore.mock/response-expired.tsr": "payload",
}
REFUSE = {
    "sigstage/response-invalid-signature.tsr": "signature",
    "test_tsa/other_response.tsr": "another certificate",
}


def chain(folder):
    certificates = x509.load_pem_x509_certificates((folder / "ts_chain.pem").read_bytes())
    pem = [c.public_bytes(serialization.Encoding.PEM) for c in certificates]
    return pem[0], b"".join(pem[1:])


@pytest.mark.parametrize("name", VERIFY)
def test_others_tokens_verify_with_the_pinned_certificate(corpus, name):
    path = corpus / "ledger/rfc3161" / name
    message = VERIFY[name]
    if isinstance(message, str):
        message = (path.parent / message).read_bytes()
    known = TimestampAuthority(*chain(path.parent), name)
    time = known.stamped(path.read_bytes(), message)
    assert dt.datetime(2023, 1, 1, tzinfo=dt.UTC) < time < dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    with pytest.raises(MalformedError, match="other bytes"):
        known.stamped(path.read_bytes(), message + b"!")
    with pytest.raises(MalformedError, match="nonce"):
        known.stamped(path.read_bytes(), message, nonce=1)


@pytest.mark.parametrize("name", REFUSE)
def test_others_bad_tokens_are_refused(corpus, name):
    path = corpus / "ledger/rfc3161" / name
    known = TimestampAuthority(*chain(path.parent), name)
    with pytest.raises(MalformedError, match=REFUSE[name]):
        known.stamped(path.read_bytes(), HELLO)


def test_a_commercial_authority_s_token_names_its_certificate(corpus):
    """IdenTrust's, whose message nobody kept: all but the message holds."""
    folder = corpus / "ledger/rfc3161/identrust"
    reply, der = (folder / "issue-104.tsr").read_bytes(), (folder / "ts_chain.pem").read_bytes()
    root = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(MalformedError, match="another certificate"):
        TimestampAuthority(root, root, "identrust").stamped(reply, b"")


def test_a_chain_that_is_right_does_not_make_up_for_another_certificate(corpus):
    """Both authorities of test_tsa hang from look-alike names; only the pinned certificate counts."""
    folder = corpus / "ledger/rfc3161"
    _, roots = chain(folder / "sigstage")
    stranger, _ = chain(folder / "test_tsa")
    known = TimestampAuthority(stranger, roots, "mixed")
    with pytest.raises(MalformedError, match="another certificate"):
        known.stamped((folder / "sigstage/response-sha256.tsr").read_bytes(), HELLO)


# ------------------------------------------------------------------------------------- a real authority


def test_a_checkpoint_is_stamped_and_judged_at_the_token_s_time(tmp_path, serve, root, clock):
    server, journal = serve(authority(clock, lambda: NOW)), MemoryJournal()
    asked = anchor(tmp_path, server.url, clock, root)
    record = asked.publish(checkpoint(), journal)
    assert [r.state for r in journal.history] == ["requested", "stamped"]
    assert (record.size, record.name, record.kind, record.target) == (7, "tsa", "rfc3161", server.url)
    judged = asked.judge(record, online=False)
    assert (judged.standing, judged.time) == (Standing.OK, "2026-11-21T10:00:00Z")
    assert asked.advance(record, journal) == record
    assert len(server.requests) == 1
    # Years later, its certificate long expired, the stamp is what it was.
    later = Rfc3161Anchor(
        "tsa",
        {"url": server.url, "certificate": "tsa.pem", "roots": "roots.pem"},
        context(tmp_path, NOW + 20 * YEAR),
    )
    assert later.judge(record, online=False) == judged


def test_the_request_asks_for_the_checkpoint_s_digest_a_nonce_and_the_certificate(
    tmp_path, serve, root, clock
):
    from asn1crypto import tsp

    seen = []

    def answer(body):
        seen.append(tsp.TimeStampReq.load(body).native)
        return 200, time_stamp(body, clock, NOW)

    asked = anchor(tmp_path, serve(Server(answer)).url, clock, root)
    asked.publish(checkpoint(), MemoryJournal())
    asked.publish(checkpoint(), MemoryJournal())
    for request in seen:
        assert request["message_imprint"]["hashed_message"] == checkpoint_digest(checkpoint())
        assert request["message_imprint"]["hash_algorithm"]["algorithm"] == "sha256"
        assert request["cert_req"] is True
    assert seen[0]["nonce"] != seen[1]["nonce"]


def test_an_authority_that_is_down_leaves_a_request_that_is_sent_later(tmp_path, serve, root, clock):
    journal = MemoryJournal()
    up = [False]
    server = serve(Server(lambda body: (200, time_stamp(body, clock, NOW)) if up[0] else (503, b"busy")))
    asked = anchor(tmp_path, server.url, clock, root)
    with pytest.raises(NetworkError, match="503"):
        asked.publish(checkpoint(), journal)
    (record,) = journal.records()
    assert asked.judge(record, online=True).standing is Standing.PENDING
    with pytest.raises(NetworkError):
        asked.advance(record, journal)
    up[0] = True
    assert asked.judge(asked.advance(record, journal), online=False).standing is Standing.OK
    assert len(journal.records()) == 1


@pytest.mark.parametrize(
    ("body", "words"), [(b"<html>log in</html>", "no RFC 3161 answer"), (b"", "no RFC 3161 answer")]
)
def test_what_is_no_answer_is_a_network_fault_not_a_verdict(tmp_path, serve, root, clock, body, words):
    asked, journal = anchor(tmp_path, serve(Server(lambda _: (200, body))).url, clock, root), MemoryJournal()
    with pytest.raises(NetworkError, match=words):
        asked.publish(checkpoint(), journal)
    assert journal.records()[0].state == "requested"


def test_a_refusal_is_kept_in_the_authority_s_words(tmp_path, serve, root, clock):
    rejection = bytes.fromhex("3014") + bytes.fromhex("3012020102300d0c0b") + b"out of\x1bpaper"[:11]
    asked = anchor(tmp_path, serve(Server(lambda _: (200, rejection))).url, clock, root)
    record = asked.publish(checkpoint(), MemoryJournal())
    judged = asked.judge(record, online=False)
    assert (record.state, judged.standing) == ("refused", Standing.BROKEN)
    assert "status 2" in judged.says
    assert "\x1b" not in judged.says


def wrong_message(body, clock):
    from asn1crypto import tsp

    asked = tsp.TimeStampReq.load(body)
    asked["message_imprint"]["hashed_message"] = bytes(32)
    return time_stamp(asked.dump(force=True), clock, NOW)


def wrong_nonce(body, clock):
    from asn1crypto import tsp

    asked = tsp.TimeStampReq.load(body)
    asked["nonce"] = 5
    return time_stamp(asked.dump(force=True), clock, NOW)


def flipped(body, clock):
    reply = bytearray(time_stamp(body, clock, NOW))
    reply[-5] ^= 1  # in the signature
    return bytes(reply)


ATTACKS = {
    "other bytes": wrong_message,
    "nonce": wrong_nonce,
    "signature": flipped,
    "had expired": lambda body, clock: time_stamp(body, clock, NOW + 3 * YEAR),
    "not valid yet": lambda body, clock: time_stamp(body, clock, NOW - 3 * YEAR),
}


@pytest.mark.parametrize("words", ATTACKS)
def test_a_token_that_proves_nothing_is_refused_in_words(tmp_path, serve, root, clock, words):
    server = serve(Server(lambda body: (200, ATTACKS[words](body, clock))))
    asked = anchor(tmp_path, server.url, clock, root)
    record = asked.publish(checkpoint(), MemoryJournal())
    judged = asked.judge(record, online=False)
    assert (record.state, judged.standing, judged.time) == ("refused", Standing.BROKEN, "")
    assert words in judged.says
    # Whoever writes "stamped" into the record gains nothing.
    again = asked.judge(replace(record, state="stamped"), online=False)
    assert again.standing is Standing.BROKEN
    assert words in again.says


def test_another_certificate_of_the_same_authority_does_not_count(tmp_path, serve, root, clock):
    twin = person("Clockwork", NOW, issuer=root, usages=(TIME_STAMPING,))
    same_serial = person(
        "Clockwork", NOW, issuer=root, usages=(TIME_STAMPING,), serial=clock.certificate.serial_number
    )
    mail = person("Mail", NOW, issuer=root, usages=(EMAIL,))
    for stamper, pinned, words in (
        (twin, clock, "another certificate"),
        (same_serial, clock, "signature does not verify"),
        (mail, mail, "not one for time-stamping"),
    ):
        asked = anchor(tmp_path, serve(authority(stamper, lambda: NOW)).url, pinned, root)
        record = asked.publish(checkpoint(), MemoryJournal())
        assert record.state == "refused"
        assert words in asked.judge(record, online=False).says


def test_an_authority_that_renews_its_certificate_has_both_pinned(tmp_path, serve, root, clock):
    renewed = person("Clockwork", NOW, issuer=root, usages=(TIME_STAMPING,))
    for stamper in (clock, renewed):
        asked = anchor(tmp_path, serve(authority(stamper, lambda: NOW)).url, clock.pem + renewed.pem, root)
        record = asked.publish(checkpoint(), MemoryJournal())
        assert asked.judge(record, online=False).standing is Standing.OK


def test_a_stamp_is_of_one_checkpoint_only(tmp_path, serve, root, clock):
    asked = anchor(tmp_path, serve(authority(clock, lambda: NOW)).url, clock, root)
    record = asked.publish(checkpoint(7), MemoryJournal())
    moved = replace(record, checkpoint=checkpoint(8), size=8)
    assert "other bytes" in asked.judge(moved, online=False).says
    for detail in ({}, {"reply": "no base64!", "nonce": "1"}, {**record.detail, "nonce": "x"}):
        assert asked.judge(replace(record, detail=detail), online=False).standing is Standing.BROKEN


def test_settings_that_cannot_work_are_refused_at_once(tmp_path, root, clock):
    (tmp_path / "tsa.pem").write_bytes(clock.pem)
    (tmp_path / "roots.pem").write_bytes(root.pem)
    good = {"url": "http://127.0.0.1:1", "certificate": "tsa.pem", "roots": "roots.pem"}
    for broken, error in (
        ({"certificate": ""}, ConfigurationError),
        ({"url": 5}, ConfigurationError),
        ({"pinned": "x"}, ConfigurationError),
        ({"roots": "absent.pem"}, CredentialError),
        ({"roots": "tsa.pem"}, CredentialError),
    ):
        with pytest.raises(error):
            Rfc3161Anchor("tsa", {**good, **broken}, context(tmp_path))


# ------------------------------------------------------------------------------------- OpenSSL's authority

OPENSSL = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/clock.pem
signer_key = {folder}/clock.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@pytest.fixture
def openssl(tmp_path, clock):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    (tmp_path / "clock.pem").write_bytes(clock.pem)
    (tmp_path / "clock.key").write_bytes(clock.private)
    (tmp_path / "serial").write_text("01")
    (tmp_path / "ts.cnf").write_text(OPENSSL.format(folder=tmp_path))
    return tmp_path


def test_openssl_stamps_and_openssl_verifies_what_we_keep(openssl, serve, root):
    # OpenSSL stamps with this machine's time: its certificate must be valid now.
    folder, today = openssl, dt.datetime.now(dt.UTC)
    owner = person("Clockwork", today, issuer=root, usages=(TIME_STAMPING,))
    (folder / "clock.pem").write_bytes(owner.pem)
    (folder / "clock.key").write_bytes(owner.private)

    def answer(body):
        (folder / "q.tsq").write_bytes(body)
        command = ["openssl", "ts", "-reply", "-config", "ts.cnf", "-queryfile", "q.tsq", "-out", "r.tsr"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return 200, (folder / "r.tsr").read_bytes()

    asked = anchor(folder, serve(Server(answer)).url, owner, root)
    record = asked.publish(checkpoint(), MemoryJournal())
    judged = asked.judge(record, online=False)
    assert judged.standing is Standing.OK, judged.says
    stamped = dt.datetime.fromisoformat(judged.time)
    # One second of accuracy was claimed, and counts against the proof.
    assert today.replace(microsecond=0) + dt.timedelta(seconds=1) <= stamped
    assert stamped <= today + dt.timedelta(seconds=60)

    (folder / "kept.tsr").write_bytes(base64.b64decode(record.detail["reply"]))
    (folder / "text").write_bytes(checkpoint_text(record.checkpoint))
    command = ["openssl", "ts", "-verify", "-in", "kept.tsr", "-data", "text", "-CAfile", "roots.pem"]
    done = subprocess.run(
        [*command, "-untrusted", "clock.pem"], cwd=folder, check=False, capture_output=True, text=True
    )
    assert "Verification: OK" in done.stdout + done.stderr
