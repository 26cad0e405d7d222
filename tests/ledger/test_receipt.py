from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from assay.ledger.log import SqlLog
from assay.ledger.tlog.cosignature import ED25519_COSIGNATURE, Cosigner
from assay.ledger.tlog.note import NoteSigner, Verifier, key_id, signature_line
from assay.ledger.tlog.policy import TlogPolicy
from assay.ledger.tlog.proof import Proof, read_receipt, verify_receipt
from assay.provenance.errors import AssayError, MalformedError

from .worlds import ORIGIN, entry


@pytest.fixture
def receipt(log):
    log.append_many([(entry(i), None) for i in range(300)])
    return log.receipt(123)


def test_a_receipt_read_from_its_file_is_the_same_and_verifies_offline(receipt, signer):
    assert read_receipt(receipt.text) == receipt
    assert verify_receipt(receipt, [signer.vkey]) == verify_receipt(receipt.text, [signer.vkey]) == ""
    assert receipt.entry == entry(123)
    assert (receipt.index, receipt.tree_size, receipt.origin) == (123, 300, ORIGIN)


def test_every_changed_line_is_noticed(receipt, signer):
    lines = receipt.text.split("\n")
    for number, line in enumerate(lines):
        changed = [
            *lines[:number],
            line[:-2] + ("A" if line[-2:-1] != "A" else "B") + line[-1:],
            *lines[number + 1 :],
        ]
        if line:
            assert verify_receipt("\n".join(changed), [signer.vkey]), line
        without = [*lines[:number], *lines[number + 1 :]]
        assert verify_receipt("\n".join(without), [signer.vkey]), line


def test_another_entry_cannot_borrow_the_proof(receipt, signer):
    proof = Proof.from_text(receipt.text)
    forged = replace(proof, leaf=entry(124).to_bytes()).to_text()
    assert "does not lead" in verify_receipt(forged, [signer.vkey])
    moved = replace(proof, index=122).to_text()
    assert "does not lead" in verify_receipt(moved, [signer.vkey])


def test_fields_beside_the_text_are_not_believed(receipt, signer):
    for change in (
        {"leaf": entry(124)},
        {"index": 124},
        {"tree_size": 299},
        {"origin": "example.org/other"},
        {"leaf_hash": bytes(32)},
    ):
        assert "differ" in verify_receipt(replace(receipt, **change), [signer.vkey])


def test_another_logs_key_does_not_vouch(receipt):
    impostor = NoteSigner.from_seed(ORIGIN, bytes(32))
    assert "no known key" in verify_receipt(receipt, [impostor.vkey])
    assert "no known key" in verify_receipt(receipt, [])


def test_a_log_only_vouches_for_its_own_receipts(receipt, tmp_path):
    other = NoteSigner.from_seed("example.org/other", bytes(32))
    with SqlLog.create(f"sqlite:///{tmp_path}/other.db", other.name, other) as second:
        stranger = second.append(entry(1))
        assert second.verify_receipt(stranger) == ""
    assert "no known key" in verify_receipt(stranger, [NoteSigner.from_seed(ORIGIN, bytes(32)).vkey])
    assert verify_receipt(stranger, [other.vkey]) == ""


def broken(text: str) -> dict[str, str]:
    head, note = text.split("\n\n", 1)
    lines = head.split("\n")
    return {
        "empty": "",
        "another version": text.replace("@v1", "@v2", 1),
        "no extra": "\n".join([lines[0], *lines[2:]]) + "\n\n" + note,
        "no index": "\n".join([*lines[:2], *lines[3:]]) + "\n\n" + note,
        "leading zero": text.replace("index 123", "index 0123"),
        "windows lines": text.replace("\n", "\r\n"),
        "short hash": head + "\n" + base64.b64encode(bytes(31)).decode() + "\n\n" + note,
        "too many hashes": head + ("\n" + base64.b64encode(bytes(32)).decode()) * 64 + "\n\n" + note,
        "no checkpoint": head,
        "huge": text + "x" * (1 << 20),
        "leaf not JSON": text.replace(lines[1], "extra " + base64.b64encode(b"\xff").decode()),
        "leaf too large": text.replace(lines[1], "extra " + base64.b64encode(bytes(65_536)).decode()),
    }


@pytest.mark.parametrize("name", broken("c2sp.org/tlog-proof@v1\nextra x\nindex 123\n\nnote"))
def test_a_broken_receipt_is_refused_in_words(name, receipt, signer):
    text = broken(receipt.text)[name]
    assert verify_receipt(text, [signer.vkey])
    with pytest.raises(AssayError):
        read_receipt(text)


def test_a_receipt_without_its_entry_says_so(receipt):
    with pytest.raises(MalformedError, match="does not carry its entry"):
        read_receipt(broken(receipt.text)["no extra"])


def test_every_line_of_a_known_key_must_hold_and_the_first_one_s_time_counts(receipt, signer):
    witness = Cosigner.from_seed("witness.example/w", ED25519_COSIGNATURE, bytes(32))
    policy = TlogPolicy.parse(f"log {signer.vkey}\nwitness w {witness.key.vkey}\nquorum w\n".encode())
    note = Proof.from_text(receipt.text).note
    text = note.rpartition("\n\n")[0] + "\n"
    first, second = witness.cosign(text, 5), witness.cosign(text, 9)
    wrong = [
        signature_line(witness.key.name, witness.key.id, bytes(72)),
        signature_line(signer.name, Verifier.parse(signer.vkey).id, bytes(64)),
    ]
    assert verify_receipt(receipt.text + first + second, policy) == ""
    assert policy.examine(note + first + second).witnesses == {"w": 5}
    for line in wrong:
        for lines in (first + line, line + first):
            assert "is wrong" in verify_receipt(receipt.text + lines, policy)
    # Of a type that nobody knows, under a known name: another key id, so nobody's.
    stranger = signature_line(signer.name, key_id(signer.name, 9, bytes(32)), b"?")
    assert verify_receipt(receipt.text + stranger + first, policy) == ""
