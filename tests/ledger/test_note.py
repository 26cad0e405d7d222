from __future__ import annotations

import base64

import pytest

from assay.ledger.tlog.merkle import EMPTY_ROOT, leaf_hash
from assay.ledger.tlog.note import Checkpoint, NoteSigner, Verifier, open_note, parse_decimal, sign_note
from assay.provenance.errors import CredentialError, MalformedError

ORIGIN = "example.org/ledger"
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""


def test_the_note_of_the_specification_verifies():
    text, signed = open_note(SPEC_NOTE, [Verifier.parse(SPEC_VKEY)])
    assert text == "This is an example message.\n"
    assert {verifier.vkey for verifier in signed} == {SPEC_VKEY}


def test_a_checkpoint_signed_here_is_opened_with_the_key_in_text(signer):
    head = Checkpoint(ORIGIN, 7, leaf_hash(b"x"))
    note = sign_note(head.to_text(), signer)
    assert Checkpoint.open(note, [signer.vkey]) == head
    again = NoteSigner.from_skey(signer.skey())
    assert again.vkey == signer.vkey
    assert sign_note(head.to_text(), again) == note


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n7\n", "\n8\n"),
        (ORIGIN + "\n7", "example.org/other\n7"),
        ("\n\n", "\nextension\n\n"),
    ],
)
def test_a_changed_checkpoint_is_refused(signer, old, new):
    note = sign_note(Checkpoint(ORIGIN, 7, EMPTY_ROOT).to_text(), signer)
    with pytest.raises(MalformedError, match=r"signature of .* is wrong"):
        Checkpoint.open(note.replace(old, new, 1), [signer.vkey])


def test_unknown_signatures_are_ignored_and_a_failing_known_one_rejects(signer):
    head = Checkpoint(ORIGIN, 7, EMPTY_ROOT)
    note = sign_note(head.to_text(), signer)
    stranger = NoteSigner.from_seed("witness.example/w", bytes(32))
    foreign = sign_note(head.to_text(), stranger).rsplit("\n\n", 1)[1]
    assert Checkpoint.open(note + foreign, [signer.vkey]) == head
    assert Checkpoint.open(note + foreign, [signer.vkey, stranger.vkey]) == head
    wrong = sign_note("another text\n", stranger).rsplit("\n\n", 1)[1]
    assert Checkpoint.open(note + wrong, [signer.vkey]) == head
    with pytest.raises(MalformedError, match="witness"):
        Checkpoint.open(note + wrong, [signer.vkey, stranger.vkey])


def test_a_witness_alone_does_not_speak_for_the_log(signer):
    stranger = NoteSigner.from_seed("witness.example/w", bytes(32))
    note = sign_note(Checkpoint(ORIGIN, 7, EMPTY_ROOT).to_text(), stranger)
    with pytest.raises(MalformedError, match="not signed by that log"):
        Checkpoint.open(note, [stranger.vkey, signer.vkey])


def test_the_same_name_with_another_key_is_unknown(signer):
    impostor = NoteSigner.from_seed(ORIGIN, bytes(32))
    note = sign_note(Checkpoint(ORIGIN, 7, EMPTY_ROOT).to_text(), impostor)
    with pytest.raises(MalformedError, match="no known key"):
        Checkpoint.open(note, [signer.vkey])


def broken_notes() -> dict[str, str]:
    return {
        "no blank line": SPEC_NOTE.replace("\n\n", "\n"),
        "no final newline": SPEC_NOTE[:-1],
        "hyphen for em dash": SPEC_NOTE.replace("—", "-"),
        "tab": SPEC_NOTE.replace("an example", "an\texample"),
        "carriage return": SPEC_NOTE.replace("\n", "\r\n"),
        "lone surrogate": SPEC_NOTE.replace("example m", "\ud800 m"),
        "no signatures": SPEC_NOTE.split("—")[0],
        "space in base64": SPEC_NOTE.replace("Uw2Q", "Uw2 Q"),
        "stray bits": SPEC_NOTE.replace("yaQM=", "yaQN="),
        "plus in name": SPEC_NOTE.replace("com/foo", "com+foo"),
        "empty name": SPEC_NOTE.replace("example.com/foo ", ""),
        "short signature": SPEC_NOTE.split("—")[0] + "— example.com/foo Uw2QOg==\n",
        "flood": SPEC_NOTE + SPEC_NOTE.rsplit("\n\n", 1)[1] * 100,
        "empty": "",
    }


@pytest.mark.parametrize("name", broken_notes())
def test_a_broken_note_is_refused(name):
    with pytest.raises(MalformedError):
        open_note(broken_notes()[name], [Verifier.parse(SPEC_VKEY)])


@pytest.mark.parametrize(
    "text",
    [
        "origin\n1\n",
        "origin\n01\n" + base64.b64encode(EMPTY_ROOT).decode() + "\n",
        "origin\n-1\n" + base64.b64encode(EMPTY_ROOT).decode() + "\n",
        "origin\n１\n" + base64.b64encode(EMPTY_ROOT).decode() + "\n",
        "origin\n9223372036854775808\n" + base64.b64encode(EMPTY_ROOT).decode() + "\n",
        "origin\n1\n" + base64.b64encode(EMPTY_ROOT[:31]).decode() + "\n",
        "\n1\n" + base64.b64encode(EMPTY_ROOT).decode() + "\n",
        "origin\n1\n" + base64.b64encode(EMPTY_ROOT).decode() + "\n\nx\n",
        "origin\n1\n" + base64.b64encode(EMPTY_ROOT).decode(),
    ],
)
def test_a_broken_checkpoint_is_refused(text):
    with pytest.raises(MalformedError):
        Checkpoint.from_text(text)


def test_extension_lines_are_read_over():
    text = Checkpoint("origin", 3, EMPTY_ROOT).to_text()
    assert Checkpoint.from_text(text + "more\n") == Checkpoint("origin", 3, EMPTY_ROOT)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "example.com/foo",
        SPEC_VKEY.replace("530d903a", "530d903b"),
        SPEC_VKEY.replace("foo", "fop"),
        SPEC_VKEY[:-4],
        "example.com/foo+530d903a+BekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_a_broken_verifier_key_is_refused(vkey):
    with pytest.raises(CredentialError):
        Verifier.parse(vkey)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_of_another_length_is_refused(seed):
    with pytest.raises(CredentialError):
        NoteSigner.from_seed(ORIGIN, seed)


@pytest.mark.parametrize("change", [("PRIVATE", "PUBLIC"), ("+KEY+", "+"), (ORIGIN, "example.org/other")])
def test_a_broken_signing_key_is_refused(signer, change):
    with pytest.raises(CredentialError):
        NoteSigner.from_skey(signer.skey().replace(*change))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb"])
def test_a_name_that_no_note_can_carry_is_refused(name):
    with pytest.raises(MalformedError):
        NoteSigner.from_seed(name, bytes(32))


def test_decimals_have_one_spelling():
    assert [parse_decimal(text) for text in ("0", "9", "9223372036854775807")] == [0, 9, 2**63 - 1]
    for text in ("", "00", "+1", " 1", "1_0", "٣", "1" * 5000):
        with pytest.raises(MalformedError):
            parse_decimal(text)
