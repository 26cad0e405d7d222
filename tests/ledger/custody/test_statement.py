from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.ledger.custody.statement import (
    MAX_ENVELOPE_BYTES,
    MAX_SIGNATURES,
    PAYLOAD_TYPE,
    Envelope,
    Signature,
    VerifyingKey,
    event_entry,
    pae,
    sign,
    sign_event,
    verify,
    verify_event,
)
from assay.provenance.asset import Digest
from assay.provenance.errors import (
    AssayError,
    CredentialError,
    LedgerError,
    LimitError,
    MalformedError,
    UsageError,
)
from assay.provenance.event import KINDS, Details, Event, EventEntry, EventSubject


class Person:
    """A signer whose chain is its bare public key."""

    def __init__(self, key) -> None:
        self.key = key
        self.alg = "ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "es256"
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.chain = key.public_key().public_bytes(serialization.Encoding.PEM, form)
        self.public = VerifyingKey.from_pem(self.chain)

    def sign(self, message: bytes) -> bytes:
        if self.alg == "ed25519":
            return self.key.sign(message)
        from cryptography.hazmat.primitives import hashes

        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


@pytest.fixture(params=["ed25519", "p256"])
def person(request) -> Person:
    return Person(
        ed25519.Ed25519PrivateKey.generate()
        if request.param == "ed25519"
        else ec.generate_private_key(ec.SECP256R1())
    )


@pytest.fixture
def stranger() -> Person:
    return Person(ec.generate_private_key(ec.SECP256R1()))


def event(person: Person, **change) -> Event:
    made = Event(
        id="0123456789abcdef" * 2,
        kind="published",
        actor=person.public.digest,
        role="desk",
        subjects=(EventSubject(Digest.of(b"picture"), "urn:c2pa:1"),),
        time="2026-11-21T10:00:00Z",
        software="Assay/0.1.0",
    )
    return replace(made, **change)


# ----------------------------------------------------------------------------------- the others' vector


def test_the_dsse_protocol_s_own_example(corpus):
    """Secure Systems Lab, DSSE v1.0.2, "Test Vectors": ECDSA P-256, signature as r ‖ s."""
    text = (corpus / "ledger" / "dsse" / "protocol.md").read_text()
    wanted = re.search(r"PAE:\n\n```none\n(.*?)\n```", text, re.S).group(1).encode()
    x, y = (int(re.search(rf"^{name}: (\d+)", text, re.M).group(1)) for name in "XY")
    envelope = Envelope.from_bytes(re.search(r"```json\n(.*?)```", text, re.S).group(1).encode())
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    known = VerifyingKey.from_pem(key.public_bytes(serialization.Encoding.PEM, form))
    assert envelope.payload == b"hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == wanted == envelope.pae
    assert verify(envelope, [known]) == {known}
    for changed in (
        replace(envelope, payload=b"hello worlD"),
        replace(envelope, payload_type="http://example.com/HelloWorle"),
    ):
        with pytest.raises(CredentialError):
            verify(changed, [known])


# ------------------------------------------------------------------------------------------- envelopes


def test_an_event_comes_back_as_its_actor_signed_it(person):
    made = event(person, previous=Digest.of(b"before"), details=Digest.of(b"salted"))
    envelope = Envelope.from_bytes(sign_event(made, person).to_bytes())
    assert verify_event(envelope, [person.public]) == made
    statement = json.loads(envelope.payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["digest"] == {"sha256": hashlib.sha256(b"picture").hexdigest()}


def test_every_changed_byte_of_the_payload_is_noticed(person):
    envelope = sign_event(event(person), person)
    for at in range(0, len(envelope.payload), 7):
        payload = bytearray(envelope.payload)
        payload[at] ^= 1
        with pytest.raises(AssayError):
            verify_event(replace(envelope, payload=bytes(payload)), [person.public])


def test_a_stranger_s_signature_proves_nothing(person, stranger):
    envelope = sign_event(event(person), person)
    with pytest.raises(CredentialError, match="0 of the trusted keys"):
        verify_event(envelope, [stranger.public])
    with pytest.raises(CredentialError):
        verify_event(envelope, [])


def test_a_trusted_key_cannot_speak_for_another_actor(person, stranger):
    envelope = sign(PAYLOAD_TYPE, event(person).to_bytes(), [stranger])
    with pytest.raises(CredentialError, match="not by the actor"):
        verify_event(envelope, [person.public, stranger.public])
    with pytest.raises(UsageError):
        sign_event(event(person), stranger)


def test_the_key_id_is_only_a_hint(person, stranger):
    envelope = sign_event(event(person), person)
    lying = replace(
        envelope, signatures=(Signature(stranger.public.digest.hex, envelope.signatures[0].value),)
    )
    assert verify_event(lying, [stranger.public, person.public]) == event(person)
    with pytest.raises(CredentialError):
        verify_event(lying, [stranger.public])


def test_one_key_twice_is_one_signature(person, stranger):
    twice = sign(PAYLOAD_TYPE, b"{}", [person, person])
    with pytest.raises(CredentialError, match="1 of the trusted keys signed"):
        verify(twice, [person.public, person.public, stranger.public], threshold=2)
    both = sign(PAYLOAD_TYPE, b"{}", [person, stranger])
    assert verify(both, [person.public, stranger.public], threshold=2) == {person.public, stranger.public}
    with pytest.raises(UsageError):
        verify(both, [person.public], threshold=0)


def test_an_unknown_signature_does_not_spoil_a_known_one(person):
    envelope = sign_event(event(person), person)
    more = replace(envelope, signatures=(Signature("", b"noise"), *envelope.signatures))
    assert verify_event(more, [person.public]) == event(person)


def test_a_statement_is_not_taken_under_another_payload_type(person):
    envelope = sign("application/json", event(person).to_bytes(), [person])
    with pytest.raises(MalformedError, match="another type"):
        verify_event(envelope, [person.public])


def test_either_base64_alphabet_is_read(person):
    payload = b"\xfb\xff\xfe" * 5
    envelope = sign("application/x", payload, [person])
    text = json.loads(envelope.to_bytes())
    text["payload"] = base64.urlsafe_b64encode(payload).decode()
    text["extension"] = 1
    assert Envelope.from_bytes(json.dumps(text).encode()) == envelope


def test_keys_of_other_kinds_are_refused():
    for key in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        with pytest.raises(CredentialError, match="Ed25519 or ECDSA P-256"):
            VerifyingKey.from_pem(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    with pytest.raises(CredentialError):
        VerifyingKey.from_pem(b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")


BROKEN = {
    "empty": b"",
    "no object": b"[]",
    "no signatures": b'{"payload":"","payloadType":"x","signatures":[]}',
    "signature not in a list": b'{"payload":"","payloadType":"x","signatures":{"sig":""}}',
    "no payload type": b'{"payload":"","signatures":[{"sig":""}]}',
    "payload not base64": b'{"payload":"*","payloadType":"x","signatures":[{"sig":""}]}',
    "payload twice": b'{"payload":"","payload":"aa==","payloadType":"x","signatures":[{"sig":""}]}',
    "a number for a payload": b'{"payload":1,"payloadType":"x","signatures":[{"sig":""}]}',
    "a string for a signature": b'{"payload":"","payloadType":"x","signatures":["a"]}',
    "deep": b'{"a":' + b"[" * 100_000,
    "too many signatures": json.dumps(
        {"payload": "", "payloadType": "x", "signatures": [{"sig": ""}] * (MAX_SIGNATURES + 1)}
    ).encode(),
    "huge": b" " * (MAX_ENVELOPE_BYTES + 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_envelope_is_refused_in_words(name):
    with pytest.raises((MalformedError, LimitError)):
        Envelope.from_bytes(BROKEN[name])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_readers_fail_otherwise(data):
    for read in (Envelope.from_bytes, Event.from_bytes, EventEntry.from_bytes, Details.from_bytes):
        with pytest.raises(AssayError):
            read(data)


# ---------------------------------------------------------------------------------------------- events


def test_what_is_no_event_is_refused(person):
    good = json.loads(event(person).to_bytes())
    for path, value in {
        ("_type",): "https://in-toto.io/Statement/v0.1",
        ("predicateType",): "https://slsa.dev/provenance/v1",
        ("subject",): [],
        ("predicate", "type"): "destroyed",
        ("predicate", "id"): "0123",
        ("predicate", "time"): 5,
        ("predicate", "actor"): None,
        ("predicate", "previous"): "sha1:00",
    }.items():
        bad = json.loads(json.dumps(good))
        place = bad
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        with pytest.raises(MalformedError):
            Event.from_bytes(json.dumps(bad).encode())
    good["predicate"]["a field of tomorrow"] = 1
    assert Event.from_bytes(json.dumps(good).encode()) == event(person)


def test_every_kind_of_event_has_one_spelling(person):
    for kind in KINDS:
        data = event(person, kind=kind).to_bytes()
        assert data == event(person, kind=kind).to_bytes()
        assert Event.from_bytes(data).kind == kind
    with pytest.raises(UsageError, match="there is no event"):
        event(person, kind="Published")


def test_details_can_be_erased_and_the_event_still_stands(person):
    details = Details(bytes(range(16)), {"note": "the source asked not to be named", "desk": 7})
    made = event(person, kind="note", details=details.digest)
    envelope = sign_event(made, person)
    assert Details.from_bytes(details.to_bytes()).digest == verify_event(envelope, [person.public]).details
    assert b"source" not in envelope.to_bytes() + envelope.payload + event_entry(envelope).to_bytes()
    # Without the salt nobody can confirm a guess of the content, not even a right one.
    guess = Details(bytes(16), details.content)
    assert guess.digest != made.details
    assert hashlib.sha256(
        details.salt + b'{"desk":7,"note":"the source asked not to be named"}'
    ).hexdigest() == (made.details.hex)


def test_details_need_their_salt_and_plain_json():
    for details in (
        Details(b"short", {}),
        Details(bytes(16), {"a": object()}),
        Details(bytes(16), {"a": float("nan")}),
    ):
        with pytest.raises(UsageError):
            details.digest  # noqa: B018


def test_the_leaf_is_the_hash_of_what_was_signed(person):
    envelope = sign_event(event(person), person)
    leaf = event_entry(envelope)
    payload = event(person).to_bytes()
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d " % len(payload) + payload
    assert leaf.statement.hex == hashlib.sha256(signed).hexdigest()
    assert EventEntry.from_bytes(leaf.to_bytes()) == leaf
    assert list(leaf.names()) == [("event", str(Digest.of(b"picture")))]
    with pytest.raises(LedgerError, match="unknown type"):
        EventEntry.from_bytes(b'{"type":"assay.entry/v1"}')


def test_a_leaf_fits_the_log_however_many_files_an_event_is_about(person):
    many = tuple(EventSubject(Digest.of(b"%d" % i)) for i in range(512))
    envelope = sign_event(event(person, subjects=many), person)
    assert len(event_entry(envelope).to_bytes()) <= 65_535
    with pytest.raises(UsageError):
        event(person, subjects=(*many, many[0]))
