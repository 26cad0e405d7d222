"""Receipts of a real log, verified by programs that are not ours or that share no line with ours."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import scitt_cose

from assay.ledger.custody.cose import encode, log_key, log_public
from assay.ledger.log import SqlLog
from assay.ledger.tlog.note import NoteSigner, Verifier
from assay.ledger.tlog.proof import Proof, verify_receipt

from .worlds import ORIGIN, entry

SEED = b"test seed of the ledger room 123"
SIZES = [1, 2, 3, 255, 256, 257, 600]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "ledger.md"


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A log, and receipts of the first, a middle and the last entry at sizes round the edges of tiles."""
    url = f"sqlite:///{tmp_path_factory.mktemp('independent') / 'ledger.db'}"
    with SqlLog.create(url, ORIGIN, NoteSigner.from_seed(ORIGIN, SEED)) as log:
        receipts = []
        for size in SIZES:
            log.append_many([(entry(i), None) for i in range(log.size, size)])
            receipts += [log.receipt(i) for i in sorted({0, size // 2, size - 1})]
        yield log, receipts


@pytest.fixture
def policy(grown, tmp_path) -> Path:
    path = tmp_path / "policy"
    path.write_text(f"log {grown[0].vkey}\nquorum none\n")
    return path


def by_standard_library(receipt: Path, policy: Path) -> tuple[int, str]:
    """Ask the script that goes along with bundles: Python's standard library, nothing of ours, no environment."""
    script = files("assay.ledger.custody").joinpath("data", "verify.py")
    command = [sys.executable, "-I", "-S", str(script), "--policy", str(policy), str(receipt)]
    done = subprocess.run(command, env={}, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_the_standard_library_script_takes_every_receipt(grown, policy, tmp_path):
    for number, receipt in enumerate(grown[1]):
        path = tmp_path / f"{number}.tlog-proof"
        path.write_text(receipt.text)
        code, text = by_standard_library(path, policy)
        assert code == 0, (receipt.index, receipt.tree_size, text)
        assert f"entry {receipt.index} leads" in text


def test_the_standard_library_script_refuses_every_changed_line(grown, policy, tmp_path):
    receipt = grown[1][-2]
    path = tmp_path / "changed.tlog-proof"
    lines = receipt.text.split("\n")
    for at, line in enumerate(lines[:-1]):
        if line:
            swapped = line[:-2] + ("A" if line[-2] != "A" else "B") + line[-1]
            path.write_text("\n".join([*lines[:at], swapped, *lines[at + 1 :]]))
            assert by_standard_library(path, policy)[0] == 1, line


def test_a_foreign_library_takes_the_same_proofs_as_cose(grown):
    log, receipts = grown
    public, key_id = log_public(log.vkey), Verifier.parse(log.vkey).id
    for receipt in receipts:
        leaf = Proof.from_text(receipt.text).leaf
        result = scitt_cose.verify_receipt(
            encode(receipt, log_key(SEED), key_id), leaf_entry_hex=leaf.hex(), log_public_key_pem=public
        )
        assert result.ok, (receipt.index, receipt.tree_size, result.errors)
        assert (result.leaf_index, result.tree_size) == (receipt.index, receipt.tree_size)


def test_a_foreign_library_computes_the_same_tree(grown):
    """Roots, inclusion and consistency of scitt-cose's Merkle code against ours."""
    log, receipts = grown
    entries = [leaf.hex() for leaf in log.leaves(0, 600)]
    for size in SIZES:
        assert scitt_cose.merkle_root(entries[:size]) == log.root(size).hex()
        proof = [item.hex() for item in log.consistency(size, 600)]
        roots = log.root(size).hex(), log.root(600).hex()
        assert scitt_cose.verify_consistency(*roots, size, 600, proof)
        assert size == 600 or not scitt_cose.verify_consistency(*roots[::-1], size, 600, proof)
    for receipt in receipts:
        proof = Proof.from_text(receipt.text)
        theirs = scitt_cose.inclusion_proof(entries[: receipt.tree_size], receipt.index)
        assert theirs == [item.hex() for item in proof.path]


# ------------------------------------------------------------------ from the page alone: docs/formats/ledger.md


def block(name: str) -> str:
    """Return the example of a kind that the page prints."""
    return re.search(rf"```{name}\n(.*?)```", PAGE.read_text("utf-8"), re.S).group(1)


def from_the_page_alone(receipt: str, vkey: str) -> bytes:
    """Verify as the section "Verifying a receipt from this page alone" says, step by step; return the leaf."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    b64 = base64.b64decode
    head, note = receipt.split("\n\n", 1)
    header, extra, index, *path = head.split("\n")
    assert header == "c2sp.org/tlog-proof@v1"
    leaf, m = b64(extra.removeprefix("extra ")), int(index.removeprefix("index "))
    body, _, signatures = note.rpartition("\n\n")
    text = body + "\n"
    origin, n, root, *_ = text.split("\n")
    name, key_id, material = vkey.split("+", 2)
    assert hashlib.sha256(name.encode() + b"\n" + b64(material)).digest()[:4].hex() == key_id
    assert name == origin
    mine = [line.split(" ") for line in signatures.splitlines()]
    (signature,) = [b64(s) for _, who, s in mine if who == name and b64(s)[:4].hex() == key_id]
    Ed25519PublicKey.from_public_bytes(b64(material)[1:]).verify(signature[4:], text.encode())
    assert m < int(n)
    fn, sn, r = m, int(n) - 1, hashlib.sha256(b"\x00" + leaf).digest()
    for p in map(b64, path):
        assert sn
        if fn % 2 or fn == sn:
            r = hashlib.sha256(b"\x01" + p + r).digest()
            while fn % 2 == 0 and fn:
                fn, sn = fn // 2, sn // 2
        else:
            r = hashlib.sha256(b"\x01" + r + p).digest()
        fn, sn = fn // 2, sn // 2
    assert sn == 0
    assert r == b64(root)
    return leaf


def test_the_page_s_example_holds_by_the_page_s_steps_and_by_ours(tmp_path):
    receipt, vkey = block("tlog-proof"), block("vkey").strip()
    leaf = from_the_page_alone(receipt, vkey)
    assert leaf.decode() == block("leaf").strip()
    assert hashlib.sha256(b"\x00" + leaf).hexdigest() in PAGE.read_text("utf-8")
    assert verify_receipt(receipt, [vkey]) == ""
    (tmp_path / "policy").write_text(f"log {vkey}\nquorum none\n")
    (tmp_path / "x.tlog-proof").write_text(receipt)
    assert by_standard_library(tmp_path / "x.tlog-proof", tmp_path / "policy")[0] == 0


def test_the_page_s_steps_take_every_receipt(grown):
    log, receipts = grown
    for receipt in receipts:
        assert from_the_page_alone(receipt.text, log.vkey) == Proof.from_text(receipt.text).leaf
