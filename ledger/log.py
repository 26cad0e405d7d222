"""The ledger: an append-only Merkle log of entries in an SQL database, with receipts and look-ups."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from assay.ledger.audit import audit
from assay.ledger.likeness.bands import MAX_DISTANCE, bands, distance, probes
from assay.ledger.tlog.merkle import EMPTY_ROOT, Node, inclusion_proof, leaf_hash, verify_inclusion
from assay.ledger.tlog.note import Checkpoint, Signer, sign_note
from assay.ledger.tlog.proof import Proof, read_receipt, verify_receipt
from assay.ledger.store import EntryRow, Head, Store, Transaction
from assay.ledger.tlog.tiles import Edge, TileCache, tile_reader
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Fingerprint, Recovery
from assay.provenance.errors import LedgerError, MalformedError, UsageError
from assay.provenance.mark import Mark
from assay.provenance.protocols import Found
from assay.provenance.receipt import Receipt

MAX_FOUND = 16
"""Most entries one look-up returns: the oldest, or by fingerprint the nearest."""

_CHECK_HINT = "assay ledger check names the fault"


class SqlLog:
    """A log in any database that SQLAlchemy reaches; implements ``assay.provenance.protocols.Log``.

    ``origin`` is the log's name and its key's. Without a signer it only reads. Safe to share between threads;
    each process opens its own. Use it as a context manager, or call ``close``.
    """

    def __init__(self, store: Store, origin: str, signer: Signer | None, vkeys: Sequence[str]) -> None:
        self.origin = origin
        self._store = store
        self._signer = signer
        self._vkeys = tuple(vkeys)
        self._cache = TileCache()
        self._edge: Edge | None = None  # what the next append builds on; dropped whenever anything fails
        self._writer = threading.Lock()
        self._reader = threading.Lock()

    @classmethod
    def create(cls, url: str, origin: str, signer: Signer) -> SqlLog:
        """Make an empty log at an SQLAlchemy URL and sign its empty checkpoint.

        Raises LedgerError where a file or a ledger already is, UsageError where the signer's name is not the
        origin.
        """
        if signer.name != origin:
            raise UsageError(f"the signing key is named {signer.name}, the ledger {origin}")
        note = sign_note(Checkpoint(origin, 0, EMPTY_ROOT).to_text(), signer)
        store = Store.create(url, Head(origin, signer.vkey, 0, EMPTY_ROOT, note))
        return cls(store, origin, signer, (signer.vkey,))

    @classmethod
    def open(cls, url: str, origin: str, signer: Signer | None = None, vkeys: Sequence[str] = ()) -> SqlLog:
        """Open an existing log; never creates one.

        ``vkeys`` are the verifier keys to trust; the signer's own is added. Raises LedgerError where there is
        no log, where it has another origin or key, or where its head is not signed by a trusted key.
        """
        if signer is not None:
            vkeys = (signer.vkey, *(vkey for vkey in vkeys if vkey != signer.vkey))
        log = cls(Store.open(url), origin, signer, vkeys)
        try:
            with log._store.reading() as tx:
                head = tx.head()
            if head.origin != origin:
                raise LedgerError(
                    f"this is the ledger {head.origin}, not {origin}", hint="name the right database"
                )
            if signer is not None and head.vkey != signer.vkey:
                raise LedgerError(
                    "the signing key is not this ledger's", hint=f"its verifier key is {head.vkey}"
                )
            log._verified(head)
        except BaseException:
            log.close()
            raise
        return log

    def close(self) -> None:
        """Close the database's connections."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Reading

    def _verified(self, head: Head) -> Checkpoint:
        """Return the head as its signed note says it; the columns beside the note are never believed."""
        try:
            checkpoint = Checkpoint.open(head.note, self._vkeys)
        except MalformedError as error:
            raise LedgerError(
                f"the ledger's head cannot be trusted: {error.message}", hint=_CHECK_HINT
            ) from error
        if checkpoint != Checkpoint(self.origin, head.size, head.root):
            raise LedgerError("the ledger's head differs from its signed checkpoint", hint=_CHECK_HINT)
        return checkpoint

    @property
    def size(self) -> int:
        """The number of entries."""
        with self._store.reading() as tx:
            return tx.head().size

    def checkpoint(self) -> str:
        """Return the latest signed checkpoint, a C2SP note; raises LedgerError if it does not verify."""
        with self._store.reading() as tx:
            head = tx.head()
        self._verified(head)
        return head.note

    def _receipt(self, tx: Transaction, head: Head, index: int, node: Node) -> Receipt:
        """Make a receipt and verify its proof before it leaves the house."""
        leaf = tx.leaf(index)
        if leaf is None:
            raise LedgerError(f"entry {index} is missing from the ledger", hint=_CHECK_HINT)
        try:
            with self._reader:
                path = inclusion_proof(node, index, head.size)
        except ValueError as error:
            raise LedgerError(f"no proof for entry {index}: {error}", hint=_CHECK_HINT) from error
        if not verify_inclusion(leaf_hash(leaf), index, head.size, path, head.root):
            raise LedgerError(f"entry {index} or its hashes were changed in the database", hint=_CHECK_HINT)
        return Proof(leaf, index, tuple(path), head.note).receipt()

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of an entry against the latest checkpoint.

        Raises UsageError for an index that is not in the log, LedgerError where the log contradicts itself.
        """
        with self._store.reading() as tx:
            head = tx.head()
            if not 0 <= index < head.size:
                raise UsageError(f"there is no entry {index}; the ledger holds {head.size}")
            self._verified(head)
            return self._receipt(tx, head, index, tile_reader(tx.tile, head.size, self._cache))

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Entry]]:
        """Iterate over (index, entry) in order, on one view of the log; what is read is not verified."""
        with self._store.reading() as tx:
            size = tx.head().size
            for row in tx.entries(max(0, start), size if stop is None else min(stop, size)):
                yield row.idx, Entry.from_bytes(row.data)

    def recovery(self, index: int) -> Recovery | None:
        """Return what is kept beside an entry; None if nothing was or it was erased."""
        with self._store.reading() as tx:
            return tx.recovery(index)

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
        self._verified(head)
        found = []
        node = tile_reader(tx.tile, head.size, self._cache)
        for bits, index in nearest:
            receipt = self._receipt(tx, head, index, node)
            recovery = tx.recovery(index)
            if recovery is not None and recovery.digest != receipt.entry.recovery:
                raise LedgerError(f"the recovery record of entry {index} was changed", hint=_CHECK_HINT)
            found.append(Found(receipt, recovery, bits))
        return found

    def find_digest(self, digest: Digest) -> Sequence[Found]:
        """Return the entries whose signed file has this digest, oldest first."""
        with self._store.reading() as tx:
            found = self._found(tx, [(0, index) for index in tx.by_digest(str(digest), MAX_FOUND)])
        return [item for item in found if item.entry.digest == digest]

    def find_manifest(self, label: str) -> Sequence[Found]:
        """Return the entries with this active manifest label (URN), oldest first."""
        if not label:
            return []
        with self._store.reading() as tx:
            found = self._found(tx, [(0, index) for index in tx.by_label(label, MAX_FOUND)])
        return [item for item in found if item.entry.manifest_label == label]

    def find_mark(self, mark: Mark) -> Sequence[Found]:
        """Return the entries with this mark, oldest first."""
        with self._store.reading() as tx:
            found = self._found(tx, [(0, index) for index in tx.by_mark(mark.scheme, mark.id, MAX_FOUND)])
        return [item for item in found if item.entry.mark == mark]

    def find_fingerprint(self, fingerprint: Fingerprint) -> Sequence[Found]:
        """Return the entries within 31 bits of this fingerprint, nearest first, then oldest."""
        with self._store.reading() as tx:
            near = [
                (distance(fingerprint.value, value), index)
                for index, alg, value in tx.by_bands(probes(fingerprint.value))
                if alg == fingerprint.alg and len(value) == len(fingerprint.value)
            ]
            return self._found(tx, sorted(item for item in near if item[0] <= MAX_DISTANCE)[:MAX_FOUND])

    def duplicates(self) -> list[tuple[Digest, int]]:
        """Return the files logged more than once, with how often; that is allowed, and no tampering."""
        with self._store.reading() as tx:
            return [(Digest.parse(digest), count) for digest, count in tx.duplicates()]

    # Writing

    def append(self, entry: Entry, recovery: Recovery | None = None) -> Receipt:
        """Append one leaf durably and return its receipt; see ``append_many`` for what it raises."""
        return self._append([(entry, recovery)], receipts=True)[1][0]

    def append_many(self, items: Sequence[tuple[Entry, Recovery | None]]) -> range:
        """Append leaves in one transaction under one checkpoint; return their indices.

        Raises LedgerError and changes nothing on failure; raises UsageError where the log was opened without
        a signer, or a recovery record is not the one its entry names.
        """
        return self._append(items, receipts=False)[0]

    def _append(
        self, items: Sequence[tuple[Entry, Recovery | None]], *, receipts: bool
    ) -> tuple[range, list[Receipt]]:
        if self._signer is None:
            raise UsageError("this ledger was opened for reading", hint="open it with its signing key")
        for entry, recovery in items:
            if (recovery.digest if recovery else None) != entry.recovery:
                raise UsageError("the entry does not name the digest of its recovery record")
        leaves = [entry.to_bytes() for entry, _ in items]
        if not items:
            return range(0), []
        with self._writer:
            edge, self._edge = self._edge, None
            with self._store.writing() as tx:
                old = tx.head(lock=True)
                if edge is None or (edge.frontier.size, edge.frontier.root()) != (old.size, old.root):
                    edge = self._reloaded(tx, old)
                for leaf in leaves:
                    edge.append(leaf_hash(leaf))
                new = self._write(tx, old, edge, items, leaves)
                indices = range(old.size, new.size)
                # a cache of its own: these tiles may yet be rolled back
                node = tile_reader(tx.tile, new.size, TileCache())
                made = [self._receipt(tx, new, index, node) for index in indices] if receipts else []
            self._edge = edge
        return indices, made

    def _reloaded(self, tx: Transaction, head: Head) -> Edge:
        """Return the stored tree's edge after checking that it has the signed head's root."""
        self._verified(head)
        try:
            edge = Edge(tx.tile, head.size)
        except ValueError as error:
            raise LedgerError(f"the ledger's tree cannot be read: {error}", hint=_CHECK_HINT) from error
        if edge.frontier.root() != head.root:
            raise LedgerError("the ledger's tree does not have the signed head's root", hint=_CHECK_HINT)
        return edge

    def _write(
        self,
        tx: Transaction,
        head: Head,
        edge: Edge,
        items: Sequence[tuple[Entry, Recovery | None]],
        leaves: Sequence[bytes],
    ) -> Head:
        assert self._signer is not None  # append_many has checked
        rows = [
            EntryRow.of(index, leaf, entry)
            for index, (leaf, (entry, _)) in enumerate(zip(leaves, items, strict=True), start=head.size)
        ]
        recoveries = {
            index: recovery
            for index, (_, recovery) in enumerate(items, start=head.size)
            if recovery is not None
        }
        tx.add_entries(rows)
        tx.add_recoveries(
            recoveries,
            (
                (band, index)
                for index, recovery in recoveries.items()
                if recovery.fingerprint
                for band in bands(recovery.fingerprint.value)
            ),
        )
        tx.put_tiles(*edge.take())
        checkpoint = Checkpoint(self.origin, edge.frontier.size, edge.frontier.root())
        note = sign_note(checkpoint.to_text(), self._signer)
        new = Head(self.origin, head.vkey, checkpoint.size, checkpoint.root, note)
        tx.swap_head(head, new)
        return new

    def erase_recovery(self, index: int) -> bool:
        """Erase what is kept beside an entry for recovery; the log and its proofs are untouched.

        Returns whether there was anything. Raises LedgerError on failure.
        """
        with self._store.writing() as tx:
            recovery = tx.recovery(index)
            if recovery is None:
                return False
            tx.erase_recovery(index, bands(recovery.fingerprint.value) if recovery.fingerprint else [])
            return True

    # Auditing

    def check(self) -> list[str]:
        """Derive everything again from the entries' bytes and return, in words, all that does not fit."""
        with self._store.reading() as tx:
            return audit(tx, self.origin, self._vkeys)
