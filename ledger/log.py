"""The ledger: an append-only Merkle log of entries in an SQL database, with receipts and look-ups."""

from __future__ import annotations

import datetime as dt
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from assay.ledger.appender import CHECK_HINT, Appender, Item, Prepared
from assay.ledger.audit import audit
from assay.ledger.journal import SqlJournal
from assay.ledger.likeness.near import recovery_bands
from assay.ledger.lookup import key_of, recovery_keys, run_of, runs, stored
from assay.ledger.pins import FORK_HINT, pin_problem
from assay.ledger.store.database import Store
from assay.ledger.store.transaction import Head, Transaction
from assay.ledger.tlog.merkle import (
    EMPTY_ROOT,
)
from assay.ledger.tlog.note import MAX_TREE_SIZE, Checkpoint, Signer, merge_signatures, sign_note
from assay.ledger.tlog.tiles import tile_reader
from assay.ledger.view import LogView
from assay.ledger.writer import Pending, Writer
from assay.provenance.asset import Digest
from assay.provenance.entry import Entry, Recovery
from assay.provenance.errors import LedgerError, UsageError
from assay.provenance.leaf import Leaf, read_leaf
from assay.provenance.receipt import Receipt


class SqlLog(LogView):
    """A log in SQLite or PostgreSQL; implements ``assay.provenance.protocols.Log``.

    ``origin`` is the log's name and its key's. Without a signer it only reads. Safe to share between threads;
    each process opens its own. Use it as a context manager, or call ``close``.
    """

    def __init__(self, store: Store, origin: str, signer: Signer | None, vkeys: Sequence[str]) -> None:
        super().__init__(store, origin, vkeys)
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
                node = tile_reader(tx.whole_tile, head.size, log._cache)
                found = (pin_problem(pin, head, node, log._vkeys) for pin in pins)
                try:
                    log._refusal = next((problem for problem in found if problem), "")
                except ValueError as error:  # it can still be read, and checked
                    log._refusal = f"the ledger's tree cannot be read: {error}"
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

    # Memories of the head

    def offered(self) -> str:
        """Return the latest signed checkpoint to be shown to others: witnesses, anchors.

        Raises LedgerError, besides as ``checkpoint`` does, where this database must not be appended to either.
        """
        self._refuse()
        return self.checkpoint()

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
            tx.head(lock=True)  # whoever else keeps a checkpoint now would lose its signatures, or ours
            kept = tx.checkpoints.get(checkpoint.size)
            merged = merge_signatures(kept, note) if kept else note
            tx.checkpoints.put(checkpoint.size, merged)
        return merged

    def kept_checkpoint(self, size: int = 0) -> str | None:
        """Return the kept checkpoint of the largest size, None if there is none of at least ``size``."""
        with self._store.reading() as tx:
            return tx.checkpoints.newest(min(size, MAX_TREE_SIZE))

    def journal(self, now: Callable[[], dt.datetime]) -> SqlJournal:
        """Return where anchors of this log keep their records; ``now`` dates changes."""
        return SqlJournal(self._store, now)

    # Writing

    def submit(self, entry: Leaf, recovery: Recovery | None = None) -> Pending:
        """Queue one leaf; it is durable once ``Pending.index`` returns. Entries submitted together share a commit.

        Raises UsageError where the log was opened without a signer, or the recovery record is not the one that
        the entry names; LedgerError where this database must not be appended to.
        """
        self._writing()
        return self._writer.submit(Prepared.of((entry, recovery)))

    def append(self, entry: Leaf, recovery: Recovery | None = None) -> Receipt:
        """Append one leaf durably and return its receipt; raises what ``submit`` and ``Pending.receipt`` raise."""
        return self.submit(entry, recovery).receipt()

    def append_many(self, items: Sequence[Item]) -> range:
        """Append leaves in one transaction under one checkpoint; return their indices.

        Raises LedgerError and changes nothing on failure; raises UsageError as ``submit`` does.
        """
        return self._append([Prepared.of(item) for item in items])

    def _append(self, items: Sequence[Prepared]) -> range:
        return self._writing().append(items)

    def _writing(self) -> Appender:
        if self._appender is None:
            raise UsageError("this ledger was opened for reading", hint="open it with its signing key")
        self._refuse()
        return self._appender

    def _refuse(self) -> None:
        if self._refusal:
            raise LedgerError(self._refusal, hint=FORK_HINT)

    def erase_recovery(self, index: int) -> bool:
        """Erase what is kept beside an entry for recovery; the log and its proofs are untouched.

        Returns whether there was anything. Raises LedgerError on failure.
        """
        with self._store.writing() as tx:
            size = tx.head(lock=True).size  # an append may be moving the keys to another run
            recovery = tx.recoveries.get(index)
            if recovery is None:
                return False
            tx.recoveries.erase(index, recovery_bands(recovery))
            tx.drop_keys(run_of(index, size), index, stored(recovery_keys(recovery)))
        self._near.forget()
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
        size = tx.head().size
        for index in tx.by_keys(runs(0, size, size), key, key, size, None):
            leaf = read_leaf(tx.leaf(index) or b"")
            if isinstance(leaf, Entry) and stored([key_of("digest", str(leaf.digest))])[0] == key:
                yield leaf.digest

    def check(
        self, random: Callable[[int], bytes] = secrets.token_bytes, *, lookups: bool = True
    ) -> list[str]:
        """Derive everything again from the entries' bytes and return, in words, all that does not fit.

        Without ``lookups`` only what the head signs is: leaves, tiles, root, checkpoints, what is kept beside them.
        """
        known = [self._refusal] if self._refusal else []
        return [*known, *audit(self._store, self.origin, self._vkeys, random, lookups=lookups)]
