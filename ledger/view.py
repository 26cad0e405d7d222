"""What can be read of a log: its head, its tree, receipts, and the entries that a look-up leads to."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from assay.ledger.appender import CHECK_HINT
from assay.ledger.likeness.near import NearSearch, is_near
from assay.ledger.likeness.trail import words_in
from assay.ledger.lookup import key_of, key_range, runs, stored
from assay.ledger.store.database import Store
from assay.ledger.store.transaction import Head, Transaction
from assay.ledger.tlog.merkle import (
    EMPTY_ROOT,
    Node,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_inclusion,
)
from assay.ledger.tlog.note import Checkpoint
from assay.ledger.tlog.proof import Proof, read_receipt, verify_receipt
from assay.ledger.tlog.tiles import TileCache, tile_reader, width_at
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Fingerprint, Recovery
from assay.provenance.errors import LedgerError, MalformedError, UsageError
from assay.provenance.event import EventEntry
from assay.provenance.leaf import Leaf, read_leaf
from assay.provenance.mark import Mark
from assay.provenance.protocols import Found
from assay.provenance.receipt import Receipt

MAX_FOUND = 16
"""Most entries one look-up returns: the oldest, or by fingerprint the nearest."""
MAX_EVENTS = 1024
"""Most events of one file that are returned: the oldest."""
MAX_WORDS = 4096
"""Most words of a trail that one look-up asks for: the first of them."""
MAX_SHARING = 64
"""Most entries that one word leads to; it tells little where there are more."""
MAX_PREFIX = 4096
"""Most entries that one look-up by prefix returns."""


class LogView:
    """The reading half of a log; ``vkeys`` are the verifier keys that its head may be signed with."""

    def __init__(self, store: Store, origin: str, vkeys: Sequence[str]) -> None:
        self.origin = origin
        self._store = store
        self._vkeys = tuple(vkeys)
        self._cache = TileCache()
        self._near = NearSearch(origin, store.file)
        self._reader = threading.Lock()
        self._believed = "", Checkpoint(origin, 0, EMPTY_ROOT)

    # The tree

    def _verified(self, head: Head) -> Checkpoint:
        """Return the head as its signed note says it; the columns beside the note are never believed."""
        note, checkpoint = self._believed
        if head.note != note:
            try:
                checkpoint = Checkpoint.open(head.note, self._vkeys)
            except MalformedError as error:
                raise LedgerError(
                    f"the ledger's head cannot be trusted: {error.message}", hint=CHECK_HINT
                ) from error
            self._believed = head.note, checkpoint
        if checkpoint != Checkpoint(self.origin, head.size, head.root):
            raise LedgerError("the ledger's head differs from its signed checkpoint", hint=CHECK_HINT)
        return checkpoint

    @property
    def size(self) -> int:
        """The number of entries."""
        with self._store.reading() as tx:
            return tx.head().size

    def head(self) -> Checkpoint:
        """Return the latest checkpoint; raises LedgerError if its signature does not verify."""
        with self._store.reading() as tx:
            return self._verified(tx.head())

    def checkpoint(self) -> str:
        """Return the latest signed checkpoint, a C2SP note; raises LedgerError if it does not verify."""
        with self._store.reading() as tx:
            head = tx.head()
        self._verified(head)
        return head.note

    @property
    def vkey(self) -> str:
        """The verifier key that the ledger names as its own; raises LedgerError where it is not one of ours."""
        with self._store.reading() as tx:
            vkey = tx.head().vkey
        if vkey not in self._vkeys:
            raise LedgerError("the ledger's head was changed: it names another key", hint=CHECK_HINT)
        return vkey

    def _tree(self, tx: Transaction, size: int | None) -> tuple[Node, int]:
        """Return the tree of the first ``size`` leaves, by default of the head's, and its size."""
        head = self._verified(tx.head())
        size = head.size if size is None else size
        if not 0 <= size <= head.size:
            raise UsageError(f"the ledger holds {head.size} entries, not {size}")
        return tile_reader(tx.whole_tile, size, self._cache), size

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves, 32 bytes; raises UsageError for a size not reached."""
        with self._store.reading() as tx, self._named(), self._reader:
            return root(*self._tree(tx, size))

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """Return PROOF(old, D[new]) of RFC 6962 section 2.1.2, by default to the head.

        Raises UsageError unless 0 <= old <= new <= size.
        """
        with self._store.reading() as tx, self._named(), self._reader:
            node, size = self._tree(tx, new)
            if old > size:
                raise UsageError(f"a tree of {size} leaves has no earlier tree of {old}")
            return consistency_proof(node, old, size)

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return PATH(index, D[size]) of RFC 6962 section 2.1.1, by default in the head's tree; not yet verified.

        Raises UsageError unless 0 <= index < size <= the log's size.
        """
        with self._store.reading() as tx, self._named(), self._reader:
            node, size = self._tree(tx, size)
            if not 0 <= index < size:
                raise UsageError(f"there is no entry {index} in a tree of {size}")
            return inclusion_proof(node, index, size)

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile of the head's tree as C2SP tlog-tiles has it, empty where that tree has none."""
        with self._store.reading() as tx:
            head = tx.head()
            width = width_at(head.size, level, number)
            return tx.tile(level, number)[: width * 32] if width else b""

    def leaves(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Iterate over leaf bytes in order, on one view of the log; what is read is not verified."""
        with self._store.reading() as tx:
            size = tx.head().size
            for _, data in tx.leaves(min(max(0, start), size), size if stop is None else min(stop, size)):
                yield data

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Leaf]]:
        """Iterate over (index, entry or event) in order, on one view of the log; what is read is not verified."""
        for index, data in enumerate(self.leaves(start, stop), start=max(0, start)):
            yield index, read_leaf(data)

    # Receipts

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Translate what a damaged tree raises."""
        try:
            yield
        except ValueError as error:
            raise LedgerError(f"the ledger's tree cannot be read: {error}", hint=CHECK_HINT) from error

    def _receipt(self, tx: Transaction, head: Checkpoint, note: str, index: int) -> Receipt:
        """Make a receipt and verify its proof before it leaves the house."""
        leaf = tx.leaf(index)
        if leaf is None:
            raise LedgerError(f"entry {index} is missing from the ledger", hint=CHECK_HINT)
        with self._named(), self._reader:
            path = inclusion_proof(tile_reader(tx.whole_tile, head.size, self._cache), index, head.size)
        if not verify_inclusion(leaf_hash(leaf), index, head.size, path, head.root):
            raise LedgerError(f"entry {index} or its hashes were changed in the database", hint=CHECK_HINT)
        return Proof(leaf, index, tuple(path), note).receipt()

    def receipt(self, index: int, checkpoint: str | None = None) -> Receipt:
        """Return the receipt of an entry against the latest checkpoint, or against a kept one, given verbatim.

        Raises UsageError for an index that is not in that tree, LedgerError where the log contradicts itself.
        """
        with self._store.reading() as tx:
            head = tx.head()
            note, tree = head.note, self._verified(head)
            if checkpoint is not None:
                note, tree = checkpoint, Checkpoint.open(checkpoint, self._vkeys)
            if not 0 <= index < tree.size:
                raise UsageError(f"there is no entry {index}; the ledger holds {tree.size}")
            return self._receipt(tx, tree, note, index)

    def parse_receipt(self, text: str) -> Receipt:
        """Read a receipt file, verifying nothing; raises MalformedError, LedgerError on an unknown entry."""
        return read_receipt(text)

    def verify_receipt(self, receipt: Receipt) -> str:
        """Check inclusion proof and checkpoint signature; return "" or, in words, what is wrong."""
        if problem := verify_receipt(receipt, self._vkeys):
            return problem
        if receipt.origin != self.origin:
            return f"the receipt is of the ledger {receipt.origin}, not {self.origin}"
        return ""

    # Finding

    def _found(self, tx: Transaction, nearest: Sequence[tuple[int, int]]) -> list[Found]:
        """Return what was found, by (distance, index); a recovery record must be what the leaf commits to."""
        if not nearest:
            return []
        head = tx.head()
        tree = self._verified(head)
        found = []
        for bits, index in nearest:
            receipt = self._receipt(tx, tree, head.note, index)
            if not isinstance(receipt.leaf, Entry):
                continue  # no key of a file's leads to an event, but for a grafted one
            recovery = tx.recoveries.get(index)
            if recovery is not None and recovery.digest != receipt.leaf.recovery:
                raise LedgerError(f"the recovery record of entry {index} was changed", hint=CHECK_HINT)
            found.append(Found(receipt, recovery, bits))
        return found

    def _find(self, kind: str, value: str) -> list[Found]:
        key = stored([key_of(kind, value)])[0]
        with self._store.reading() as tx:
            size = tx.head().size
            indices = tx.by_keys(runs(0, size, size), key, key, size, MAX_FOUND)
            return self._found(tx, [(0, index) for index in indices])

    def find_digest(self, digest: Digest) -> Sequence[Found]:
        """Return the entries whose signed file has this digest, oldest first."""
        return [item for item in self._find("digest", str(digest)) if item.entry.digest == digest]

    def find_manifest(self, label: str) -> Sequence[Found]:
        """Return the entries with this active manifest label (URN), oldest first."""
        return [item for item in self._find("manifest", label) if item.entry.manifest_label == label]

    def find_mark(self, mark: Mark) -> Sequence[Found]:
        """Return the entries with this mark, oldest first."""
        return [item for item in self._find("mark", str(mark)) if item.entry.mark == mark]

    def find_binding(self, alg: str, value: str) -> Sequence[Found]:
        """Return the entries beside which this soft binding is kept, oldest first."""
        found = self._find("binding", f"{alg}:{value}")
        return [item for item in found if item.recovery and (alg, value) in item.recovery.bindings]

    def find_words(self, words: Sequence[str]) -> Sequence[Found]:
        """Return the entries of films and sounds that share most of these words of their trails, the best first."""
        votes: Counter[int] = Counter()
        with self._store.reading() as tx:
            size = tx.head().size
            within = runs(0, size, size)
            for key in stored(key_of("word", word) for word in words[:MAX_WORDS]):
                votes.update(tx.by_keys(within, key, key, size, MAX_SHARING))
            best = sorted(votes, key=lambda index: (-votes[index], index))[:MAX_FOUND]
            found = self._found(tx, [(0, index) for index in best])
        asked = set(words)
        return [item for item in found if item.recovery and asked & set(words_in(item.recovery.sketch))]

    def find_events(self, digest: Digest) -> Sequence[Receipt]:
        """Return the events that are about the file with this digest, oldest first."""
        key = stored([key_of("event", str(digest))])[0]
        with self._store.reading() as tx:
            head = tx.head()
            tree = self._verified(head)
            indices = tx.by_keys(runs(0, head.size, head.size), key, key, head.size, MAX_EVENTS)
            found = [self._receipt(tx, tree, head.note, index) for index in indices]
        return [item for item in found if isinstance(item.leaf, EventEntry) and digest in item.leaf.subjects]

    def find_prefix(self, prefix: int, bits: int) -> Sequence[int]:
        """Return the indices, at most 4,096, of the entries with a look-up key that begins with these bits.

        Raises UsageError unless 0 <= bits <= 64 and 0 <= prefix < 2^bits.
        """
        try:
            first, last = stored(key_range(prefix, bits))
        except ValueError as error:
            raise UsageError(f"not a look-up prefix: {error}") from error
        with self._store.reading() as tx:
            size = tx.head().size
            return list(dict.fromkeys(tx.by_keys(runs(0, size, size), first, last, size, MAX_PREFIX)))

    def find_fingerprint(self, fingerprint: Fingerprint) -> Sequence[Found]:
        """Return the entries within 31 bits of this fingerprint (an ISCC: 40), nearest first, then oldest."""
        with self._store.reading() as tx:
            size = self._verified(tx.head()).size

            def root_of(size: int) -> bytes:
                with self._named(), self._reader:
                    return root(tile_reader(tx.whole_tile, size, self._cache), size)

            near = self._near.find(tx.recoveries, fingerprint, size, root_of)
            found = self._found(tx, near[:MAX_FOUND])
        return [item for item in found if item.recovery and is_near(item.recovery, fingerprint)]

    def fingerprints(self, start: int = 0, limit: int | None = None) -> Sequence[tuple[int, str, bytes]]:
        """Return (index, algorithm, value) of the fingerprints kept from an index on, in order, ``limit`` at most."""
        with self._store.reading() as tx:
            return list(tx.recoveries.fingerprints(start, limit))

    def recovery(self, index: int) -> Recovery | None:
        """Return what is kept beside an entry; None if nothing was or it was erased."""
        with self._store.reading() as tx:
            return tx.recoveries.get(index)
