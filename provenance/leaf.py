"""What a ledger's leaf may be: the entry of a signed asset, or of an event (docs/formats/entry.md, statement.md)."""

from __future__ import annotations

from assay.provenance.canonical import json_object
from assay.provenance.entry import ENTRY_TYPE, Entry
from assay.provenance.errors import LedgerError, MalformedError
from assay.provenance.event import EVENT_ENTRY_TYPE, EventEntry
from assay.provenance.text import safe_text

Leaf = Entry | EventEntry
"""Both have ``to_bytes`` (the leaf), ``names`` (what it is found by) and ``recovery`` (what is kept beside it)."""


def read_leaf(data: bytes) -> Leaf:
    """Read leaf bytes; unknown fields are ignored, an unknown type raises LedgerError."""
    try:
        kind = json_object(data, "a ledger entry").get("type")
    except MalformedError as error:
        raise LedgerError(error.message) from error
    if kind == ENTRY_TYPE:
        return Entry.from_bytes(data)
    if kind == EVENT_ENTRY_TYPE:
        return EventEntry.from_bytes(data)
    raise LedgerError(
        f"a ledger entry of unknown type {safe_text(kind, 80)!r}", hint="a newer Assay may know it"
    )
