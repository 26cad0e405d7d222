"""The audit of a ledger: derive everything again from the entries' bytes, and name what does not fit."""

from __future__ import annotations

from collections.abc import Sequence

from assay.ledger.likeness.bands import bands
from assay.ledger.tlog.merkle import HASH_SIZE, Frontier, leaf_hash, node_hash
from assay.ledger.tlog.note import Checkpoint
from assay.ledger.store import EntryRow, Head, Transaction
from assay.ledger.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, width_at
from assay.provenance.entry import Entry
from assay.provenance.errors import AssayError

MAX_PROBLEMS = 100
"""Most problems listed one by one; the last line says how many more there are."""


class _Problems(list[str]):
    """A list that stays bounded however broken the ledger is."""

    more = 0

    def add(self, line: str) -> None:
        if len(self) < MAX_PROBLEMS:
            self.append(line)
        else:
            self.more += 1


def audit(tx: Transaction, origin: str, vkeys: Sequence[str]) -> list[str]:
    """Return all that is wrong with the ledger seen by a transaction, in words; [] if nothing is.

    Reads entries and recovery records once and each tile twice; keeps O(log n) hashes in memory.
    """
    problems = _Problems()
    for line in tx.damage():
        problems.add(f"the database finds itself damaged: {line}")
    head = tx.head()
    _check_head(head, origin, vkeys, problems)
    _check_entries(tx, head, problems)
    _check_tiles(tx, head.size, problems)
    _check_recoveries(tx, problems)
    if problems.more:
        problems.append(f"… and {problems.more} more")
    return list(problems)


def _check_head(head: Head, origin: str, vkeys: Sequence[str], problems: _Problems) -> None:
    try:
        checkpoint = Checkpoint.open(head.note, vkeys)
    except AssayError as error:
        problems.add(f"the head's signature does not verify: {error.message}")
        return
    if checkpoint.origin != origin:
        problems.add(f"the head is signed for the ledger {checkpoint.origin}, not {origin}")
    if (checkpoint.size, checkpoint.root) != (head.size, head.root):
        problems.add("the head's columns were changed: they differ from its signed checkpoint")


class _LeafTiles:
    """The leaf hashes that the tree stores, read in order, one tile at a time."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._number = -1
        self._hashes = b""

    def hash(self, index: int) -> bytes:
        number, at = divmod(index, TILE_WIDTH)
        if number != self._number:
            self._number = number
            self._hashes = self._tx.tile(0, number)
        return self._hashes[at * HASH_SIZE : (at + 1) * HASH_SIZE]


def _check_entries(tx: Transaction, head: Head, problems: _Problems) -> None:
    """Compare entries with the tree's leaves, and both with the signed root, to say which was changed."""
    stored = _LeafTiles(tx)
    from_rows, from_tiles = Frontier(), Frontier()
    unlike: list[int] = []
    expected = 0
    for row in tx.entries(0, None):
        if row.idx >= head.size:
            problems.add(f"entry {row.idx} stands beyond the signed head of {head.size} entries")
            continue
        for missing in range(expected, row.idx):
            _missing(missing, from_rows, from_tiles, stored, problems)
        expected = row.idx + 1
        own, kept = leaf_hash(row.data), stored.hash(row.idx)
        from_rows.append(own)
        from_tiles.append(kept)
        if own != kept and len(unlike) <= MAX_PROBLEMS:
            unlike.append(row.idx)
        _check_columns(row, problems)
    for missing in range(expected, head.size):
        if problems.more > MAX_PROBLEMS:
            problems.add(f"entries {missing} to {head.size - 1} are missing")
            break
        _missing(missing, from_rows, from_tiles, stored, problems)
    rows_fit, tiles_fit = from_rows.root() == head.root, from_tiles.root() == head.root
    for index in unlike:
        if rows_fit:
            problems.add(
                f"tile 0/{index // TILE_WIDTH}: the hash of entry {index} was changed; the entry is sound"
            )
        elif tiles_fit:
            problems.add(
                f"entry {index} was changed: its bytes no longer have the hash that the signed head covers"
            )
        else:
            problems.add(f"entry {index} and its hash in the tree differ")
    if not rows_fit:
        problems.add("the root derived from the entries is not the signed root")


def _missing(
    index: int, from_rows: Frontier, from_tiles: Frontier, stored: _LeafTiles, problems: _Problems
) -> None:
    problems.add(f"entry {index} is missing")
    from_rows.append(b"")  # keeps the places of later entries; no root can come out right any more
    from_tiles.append(stored.hash(index))


def _check_columns(row: EntryRow, problems: _Problems) -> None:
    try:
        entry = Entry.from_bytes(row.data)
    except AssayError as error:
        problems.add(f"entry {row.idx} cannot be read: {error.message}")
        return
    right = EntryRow.of(row.idx, row.data, entry)
    for name in ("digest", "manifest_label", "mark_scheme", "mark_id"):
        if getattr(row, name) != getattr(right, name):
            problems.add(f"entry {row.idx}: its look-up column {name} was changed and differs from the entry")


def _check_tiles(tx: Transaction, size: int, problems: _Problems) -> None:
    """Check that every tile is there and full, and that upper hashes follow from lower tiles."""
    level = 0
    while size >> TILE_HEIGHT * level:
        for number in range(((size >> TILE_HEIGHT * level) + TILE_WIDTH - 1) // TILE_WIDTH):
            hashes, width = tx.tile(level, number), width_at(size, level, number)
            if len(hashes) != width * HASH_SIZE:
                problems.add(f"tile {level}/{number} has {len(hashes)} bytes instead of {width * HASH_SIZE}")
            elif level and (at := _first_wrong(tx, level, number, hashes)) is not None:
                problems.add(f"tile {level}/{number}: hash {at} does not follow from the tile below it")
        level += 1
    stored = sum(1 for tile in tx.tiles() if not width_at(size, tile[0], tile[1]))
    if stored:
        problems.add(f"{stored} tiles are stored that the signed tree does not have")


def _first_wrong(tx: Transaction, level: int, number: int, hashes: bytes) -> int | None:
    """Return which hash of an upper tile is not the root of the full tile below it."""
    for at in range(len(hashes) // HASH_SIZE):
        below = tx.tile(level - 1, number * TILE_WIDTH + at)
        row = [below[i : i + HASH_SIZE] for i in range(0, len(below), HASH_SIZE)]
        while len(row) > 1:
            row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        if not row or row[0] != hashes[at * HASH_SIZE : (at + 1) * HASH_SIZE]:
            return at
    return None


def _check_recoveries(tx: Transaction, problems: _Problems) -> None:
    """Compare what is kept beside the log with what the leaves commit to; an erased record is no problem."""
    keys = 0
    for index, recovery in tx.recoveries():
        leaf = tx.leaf(index)
        if leaf is None:
            problems.add(f"a recovery record stands for entry {index}, which does not exist")
            continue
        try:
            committed = Entry.from_bytes(leaf).recovery
        except AssayError:
            continue  # already reported with the entry
        if committed != recovery.digest:
            problems.add(f"the recovery record of entry {index} was changed: the entry names another digest")
        expected = bands(recovery.fingerprint.value) if recovery.fingerprint else []
        keys += len(expected)
        if expected and (found := tx.bands_of(index, expected)) != len(expected):
            problems.add(f"entry {index}: only {found} of {len(expected)} fingerprint bands lead to it")
    if (rows := tx.band_rows()) != keys and not problems:
        problems.add(f"{rows} fingerprint bands are stored, {keys} follow from the recovery records")
