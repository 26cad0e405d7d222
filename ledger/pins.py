"""Pins: checkpoints of our own log that are remembered outside its database.

A database restored from an older copy, or forked, is sound in itself; only a memory elsewhere can tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.ledger.store.transaction import Head
from assay.ledger.tlog.merkle import Node, root
from assay.ledger.tlog.note import Checkpoint
from assay.provenance.errors import AssayError

FORK_HINT = "do not go on with it: a log that forks can never be mended"


def pin_problem(pin: str, head: Head, node: Node, vkeys: Sequence[str]) -> str:
    """Return, in words, how a log's head contradicts a pinned checkpoint note; "" if it does not.

    ``node`` reads the head's tree. Raises ValueError where the tree cannot be read.
    """
    try:
        known = Checkpoint.open(pin, vkeys)
    except AssayError as error:
        return f"a pinned checkpoint of this ledger cannot be trusted: {error.message}"
    if known.origin != head.origin:
        return f"a pinned checkpoint is of the ledger {known.origin}, not {head.origin}"
    if known.size > head.size:
        return (
            f"this database holds {head.size} entries, but the ledger had {known.size} when it was last seen from "
            "outside: an older copy was restored in its place"
        )
    if root(node, known.size) != known.root:
        return (
            f"the first {known.size} entries of this database are not those that were seen from outside: "
            "the ledger was forked or rewritten"
        )
    return ""
