"""Appending to a log: entries, tree, head and signed note in one transaction, or nothing at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assay.ledger.likeness.near import prints_of
from assay.ledger.lookup import RUN, RUNS_SPAN, leaf_keys, recovery_keys, stored
from assay.ledger.pins import FORK_HINT, pin_problem
from assay.ledger.store.database import Store
from assay.ledger.store.transaction import Head, Transaction
from assay.ledger.tlog.merkle import leaf_hash
from assay.ledger.tlog.note import Checkpoint, Signer, sign_note
from assay.ledger.tlog.tiles import Edge, TileCache, tile_reader
from assay.provenance.entry import Recovery
from assay.provenance.errors import LedgerError, UsageError
from assay.provenance.leaf import Leaf

Item = tuple[Leaf, Recovery | None]
MAX_QUALITY = (1 << 31) - 1
"""Largest quality of a fingerprint that every database can hold."""

CHECK_HINT = "assay ledger check names the fault"


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item that can be appended: whatever was wrong with it has been said, to whoever brought it.

    Entries of several callers share a transaction; what one of them brings must not fail the others.
    """

    leaf: bytes
    entry: Leaf
    recovery: Recovery | None

    @classmethod
    def of(cls, item: Item) -> Prepared:
        """Encode and check an item.

        Raises UsageError where its recovery record is not the one its entry names, or no database can hold it;
        LedgerError where the entry is too large.
        """
        entry, recovery = item
        if (recovery.digest if recovery else None) != entry.recovery:
            raise UsageError("the entry does not name the digest of its recovery record")
        mark = recovery.fingerprint if recovery else None
        if mark and not (0 <= mark.quality <= MAX_QUALITY and "\0" not in mark.alg):
            raise UsageError("the recovery record's fingerprint cannot be stored")
        return cls(entry.to_bytes(), entry, recovery)


class Appender:
    """The one writer of a log within a process; other processes are held off by the database.

    ``verify`` raises LedgerError where a head is not as its signed note says. The tree's edge is kept in
    memory between appends and thrown away whenever anything fails: an edge that outlived a transaction that was
    rolled back would sign a wrong root. The last head signed here is remembered too: a database that went back
    behind it while we run is not appended to.
    """

    def __init__(self, store: Store, signer: Signer, verify: Callable[[Head], object]) -> None:
        self._store, self._signer, self._verify = store, signer, verify
        self._edge: Edge | None = None
        self._signed = ""
        self._lock = threading.Lock()

    def append(self, items: Sequence[Prepared]) -> range:
        """Append items in one transaction under one checkpoint; return their indices.

        Raises LedgerError and changes nothing on failure.
        """
        if not items:
            return range(0)
        with self._lock:
            edge, self._edge = self._edge, None
            with self._store.appending() as tx:
                old = tx.head(lock=True)
                self._check_name(old)
                if edge is None or (edge.frontier.size, edge.frontier.root()) != (old.size, old.root):
                    edge = self._reloaded(tx, old)
                for item in items:
                    edge.append(leaf_hash(item.leaf))
                note = self._write(tx, old, edge, items)
            self._edge, self._signed = edge, note
        return range(old.size, old.size + len(items))

    def _check_name(self, head: Head) -> None:
        """Check that the columns beside the note name our log: the one that opened it may have been changed since."""
        if (head.origin, head.vkey) != (self._signer.name, self._signer.vkey):
            raise LedgerError(
                "the ledger's head was changed: it names another ledger or key", hint=CHECK_HINT
            )

    def _reloaded(self, tx: Transaction, head: Head) -> Edge:
        """Return the stored tree's edge after checking that it has the signed head's root, and extends our last."""
        self._verify(head)
        try:
            edge = Edge(tx.tile, head.size)
        except ValueError as error:
            raise LedgerError(f"the ledger's tree cannot be read: {error}", hint=CHECK_HINT) from error
        if edge.frontier.root() != head.root:
            raise LedgerError("the ledger's tree does not have the signed head's root", hint=CHECK_HINT)
        if self._signed:
            node = tile_reader(tx.tile, head.size, TileCache())
            if problem := pin_problem(self._signed, head, node, (self._signer.vkey,)):
                raise LedgerError(problem, hint=FORK_HINT)
        return edge

    def _write(self, tx: Transaction, head: Head, edge: Edge, items: Sequence[Prepared]) -> str:
        tx.add_entries(head.size, [item.leaf for item in items])
        keys: set[tuple[int, int, int]] = set()
        recoveries: dict[int, Recovery] = {}
        for index, item in enumerate(items, start=head.size):
            run = index - index % RUN
            found = leaf_keys(item.entry) + recovery_keys(item.recovery)
            keys.update((run, key, index) for key in stored(found))
            if item.recovery is not None:
                recoveries[index] = item.recovery
        add_keys(tx, head.size, edge.frontier.size, sorted(keys))
        if recoveries:
            tx.recoveries.add(recoveries, {index: prints_of(r) for index, r in recoveries.items()})
        tx.put_tiles(edge.take())
        # what is signed is named by the key, never by a column that others can write
        checkpoint = Checkpoint(self._signer.name, edge.frontier.size, edge.frontier.root())
        note = sign_note(checkpoint.to_text(), self._signer)
        tx.swap_head(head, Head(head.origin, head.vkey, checkpoint.size, checkpoint.root, note))
        return note


def add_keys(tx: Transaction, old: int, new: int, rows: list[tuple[int, int, int]]) -> None:
    """Insert the (run, key, index) rows of the entries [old, new); make one run of each span that is now full."""
    tx.add_keys(rows)
    for stop in range(old - old % RUNS_SPAN + RUNS_SPAN, new + 1, RUNS_SPAN):
        tx.merge_keys(stop - RUNS_SPAN, stop)
