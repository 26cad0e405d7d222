"""Proof that an entry is in a log, checkable offline. Format: docs/formats/receipt.md."""

from __future__ import annotations

from dataclasses import dataclass

from assay.provenance.entry import Entry
from assay.provenance.errors import LedgerError
from assay.provenance.leaf import Leaf

RECEIPT_SUFFIX = ".tlog-proof"
"""Appended to a file's name for its receipt (C2SP tlog-proof)."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A leaf, its inclusion proof and the log's signed checkpoint.

    ``text`` is a C2SP ``tlog-proof`` whose ``extra`` line carries the leaf bytes, so that one file says all.
    ``index`` is the leaf's place, ``leaf_hash`` SHA-256(0x00 ‖ leaf) as RFC 6962 has it, ``origin`` the log.
    """

    leaf: Leaf
    index: int
    leaf_hash: bytes
    origin: str
    tree_size: int
    text: str

    @property
    def entry(self) -> Entry:
        """The entry of a signed asset; raises LedgerError where the leaf is an event."""
        if not isinstance(self.leaf, Entry):
            raise LedgerError(f"entry {self.index} is an event, not a file")
        return self.leaf
