"""The ledger: an append-only Merkle log of entries in an SQL database, with receipts and look-ups."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from assay.ledger.appender import CHECK_HINT, Appender, Item, check_item
from assay.ledger.audit import audit
from assay.ledger.journal import SqlJournal
from assay.ledger.likeness.bands import MAX_DISTANCE, bands, distance, probes
from assay.ledger.lookup import key_of, key_range, recovery_keys, stored
from assay.ledger.pins import pin_problem
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
from assay.ledger.tlog.note import Checkpoint, Signer, merge_signatures, sign_note
from assay.ledger.tlog.proof import Proof, read_receipt, verify_receipt
from assay.ledger.tlog.tiles import TileCache, tile_reader, width_at
from assay.ledger.writer import Pending, Writer
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Fingerprint, Recovery
from assay.provenance.errors import LedgerError, MalformedError, UsageError
from assay.provenance.mark import Mark
from assay.provenance.protocols import Found
from assay.provenance.receipt import Receipt

MAX_FOUND = 16
"""Most entries one look-up returns: the oldest, or by fingerprint the nearest."""
MAX_PREFIX = 4096
"""Most entries that one look-up by prefix returns."""


class SqlLog:
    """A log in SQLite or PostgreSQL; implements ``assay.provenance.protocols.Log``.

    ``origin`` is the log's name and its key's. Without a signer it only reads. Safe to share between threads;
    each process opens its own. Use it as a context manager, or call ``close``.
    """

    def __init__(self, store: Store, origin: str, signer: Signer | None, vkeys: Sequence[str]) -> None:
        self.origin = origin
        self._store = store
        self._vkeys = tuple(vkeys)
        self._cache = TileCache()
        self._reader = threading.Lock()
        self._believed = "", Checkpoint(origin, 0, EMPTY_ROOT)
        self._refusal = ""
        self._appender = Appender(store, signer, self._verified) if signer else None
        self._writer = Writer(self._append, self.receipt)

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
    def open(
        cls,
        url: str,
        origin: str,
        signer: Signer | None = None,
        vkeys: Sequence[str] = (),
        pins: Sequence[str] = (),
    ) -> SqlLog:
        """Open an existing log; never creates one.

        ``vkeys`` are the verifier keys to trust; the signer's own is added. ``pins`` are checkpoints of this log
        that are known from outside: where the database is older than one of them, or has another tree, it can
        be read but not appended to. Raises LedgerError where there is no log, where it has another origin or
        key, or where its head is not signed by a trusted key.
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
                node = tile_reader(tx.tile, head.size, log._cache)
                found = (pin_problem(pin, head, node, log._vkeys) for pin in pins)
                log._refusal = next((problem for problem in found if problem), "")
        except BaseException:
            log.close()
            raise
        return log

    def close(self) -> None:
        """Commit what was submitted, then close the database's connections."""
        self._writer.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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

    def offered(self) -> str:
        """Return the latest signed checkpoint to be shown to others: witnesses, anchors.

        Raises LedgerError, besides as ``checkpoint`` does, where this database must not be appended to either.
        """
        self._refuse()
        return self.checkpoint()

    @property
    def vkey(self) -> str:
        """The verifier key that the ledger names as its own."""
        with self._store.reading() as tx:
            return tx.head().vkey

    def _tree(self, tx: Transaction, size: int) -> Node:
        head = tx.head()
        self._verified(head)
        if not 0 <= size <= head.size:
            raise UsageError(f"the ledger holds {head.size} entries, not {size}")
        return tile_reader(tx.tile, size, self._cache)

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves, 32 bytes; raises UsageError for a size not reached."""
        with self._store.reading() as tx, self._named(), self._reader:
            return root(self._tree(tx, size), size)

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """Return PROOF(old, D[new]) of RFC 6962 section 2.1.2, by default to the head.

        Raises UsageError unless 0 <= old <= new <= size.
        """
        with self._store.reading() as tx, self._named(), self._reader:
            size = tx.head().size if new is None else new
            if old > size:
                raise UsageError(f"a tree of {size} leaves has no earlier tree of {old}")
            return consistency_proof(self._tree(tx, size), old, size)

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
            for _, data in tx.leaves(max(0, start), size if stop is None else min(stop, size)):
                yield data

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Entry]]:
        """Iterate over (index, entry) in order, on one view of the log; what is read is not verified."""
        for index, data in enumerate(self.leaves(start, stop), start=max(0, start)):
            yield index, Entry.from_bytes(data)

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
            path = inclusion_proof(tile_reader(tx.tile, head.size, self._cache), index, head.size)
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

    def keep_checkpoint(self, note: str) -> str:
        """Keep a checkpoint of this log that others have cosigned; return it with all signatures known for it.

        Raises MalformedError where the log's own signature is missing, LedgerError where this log has another
        root at that size, UsageError where it is not that large yet.
        """
        checkpoint = Checkpoint.open(note, self._vkeys)
        if checkpoint.origin != self.origin or self.root(checkpoint.size) != checkpoint.root:
            raise LedgerError(
                f"the checkpoint at size {checkpoint.size} is of another tree than this ledger's",
                hint=CHECK_HINT,
            )
        with self._store.writing() as tx:
            kept = tx.checkpoints.get(checkpoint.size)
            merged = merge_signatures(kept, note) if kept else note
            tx.checkpoints.put(checkpoint.size, merged)
        return merged

    def kept_checkpoint(self, size: int = 0) -> str | None:
        """Return the kept checkpoint of the largest size, None if there is none of at least ``size``."""
        with self._store.reading() as tx:
            return tx.checkpoints.newest(size)

    def journal(self, now: Callable[[], dt.datetime]) -> SqlJournal:
        """Return where anchors of this log keep their records; ``now`` dates changes."""
        return SqlJournal(self._store, now)

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
            recovery = tx.recoveries.get(index)
            if recovery is not None and recovery.digest != receipt.entry.recovery:
                raise LedgerError(f"the recovery record of entry {index} was changed", hint=CHECK_HINT)
            found.append(Found(receipt, recovery, bits))
        return found

    def _find(self, kind: str, value: str) -> list[Found]:
        key = stored([key_of(kind, value)])[0]
        with self._store.reading() as tx:
            return self._found(tx, [(0, index) for index in tx.by_keys(key, key, MAX_FOUND)])

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

    def find_prefix(self, prefix: int, bits: int) -> Sequence[int]:
        """Return the indices, at most 4,096, of the entries with a look-up key that begins with these bits.

        Raises UsageError unless 0 <= bits <= 64 and 0 <= prefix < 2^bits.
        """
        try:
            first, last = stored(key_range(prefix, bits))
        except ValueError as error:
            raise UsageError(f"not a look-up prefix: {error}") from error
        with self._store.reading() as tx:
            return list(dict.fromkeys(tx.by_keys(first, last, MAX_PREFIX)))

    def find_fingerprint(self, fingerprint: Fingerprint) -> Sequence[Found]:
        """Return the entries within 31 bits of this fingerprint, nearest first, then oldest."""
        with self._store.reading() as tx:
            near = [
                (distance(fingerprint.value, value), index)
                for index, alg, value in tx.recoveries.by_bands(probes(fingerprint.value))
                if alg == fingerprint.alg and len(value) == len(fingerprint.value)
            ]
            return self._found(tx, sorted(item for item in near if item[0] <= MAX_DISTANCE)[:MAX_FOUND])

    def fingerprints(self, start: int = 0, limit: int | None = None) -> Sequence[tuple[int, str, bytes]]:
        """Return (index, algorithm, value) of the fingerprints kept from an index on, in order, ``limit`` at most."""
        with self._store.reading() as tx:
            return list(tx.recoveries.fingerprints(start, limit))

    def recovery(self, index: int) -> Recovery | None:
        """Return what is kept beside an entry; None if nothing was or it was erased."""
        with self._store.reading() as tx:
            return tx.recoveries.get(index)

    # Writing

    def submit(self, entry: Entry, recovery: Recovery | None = None) -> Pending:
        """Queue one leaf; it is durable once ``Pending.index`` returns. Entries submitted together share a commit.

        Raises UsageError where the log was opened without a signer, or the recovery record is not the one that
        the entry names; LedgerError where this database must not be appended to.
        """
        self._writing()
        check_item((entry, recovery))
        return self._writer.submit((entry, recovery))

    def append(self, entry: Entry, recovery: Recovery | None = None) -> Receipt:
        """Append one leaf durably and return its receipt; raises what ``submit`` and ``Pending.receipt`` raise."""
        return self.submit(entry, recovery).receipt()

    def append_many(self, items: Sequence[Item]) -> range:
        """Append leaves in one transaction under one checkpoint; return their indices.

        Raises LedgerError and changes nothing on failure; raises UsageError as ``submit`` does.
        """
        return self._append(items)

    def _append(self, items: Sequence[Item]) -> range:
        return self._writing().append(items)

    def _writing(self) -> Appender:
        if self._appender is None:
            raise UsageError("this ledger was opened for reading", hint="open it with its signing key")
        self._refuse()
        return self._appender

    def _refuse(self) -> None:
        if self._refusal:
            raise LedgerError(
                self._refusal, hint="do not go on with it: a log that forks can never be mended"
            )

    def erase_recovery(self, index: int) -> bool:
        """Erase what is kept beside an entry for recovery; the log and its proofs are untouched.

        Returns whether there was anything. Raises LedgerError on failure.
        """
        with self._store.writing() as tx:
            recovery = tx.recoveries.get(index)
            if recovery is None:
                return False
            tx.recoveries.erase(index, bands(recovery.fingerprint.value) if recovery.fingerprint else [])
            tx.drop_keys(index, stored(recovery_keys(recovery)))
            return True

    # Auditing

    def duplicates(self) -> list[tuple[Digest, int]]:
        """Return the files logged more than once, with how often; that is allowed, and no tampering."""
        with self._store.reading() as tx:
            counts: Counter[Digest] = Counter()
            for key in tx.repeated_keys():
                counts.update(self._digests(tx, key))
            return [(digest, count) for digest, count in counts.items() if count > 1]

    def _digests(self, tx: Transaction, key: int) -> Iterator[Digest]:
        for index in tx.by_keys(key, key, None):
            digest = Entry.from_bytes(tx.leaf(index) or b"").digest
            if stored([key_of("digest", str(digest))])[0] == key:
                yield digest

    def check(self, random: Callable[[int], bytes] = secrets.token_bytes) -> list[str]:
        """Derive everything again from the entries' bytes and return, in words, all that does not fit."""
        known = [self._refusal] if self._refusal else []
        return [*known, *audit(self._store, self.origin, self._vkeys, random)]
