from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import cbor2
import pytest
import scitt_cose
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from scitt_cose.statement import parse_signed_statement

from assay.ledger.custody.cose import (
    MAX_COSE_BYTES,
    claimed_index,
    encode,
    log_key,
    log_public,
    verify,
)
from assay.ledger.tlog.note import NoteSigner, Verifier
from assay.ledger.tlog.proof import Proof
from assay.provenance.errors import AssayError, CredentialError, LimitError, MalformedError

from ..worlds import ORIGIN, entry

SEED = b"test seed of the ledger room 123"


@pytest.fixture
def receipt(log):
    log.append_many([(entry(i), None) for i in range(300)])
    return log.receipt(123)


@pytest.fixture
def leaf(receipt) -> bytes:
    return Proof.from_text(receipt.text).leaf


@pytest.fixture
def cose(receipt, signer) -> bytes:
    return encode(receipt, log_key(SEED), Verifier.parse(signer.vkey).id)


@pytest.fixture
def public(signer) -> bytes:
    return log_public(signer.vkey)


def test_the_same_proof_in_cose(cose, leaf, public, receipt, log):
    said = verify(cose, leaf, public, ORIGIN)
    assert (said.index, said.size, said.issuer) == (123, 300, ORIGIN)
    assert said.root == log.root(300)
    assert said.subject == str(receipt.entry.digest)
    assert claimed_index(cose) == 123


def test_the_others_verifier_takes_it_and_refuses_another_leaf(cose, leaf, public, signer):
    """scitt-cose is not ours: what it accepts is RFC 9942 as others read it."""
    result = scitt_cose.verify_receipt(cose, leaf_entry_hex=leaf.hex(), log_public_key_pem=public)
    assert result.ok, result.errors
    assert (result.leaf_index, result.tree_size, result.issuer) == (123, 300, ORIGIN)
    assert result.protected_header_ext[4] == Verifier.parse(signer.vkey).id
    other = scitt_cose.verify_receipt(
        cose, leaf_entry_hex=entry(124).to_bytes().hex(), log_public_key_pem=public
    )
    assert not other.ok


def test_the_bytes_are_rfc_9942_s_shape(cose):
    tag = cbor2.loads(cose)
    protected, unprotected, payload, signature = tag.value
    header = cbor2.loads(protected)
    assert tag.tag == 18
    assert payload is None
    assert len(signature) == 64
    assert (header[1], header[395], header[15][1]) == (-8, 1, ORIGIN)
    size, index, path = cbor2.loads(unprotected[396][-1][0])
    assert (size, index, {len(item) for item in path}) == (300, 123, {32})


def test_an_es256_key_signs_too(receipt, leaf):
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    assert verify(encode(receipt, private, b"es"), leaf, public, ORIGIN).index == 123
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for bad in (other, b"", log_key(SEED)[:40]):
        with pytest.raises(CredentialError):
            encode(receipt, bad, b"")


def test_every_changed_bit_is_noticed_but_those_of_the_tree_size(cose, leaf, public):
    """RFC 9942 signs the root alone: another size with as long a path leads to the same root."""
    honest = verify(cose, leaf, public, ORIGIN)
    taken = set()
    for at in range(len(cose)):
        changed = bytearray(cose)
        changed[at] ^= 1
        try:
            said = verify(bytes(changed), leaf, public, ORIGIN)
        except MalformedError:
            continue
        assert replace(said, size=300) == honest
        taken.add(said.size)
    assert taken == {301}
    for cut in (cose[:-1], cose + b"\x00", b""):
        with pytest.raises(MalformedError):
            verify(cut, leaf, public, ORIGIN)


def test_another_leaf_key_or_ledger_is_refused(cose, leaf, public):
    impostor = log_public(NoteSigner.from_seed(ORIGIN, bytes(32)).vkey)
    for arguments in (
        (cose, entry(124).to_bytes(), public, ORIGIN),
        (cose, leaf, impostor, ORIGIN),
        (cose, leaf, public, "example.org/other"),
    ):
        with pytest.raises(MalformedError):
            verify(*arguments)


def test_what_another_structure_proves_is_not_a_receipt_of_ours(corpus):
    """A CCF receipt (vds 2) holds in its own world; over a tree of RFC 9162 it says nothing."""
    folder = vectors(corpus) / "v1" / "valid-ccf-vds2"
    expected = json.loads((folder / "expected.json").read_text())
    with pytest.raises(MalformedError, match="another data structure"):
        verify(
            (folder / "receipt.cose").read_bytes(),
            bytes.fromhex(expected["leaf_entry"]),
            (folder / "log-key.pub").read_bytes(),
            "",
        )


def test_large_input_is_refused_before_it_is_decoded(leaf, public):
    data = b"\x00" * (MAX_COSE_BYTES + 1)
    with pytest.raises(LimitError):
        verify(data, leaf, public, ORIGIN)
    with pytest.raises(LimitError):
        claimed_index(data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise(data):
    public = log_public(NoteSigner.from_seed(ORIGIN, SEED).vkey)
    for shape in (data, b"\xd2\x84" + data, b"\xd2\x84\x43\xa1\x01\x27\xa1\x19\x01\x8c\xa1\x20\x81" + data):
        with pytest.raises(AssayError):
            verify(shape, b"{}", public, ORIGIN)
        with pytest.raises(AssayError):
            claimed_index(shape)


# ------------------------------------------------------------------------------------ others' vectors


def vectors(corpus):
    folder = corpus / "ledger" / "scitt-cose"
    found = next((f for f in (folder, folder / "test-vectors") if (f / "manifest.json").is_file()), None)
    if found is None:
        pytest.skip("the corpus holds no scitt-cose vectors")
    return found


def test_the_library_passes_its_own_six_vectors(corpus):
    command = [sys.executable, "-m", "scitt_cose.vectors", str(vectors(corpus)), "--json"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    report = json.loads(done.stdout)
    assert [v["status"] for v in report["vectors"]] == ["PASS"] * 6


def test_our_reader_takes_and_refuses_what_the_vectors_say(corpus):
    """Six vectors: the two of RFC9162_SHA256 that hold are taken, the rest refused, each by its own layer."""
    root = vectors(corpus)
    seen = 0
    for vector in json.loads((root / "manifest.json").read_text())["vectors"]:
        folder = root / vector["dir"]
        expected = json.loads((folder / "expected.json").read_text())
        data, key = (folder / "receipt.cose").read_bytes(), (folder / "log-key.pub").read_bytes()
        issuer = scitt_cose.verify_receipt(
            data, leaf_entry_hex=expected["leaf_entry"], log_public_key_pem=key
        ).issuer
        statement = parse_signed_statement(
            (folder / "statement.cose").read_bytes(), public_key_pem=(folder / "issuer-key.pub").read_bytes()
        )
        assert statement["signature_verified"] is expected["statement_signature_valid"]
        if expected["receipt_valid"] and vector["id"] != "valid-ccf-vds2":
            said = verify(data, bytes.fromhex(expected["leaf_entry"]), key, issuer)
            assert (said.size, said.index) == (expected["tree_size"], expected["leaf_index"])
            assert said.root.hex() == expected["reconstructed_root"]
        else:
            with pytest.raises(MalformedError):
                verify(data, bytes.fromhex(expected["leaf_entry"]), key, issuer)
        seen += 1
    assert seen == 6
