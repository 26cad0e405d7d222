"""The audit of a ledger: derive everything again from the entries' bytes, and name what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from assay.ledger.apart import run_apart
from assay.ledger.likeness.near import prints_of, recovery_bands
from assay.ledger.lookup import leaf_keys, recovery_keys, runs, stored
from assay.ledger.store.database import Store
from assay.ledger.store.transaction import Head, Transaction
from assay.ledger.sweep import SPAN, KeySum, Problems, Stretch, Subtrees, compare_tile, sweep
from assay.ledger.tlog.merkle import Frontier, root
from assay.ledger.tlog.note import Checkpoint
from assay.ledger.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, TileCache, subtree_roots, tile_reader, width_at
from assay.provenance.entry import Recovery
from assay.provenance.errors import AssayError
from assay.provenance.leaf import read_leaf

SHARED_OUT = 4 * SPAN
"""Entries from which on several processes read at once."""
_STRETCH = 4 * SPAN


def audit(
    store: Store, origin: str, vkeys: Sequence[str], random: Callable[[int], bytes], *, lookups: bool
) -> list[str]:
    """Return all that is wrong with a ledger, in words; [] if nothing is.

    Reads each entry, key, tile and recovery record once, large ledgers in as many processes as there are
    processors; keeps 32 bytes per 65,536 entries in memory. ``random`` gives n random bytes. Without ``lookups``
    it asks neither whether leaves can be read nor whether look-up keys lead to them: all that is signed is
    looked at, in a third of the time.
    """
    seed = int.from_bytes(random(8), "big")
    with store.reading() as tx, ThreadPoolExecutor(1) as beside:
        damage = beside.submit(_damage, store)
        head = tx.head()
        whole = _gather(store, tx, head.size, seed if lookups else None)
        problems = Problems(f"the database finds itself damaged: {line}" for line in damage.result())
        _check_head(tx, head, origin, vkeys, problems)
        problems.take(whole.problems)
        _check_tree(tx, head, whole, problems)
        _check_strays(tx, head.size, problems)
        derived = whole.keys + _check_recoveries(tx, seed, problems)
        if lookups and (strays := tx.stray_keys(head.size)):
            problems.add(f"{strays} look-up keys lead to no entry of this ledger")
        if lookups and derived != whole.kept:
            _name_keys(tx, head.size, whole.kept.count - derived.count, problems)
        _check_kept(tx, head, origin, vkeys, problems)
    if problems.more:
        problems.append(f"… and {problems.more} more")
    return list(problems)


def _damage(store: Store) -> list[str]:
    """Ask the database itself, on a connection of its own: it can look while we hash."""
    with store.reading() as tx:
        return tx.damage()


def _gather(store: Store, tx: Transaction, size: int, seed: int | None) -> Stretch:
    """Sweep all entries, here or shared out, and return them as one stretch."""
    jobs = [(at, min(size, at + _STRETCH), seed) for at in range(0, size, _STRETCH)]
    whole = Stretch()
    for found in run_apart(store.url, jobs) if size >= SHARED_OUT else (sweep(tx, *job) for job in jobs):
        whole.rows += found.rows
        whole.tiles += found.tiles
        whole.unlike += found.unlike
        whole.keys += found.keys
        whole.kept += found.kept
        whole.problems.take(found.problems)
    return whole


# Judging


def _check_head(tx: Transaction, head: Head, origin: str, vkeys: Sequence[str], problems: Problems) -> None:
    try:
        checkpoint = Checkpoint.open(head.note, vkeys)
    except AssayError as error:
        problems.add(f"the head's signature does not verify: {error.message}")
        return
    if checkpoint.origin != origin:
        problems.add(f"the head is signed for the ledger {checkpoint.origin}, not {origin}")
    if head.origin != origin or head.vkey not in vkeys:
        problems.add("the head's columns were changed: they name another ledger or key")
    if (checkpoint.size, checkpoint.root) != (head.size, head.root):
        problems.add("the head's columns were changed: they differ from its signed checkpoint")


def _check_tree(tx: Transaction, head: Head, whole: Stretch, problems: Problems) -> None:
    """Say which was changed, entry or tree: whichever no longer gives the signed root; then look at upper tiles."""
    rows_fit, tiles_fit = _root(whole.rows) == head.root, _root(whole.tiles) == head.root
    places = {kept: index for index, _, kept in whole.unlike}
    for index, own, _ in whole.unlike:
        if rows_fit:
            problems.add(
                f"tile 0/{index // TILE_WIDTH}: the hash of entry {index} was changed; the entry is sound"
            )
        elif tiles_fit and own in places:
            problems.add(f"entry {index} was moved: what stands there was logged as entry {places[own]}")
        elif tiles_fit:
            problems.add(
                f"entry {index} was changed: its bytes no longer have the hash that the signed head covers"
            )
        else:
            problems.add(f"entry {index} and its hash in the tree differ")
    if not rows_fit:
        problems.add("the root derived from the entries is not the signed root")
    _check_upper_tiles(tx, [node for level, node in whole.tiles if level == 2 * TILE_HEIGHT], problems)


def _root(subtrees: Subtrees) -> bytes:
    frontier = Frontier()
    for level, node in subtrees:
        frontier.append(node, level)
    return frontier.root()


def _check_upper_tiles(tx: Transaction, hashes: list[bytes], problems: Problems) -> None:
    """Compare the tiles from level 2 on with what follows from those below them."""
    level = 2
    while hashes:
        above = []
        for number in range(0, len(hashes), TILE_WIDTH):
            derived = b"".join(hashes[number : number + TILE_WIDTH])
            compare_tile(tx, level, number // TILE_WIDTH, derived, problems)
            if number + TILE_WIDTH <= len(hashes):
                above.append(subtree_roots(derived)[-1])
        hashes, level = above, level + 1


def _check_strays(tx: Transaction, size: int, problems: Problems) -> None:
    for index, _ in tx.leaves(size, None):
        problems.add(f"entry {index} stands beyond the signed head of {size} entries")
    strays = sum(min(name) < 0 or not width_at(size, *name) for name in tx.tile_names())
    if strays:
        problems.add(f"{strays} tiles are stored that the signed tree does not have")
    expected = list(range(size - size % TILE_WIDTH, size))
    if [index for index, _ in tx.tail()] != expected:
        problems.add(
            f"the hashes of the last {len(expected)} entries are incomplete or others are among them"
        )


def _check_recoveries(tx: Transaction, seed: int, problems: Problems) -> KeySum:
    """Compare what is kept beside the log with what the leaves commit to; an erased record is no problem.

    Returns the sum of the look-up keys that follow from the records.
    """
    keys, bands = KeySum(), KeySum()
    for index, recovery, prints in tx.recoveries.all():
        keys += KeySum.of([(key, index) for key in stored(recovery_keys(recovery))], seed)
        bands += KeySum.of([(band, index) for band in recovery_bands(recovery)], seed)
        _check_recovery(tx, index, recovery, prints, problems)
    if strays := tx.recoveries.stray_prints():
        problems.add(f"fingerprints of {strays} entries follow from no recovery record")
    kept = KeySum()
    for rows in tx.recoveries.bands():
        kept += KeySum.of(rows, seed)
    if kept != bands and not problems:
        _name_bands(tx, kept.count - bands.count, problems)
    return keys


def _check_recovery(
    tx: Transaction, index: int, recovery: Recovery, prints: Mapping[str, bytes], problems: Problems
) -> None:
    leaf = tx.leaf(index)
    if leaf is None:
        problems.add(f"a recovery record stands for entry {index}, which does not exist")
        return
    try:
        committed = read_leaf(leaf).recovery
    except AssayError:
        return  # already reported with the entry
    try:
        whole = committed == recovery.digest
    except AssayError:
        whole = False
    if not whole:
        problems.add(f"the recovery record of entry {index} was changed: the entry names another digest")
    if prints != prints_of(recovery):
        problems.add(f"entry {index}: the fingerprints to find it by are not those of its recovery record")


def _name_bands(tx: Transaction, surplus: int, problems: Problems) -> None:
    """Name the entries that their fingerprint's bands no longer lead to; say how many bands are not theirs."""
    for index, recovery, _ in tx.recoveries.all():
        expected = recovery_bands(recovery)
        found = tx.recoveries.bands_of(index, expected) if expected else 0
        surplus += len(expected) - found
        if found != len(expected):
            problems.add(f"entry {index}: only {found} of {len(expected)} fingerprint bands lead to it")
    if surplus > 0:
        problems.add(f"{surplus} fingerprint bands follow from no recovery record")
    if surplus < 0:
        problems.add(f"{-surplus} fingerprint bands are missing")


def _name_keys(tx: Transaction, size: int, surplus: int, problems: Problems) -> None:
    """Name the entries that their look-up keys no longer lead to; say how many keys are not theirs."""
    places = runs(0, size, size)
    for run, stop in zip(places, [*places[1:], size], strict=True):
        kept = {row for rows in tx.keys(run, size) for row in rows}
        for index, data in tx.leaves(run, stop):
            try:
                leaf = read_leaf(data)
                recovery = tx.recoveries.get(index) if leaf.recovery else None
                keys = set(stored(leaf_keys(leaf) + recovery_keys(recovery)))
            except AssayError:
                continue  # already reported with the entry
            missing = sum((key, index) not in kept for key in keys)
            surplus += missing
            if missing:
                problems.add(f"entry {index}: {missing} of its look-up keys are missing; it may not be found")
    if surplus > 0:
        problems.add(f"{surplus} look-up keys lead to entries that do not have them")


def _check_kept(tx: Transaction, head: Head, origin: str, vkeys: Sequence[str], problems: Problems) -> None:
    """Compare cosigned checkpoints and anchored ones with this tree."""
    known: list[tuple[str, str, int, bytes | None]] = [
        ("the cosigned checkpoint", note, size, None) for size, note in tx.checkpoints.all()
    ]
    try:
        anchors = [record for _, record in tx.anchors.all()]
        known += [(f"the checkpoint of anchor {r.id}", r.checkpoint, r.size, r.root) for r in anchors]
    except AssayError as error:
        problems.add(error.message)
    for name, note, size, kept_root in known:
        try:
            checkpoint = Checkpoint.open(note, vkeys)
        except AssayError as error:
            problems.add(f"{name} cannot be trusted: {error.message}")
            continue
        if size != checkpoint.size or kept_root not in (None, checkpoint.root):
            problems.add(f"{name} is of {checkpoint.size} entries; the columns beside it say something else")
        if checkpoint.origin != origin:
            problems.add(f"{name} is of the ledger {checkpoint.origin}, not {origin}")
        elif checkpoint.size > head.size:
            problems.add(
                f"{name} covers {checkpoint.size} entries, the ledger holds {head.size}: it was set back"
            )
        elif not _has_root(tx, checkpoint):
            problems.add(
                f"{name} at size {checkpoint.size} has another root than the ledger: it was rewritten"
            )


def _has_root(tx: Transaction, checkpoint: Checkpoint) -> bool:
    try:
        return root(tile_reader(tx.tile, checkpoint.size, TileCache()), checkpoint.size) == checkpoint.root
    except ValueError:
        return False
