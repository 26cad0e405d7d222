"""Receipts: C2SP tlog-proof text whose ``extra`` line carries the leaf. Format: docs/formats/receipt.md."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from assay.ledger.tlog.merkle import HASH_SIZE, leaf_hash, verify_inclusion
from assay.ledger.tlog.note import Checkpoint, decode_base64, parse_decimal
from assay.ledger.tlog.policy import TlogPolicy
from assay.provenance.entry import MAX_ENTRY_BYTES
from assay.provenance.errors import AssayError, MalformedError
from assay.provenance.leaf import read_leaf
from assay.provenance.receipt import Receipt

HEADER = "c2sp.org/tlog-proof@v1"
MAX_RECEIPT_CHARS = 1 << 20
MAX_PROOF_HASHES = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """The parts of a tlog-proof: leaf bytes (``extra``), the leaf's index, audit path, signed checkpoint."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]
    note: str

    def to_text(self) -> str:
        """Return the tlog-proof."""
        lines = [HEADER, f"extra {base64.b64encode(self.leaf).decode()}", f"index {self.index}"]
        lines += [base64.b64encode(item).decode() for item in self.path]
        return "\n".join(lines) + "\n\n" + self.note

    @classmethod
    def from_text(cls, text: str) -> Proof:
        """Read a tlog-proof with its ``extra`` line; nothing is verified. Raises MalformedError."""
        if len(text) > MAX_RECEIPT_CHARS:
            raise MalformedError(f"the receipt is longer than {MAX_RECEIPT_CHARS} characters")
        head, blank, note = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines[0] != HEADER:
            raise MalformedError(f"not a receipt: it does not begin with {HEADER}")
        if len(lines) < 3 or not lines[1].startswith("extra "):
            raise MalformedError("the receipt does not carry its entry (no extra line)")
        if not lines[2].startswith("index "):
            raise MalformedError("the receipt does not name its index")
        if len(lines) - 3 > MAX_PROOF_HASHES:
            raise MalformedError(f"the receipt has more than {MAX_PROOF_HASHES} proof hashes")
        leaf = decode_base64(lines[1].removeprefix("extra "))
        if len(leaf) > MAX_ENTRY_BYTES:
            raise MalformedError(f"the receipt's entry is larger than {MAX_ENTRY_BYTES} bytes")
        path = tuple(decode_base64(line) for line in lines[3:])
        if any(len(item) != HASH_SIZE for item in path):
            raise MalformedError("the receipt has a proof hash that has not 32 bytes")
        return cls(leaf, parse_decimal(lines[2].removeprefix("index ")), path, note)

    def receipt(self) -> Receipt:
        """Return the noun; the entry is read, nothing is verified. Raises MalformedError and LedgerError."""
        head = Checkpoint.peek(self.note)
        return Receipt(
            leaf=read_leaf(self.leaf),
            index=self.index,
            leaf_hash=leaf_hash(self.leaf),
            origin=head.origin,
            tree_size=head.size,
            text=self.to_text(),
        )


def read_receipt(text: str) -> Receipt:
    """Read a receipt file, verifying nothing. Raises MalformedError, LedgerError on an unknown entry type."""
    return Proof.from_text(text).receipt()


def verify_receipt(receipt: str | Receipt, trusted: TlogPolicy | Sequence[str]) -> str:
    """Check a receipt offline; return "" or, in words, what is wrong.

    ``trusted`` is a policy, or the verifier keys of logs trusted without witnesses. Checked: the format, the
    checkpoint's signature by the log it names, the policy's quorum of cosignatures, the inclusion of the leaf
    carried in the receipt, and, for a Receipt, that each of its fields says what its text says.
    """
    try:
        policy = trusted if isinstance(trusted, TlogPolicy) else TlogPolicy.of_logs(trusted)
        proof = Proof.from_text(receipt if isinstance(receipt, str) else receipt.text)
        cosigned = policy.examine(proof.note)
        head = cosigned.checkpoint
        if not verify_inclusion(leaf_hash(proof.leaf), proof.index, head.size, proof.path, head.root):
            return f"the proof does not lead from this entry to the checkpoint at size {head.size}"
        if isinstance(receipt, Receipt) and receipt != proof.receipt():
            return "the receipt's fields differ from its proof"
        read_leaf(proof.leaf)
    except AssayError as error:
        return error.message
    return cosigned.problem
