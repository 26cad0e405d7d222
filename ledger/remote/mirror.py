"""A mirror: a read-only copy of a published log in a database of one's own; what does not prove itself stays out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assay.ledger.appender import add_keys
from assay.ledger.lookup import RUN, leaf_keys, stored
from assay.ledger.remote.memory import keep_contradiction
from assay.ledger.remote.source import PublishedLog, Source, published_checkpoint
from assay.ledger.store.database import Store
from assay.ledger.store.transaction import Head, Transaction
from assay.ledger.tlog.merkle import EMPTY_ROOT, leaf_hash, root
from assay.ledger.tlog.note import Checkpoint, Verifier
from assay.ledger.tlog.policy import Cosigned, TlogPolicy
from assay.ledger.tlog.tiles import TILE_WIDTH, Edge, TileCache, tile_reader
from assay.provenance.errors import AssayError, LedgerError, MalformedError, UsageError
from assay.provenance.leaf import read_leaf

_BATCH = 16
"""Entry bundles stored at once: 4,096 entries."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A mirror after a run: the log's name and verifier key, its ``size`` now and ``before``, who cosigned it."""

    origin: str
    vkey: str
    size: int
    before: int
    witnesses: tuple[str, ...]


def mirror(
    source: Source,
    file: Path,
    policy: TlogPolicy | None = None,
    progress: Callable[[int, int], None] = lambda done, size: None,
) -> Mirrored:
    """Make or extend the mirror in ``file`` from a published log; nothing changes unless all of it holds.

    The checkpoint must satisfy ``policy``, which only the first run needs: later ones know the log's key. Every
    entry is hashed, their tree must have the signed root, and what was mirrored before must be its beginning.
    Raises LedgerError in words otherwise; a log that shows two histories is named, and its two contradicting
    checkpoints are kept beside the file. ``progress`` is told (entries done, entries in all).
    """
    note = published_checkpoint(source)
    known = _policy(file, policy)
    shown = _examined(known, note, source)
    if not isinstance(shown.log.key, Verifier):
        raise UsageError("only logs that sign with plain Ed25519 can be mirrored yet")
    vkey = shown.log.key.vkey
    made = not file.exists()
    if made:
        Store.create(_url(file), Head(shown.checkpoint.origin, vkey, 0, EMPTY_ROOT, "")).close()
    try:
        before = _take_over(source, file, shown, vkey, note, progress)
    except BaseException:
        if made:
            for suffix in ("", "-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
        raise
    return Mirrored(shown.checkpoint.origin, vkey, shown.checkpoint.size, before, tuple(shown.witnesses))


def _take_over(
    source: Source, file: Path, shown: Cosigned, vkey: str, note: str, progress: Callable[[int, int], None]
) -> int:
    """Bring the mirror up to the checkpoint in one transaction; return what size it had."""
    store = Store.open(_url(file))
    try:
        with store.writing() as tx:
            old = tx.head(lock=True)
            _check_old(old, shown.checkpoint, vkey, file)
            new = Head(shown.checkpoint.origin, vkey, shown.checkpoint.size, shown.checkpoint.root, note)
            published = PublishedLog(source, new.size)
            _check_history(published, old, new, source, file)
            if new.size > old.size:
                _extend(tx, published, old, new, source, progress)
            if new.size > old.size or not old.note:
                tx.swap_head(old, new)
            if shown.witnesses:
                tx.checkpoints.put(new.size, note)
    finally:
        store.close()
    return old.size


def _url(file: Path) -> str:
    return f"sqlite:///{file.absolute()}"


def _policy(file: Path, policy: TlogPolicy | None) -> TlogPolicy:
    if policy is not None:
        return policy
    if not file.exists():
        raise UsageError(
            "whose log this is must be known from elsewhere",
            hint="give its verifier key (--vkey) or a --policy",
        )
    store = Store.open(_url(file))
    try:
        with store.reading() as tx:
            return TlogPolicy.of_logs([tx.head().vkey])
    finally:
        store.close()


def _examined(policy: TlogPolicy, note: str, source: Source) -> Cosigned:
    try:
        shown = policy.examine(note)
    except AssayError as error:
        raise LedgerError(
            f"the checkpoint of {source.name} cannot be trusted: {error.message}",
            hint="check the address and the verifier key",
        ) from error
    if shown.problem:
        raise LedgerError(f"the checkpoint of {source.name} cannot be trusted: {shown.problem}")
    return shown


def _check_old(old: Head, shown: Checkpoint, vkey: str, file: Path) -> None:
    """Check that the file is a mirror of this log, and as it was left."""
    if old.origin != shown.origin:
        raise LedgerError(f"the file mirrors the log {old.origin}, not {shown.origin}", path=file)
    if old.vkey != vkey:
        raise LedgerError(
            "the file mirrors a log of that name with another key", path=file, hint=f"its key is {old.vkey}"
        )
    if not old.note and old.size == 0:  # made by a run that did not end
        return
    try:
        signed = Checkpoint.open(old.note, [old.vkey])
    except AssayError as error:
        raise LedgerError(f"the mirror's own head cannot be trusted: {error.message}", path=file) from error
    if signed != Checkpoint(old.origin, old.size, old.root):
        raise LedgerError(
            "the mirror's own head was changed", path=file, hint="remove the file and mirror anew"
        )


def _check_history(published: PublishedLog, old: Head, new: Head, source: Source, file: Path) -> None:
    """Check, from a few tiles, that the published tree has the signed root and the mirrored one at its size."""
    if new.size < old.size:
        raise LedgerError(
            f"{source.name} shows {new.size} entries, but showed {old.size} before: it was rolled back, or lags",
            hint="try again later; if it stays so, its operator restored an old copy",
        )
    node = tile_reader(published.fetch, new.size, TileCache())
    try:
        whole, before = root(node, new.size), root(node, old.size)
    except ValueError as error:
        raise LedgerError(error.args[0]) from error
    if whole != new.root:
        if new.size == old.size and new.root != old.root:
            _fork(old, new, source, file)
        raise LedgerError(f"the tiles of {source.name} do not have the root that its checkpoint signs")
    if before != old.root:
        _fork(old, new, source, file)


def _fork(old: Head, new: Head, source: Source, file: Path) -> None:
    kept = keep_contradiction(file, old.note, new.note)
    raise LedgerError(
        f"{source.name} shows another history than it did when it was mirrored: "
        f"its first {old.size} entries were rewritten, or it shows different logs to different people",
        path=file,
        hint=f"both signed checkpoints are kept in {kept.name}: show them to others who follow this log",
    )


def _extend(
    tx: Transaction,
    published: PublishedLog,
    old: Head,
    new: Head,
    source: Source,
    progress: Callable[[int, int], None],
) -> None:
    try:
        edge = Edge(tx.tile, old.size)
    except ValueError as error:
        raise LedgerError(f"the mirror's tree cannot be read: {error}") from error
    if edge.frontier.root() != old.root:
        raise LedgerError("the mirror's tree is damaged", hint="remove the file and mirror anew")
    first, last = old.size // TILE_WIDTH, (new.size - 1) // TILE_WIDTH
    for batch in range(first, last + 1, _BATCH):
        at = edge.frontier.size
        leaves = [
            leaf
            for number in range(batch, min(batch + _BATCH, last + 1))
            for leaf in published.leaves(number)[max(0, old.size - number * TILE_WIDTH) :]
        ]
        for leaf in leaves:
            edge.append(leaf_hash(leaf))
        tx.add_entries(at, leaves)
        keys = {(i - i % RUN, key, i) for i, leaf in enumerate(leaves, start=at) for key in _keys(leaf)}
        add_keys(tx, at, edge.frontier.size, sorted(keys))
        tx.put_tiles(edge.take())
        progress(edge.frontier.size, new.size)
    if edge.frontier.root() != new.root:
        raise LedgerError(
            f"the entries of {source.name} do not have the root that its checkpoint signs",
            hint="nothing was taken over",
        )


def _keys(leaf: bytes) -> list[int]:
    """Return the look-up keys of a leaf, none where it is of a type that this program does not know."""
    try:
        return stored(leaf_keys(read_leaf(leaf)))
    except (LedgerError, MalformedError, UsageError):
        return []
