"""One stretch of a ledger derived again: leaf hashes from bytes, tiles from leaf hashes, look-up keys from entries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from assay.ledger.lookup import leaf_keys, runs, stored, usual_names
from assay.ledger.store.transaction import Transaction
from assay.ledger.tlog.merkle import HASH_SIZE
from assay.ledger.tlog.tiles import MIDDLE, TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, subtree_roots
from assay.provenance.errors import AssayError
from assay.provenance.leaf import read_leaf

SPAN = 1 << 2 * TILE_HEIGHT
"""Leaves under one tile of level 1: where a stretch begins."""
_TOP_BIT = np.uint64(1 << 63)  # keys are stored as signed numbers, in the same order
MAX_PROBLEMS = 100
"""Most problems listed one by one; the last line says how many more there are."""

Numbers = npt.NDArray[np.uint64]
Subtrees = list[tuple[int, bytes]]
"""Complete subtrees from left to right, each as (level, root)."""


class Problems(list[str]):
    """A list that stays bounded however broken the ledger is."""

    more = 0

    def add(self, line: str) -> None:
        """Add a line, or count it where there are enough."""
        if len(self) < MAX_PROBLEMS:
            self.append(line)
        else:
            self.more += 1

    def take(self, others: Problems) -> None:
        """Add what another list holds."""
        for line in others:
            self.add(line)
        self.more += others.more


@dataclass(frozen=True, slots=True)
class KeySum:
    """A sum over (key, index) rows that does not depend on their order; its seed is new for each audit.

    Whoever changes rows without knowing the seed changes the sum but for one chance in 2^64.
    """

    count: int = 0
    total: int = 0

    @classmethod
    def of(cls, rows: list[tuple[int, int]], seed: int) -> KeySum:
        """Sum rows of (stored key, index)."""
        table = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=2 * len(rows)).view(np.uint64)
        return cls.mixed(table[::2], table[1::2], seed)

    @classmethod
    def mixed(cls, keys: Numbers, indices: Numbers, seed: int) -> KeySum:
        """Sum stored keys and indices, uint64 arrays of one length."""
        mixed = (keys ^ np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29)) ^ indices) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(32)) ^ np.uint64(seed)) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(29)
        return cls(len(keys), int(mixed.sum()))

    def __add__(self, other: KeySum) -> KeySum:
        return KeySum(self.count + other.count, (self.total + other.total) % (1 << 64))


@dataclass(slots=True)
class Stretch:
    """What a stretch of entries came to.

    ``rows`` are its subtrees as the entries' bytes give them, ``tiles`` as the stored leaf hashes do. ``unlike`` are
    the entries in which the two differ: (index, hash of the bytes, stored hash), hashes in hexadecimal. ``keys`` is
    the sum of the look-up keys that follow from the entries, ``kept`` that of those stored for them.
    """

    rows: Subtrees = field(default_factory=list)
    tiles: Subtrees = field(default_factory=list)
    unlike: list[tuple[int, str, str]] = field(default_factory=list)
    keys: KeySum = field(default_factory=KeySum)
    kept: KeySum = field(default_factory=KeySum)
    problems: Problems = field(default_factory=Problems)


def sweep(tx: Transaction, start: int, stop: int, seed: int | None) -> Stretch:
    """Derive the entries [start, stop) again; ``start`` and, but at the log's end, ``stop`` are multiples of SPAN.

    Without a seed look-up keys are left out, which take two thirds of the time.
    """
    found = Stretch()
    if seed is not None:
        found.kept = _sum_kept(tx, start, stop, seed)
    leaves = _tiles_of_leaves(tx, start, stop)
    for span in range(start, stop, SPAN):
        row_roots: Subtrees = []
        tile_roots: Subtrees = []
        end = min(stop, span + SPAN)
        for at in range(span, end, TILE_WIDTH):
            _one_tile(tx, at, min(end, at + TILE_WIDTH), next(leaves), found, row_roots, tile_roots, seed)
        _level_one(tx, span // SPAN, tile_roots, found.problems)
        found.rows += _joined(row_roots)
        found.tiles += found.rows[len(found.tiles) :] if row_roots == tile_roots else _joined(tile_roots)
    return found


def _tiles_of_leaves(tx: Transaction, start: int, stop: int) -> Iterator[list[tuple[int, bytes]]]:
    """Yield the stored leaves (index, bytes) of one tile after the other."""
    held: list[tuple[int, bytes]] = []
    end = start + TILE_WIDTH
    for rows in tx.leaf_pages(start, stop):
        if not held and rows[0][0] == end - TILE_WIDTH and rows[-1][0] == rows[0][0] + len(rows) - 1:
            whole = (
                len(rows) - len(rows) % TILE_WIDTH
            )  # no gaps, as it should be: cut without looking at each
            yield from (rows[at : at + TILE_WIDTH] for at in range(0, whole, TILE_WIDTH))
            rows, end = rows[whole:], end + whole
        for row in rows:
            while row[0] >= end:
                yield held
                held, end = [], end + TILE_WIDTH
            held.append(row)
    while end - TILE_WIDTH < stop:
        yield held
        held, end = [], end + TILE_WIDTH


def _one_tile(
    tx: Transaction, start: int, stop: int, leaves: list[tuple[int, bytes]], found: Stretch,
    row_roots: Subtrees, tile_roots: Subtrees, seed: int | None,
) -> None:  # fmt: skip
    """Compare one tile of entries with the hashes that the tree stores for it."""
    sha256 = hashlib.sha256
    size = (stop - start) * HASH_SIZE
    if len(leaves) < stop - start:
        own = _with_gaps(start, stop, dict(leaves), found.problems)
    else:
        own = b"".join([sha256(b"\x00" + data).digest() for _, data in leaves])
    kept, middle = _stored_tile(tx, start // TILE_WIDTH, size, found.problems)
    roots, right = _roots(kept)
    if middle and right and middle != right:  # a tile that was not full when the audit began may be by now
        found.problems.add(
            f"tile 0/{start // TILE_WIDTH}: the hashes kept of its middle do not follow from it"
        )
    tile_roots += roots
    row_roots += roots if own == kept else _roots(own)[0]
    if own != kept:
        pairs = ((own[at : at + HASH_SIZE], kept[at : at + HASH_SIZE]) for at in range(0, size, HASH_SIZE))
        unlike = [(start + at, a.hex(), b.hex()) for at, (a, b) in enumerate(pairs) if a != b]
        found.unlike += unlike[: max(0, MAX_PROBLEMS + 1 - len(found.unlike))]
    if seed is not None:
        found.keys += _keys(leaves, seed, found.problems)


def _stored_tile(tx: Transaction, number: int, size: int, problems: Problems) -> tuple[bytes, bytes]:
    """Return the stored leaf hashes, ``size`` bytes of them, and the hashes kept of the tile's middle."""
    stored_tile = tx.whole_tile(0, number)
    hashes = stored_tile[:TILE_BYTES]
    if _is_cut(hashes, size):
        problems.add(f"tile 0/{number} has {len(hashes)} bytes instead of {size}")
    return hashes[:size].ljust(size, b"\x00"), stored_tile[TILE_BYTES:]


def _is_cut(hashes: bytes, size: int) -> bool:
    """Say whether a tile is not as long as it must be; one that is not full may have grown since the audit began."""
    return len(hashes) < size or (size == TILE_BYTES and len(hashes) != size)


def _with_gaps(start: int, stop: int, leaves: dict[int, bytes], problems: Problems) -> bytes:
    """Return leaf hashes with nothing in the place of missing entries: no root can come out right any more."""
    hashes = []
    for index in range(start, stop):
        data = leaves.get(index)
        if data is None:
            problems.add(f"entry {index} is missing")
        hashes.append(bytes(HASH_SIZE) if data is None else hashlib.sha256(b"\x00" + data).digest())
    return b"".join(hashes)


def _keys(leaves: list[tuple[int, bytes]], seed: int, problems: Problems) -> KeySum:
    """Sum the look-up keys that follow from leaves."""
    sha256 = hashlib.sha256
    hashes: list[bytes] = []
    indices: list[int] = []
    others = KeySum()
    for index, data in leaves:
        names = usual_names(data)
        if names is None:
            others += _parsed_keys(index, data, seed, problems)
            continue
        for name in names:
            hashes.append(sha256(name).digest())
            indices.append(index)
    keys = np.frombuffer(b"".join(hashes), dtype=">u8")[:: HASH_SIZE // 8].astype(np.uint64)
    return others + KeySum.mixed(keys ^ _TOP_BIT, np.array(indices, dtype=np.uint64), seed)


def _parsed_keys(index: int, data: bytes, seed: int, problems: Problems) -> KeySum:
    try:
        keys = leaf_keys(read_leaf(data))
    except AssayError as error:
        problems.add(f"entry {index} cannot be read: {error.message}")
        return KeySum()
    return KeySum.of([(key, index) for key in set(stored(keys))], seed)


def _sum_kept(tx: Transaction, start: int, stop: int, seed: int) -> KeySum:
    """Sum the stored keys of the entries [start, stop), where a look-up would find them.

    The log may have grown since the audit began: its runs are those of its present size, and the keys of later
    entries are left out.
    """
    found = KeySum()
    for run in runs(start, stop, tx.head().size):
        for rows in tx.keys(run, stop):
            found += KeySum.of(rows, seed)
    return found


def _roots(hashes: bytes) -> tuple[Subtrees, bytes]:
    """Return a full tile as one subtree of level 8, any other as its leaves; and a full tile's middle level."""
    if len(hashes) == TILE_BYTES:
        levels = subtree_roots(hashes)
        return [(TILE_HEIGHT, levels[-1])], levels[MIDDLE]
    return [(0, hashes[at : at + HASH_SIZE]) for at in range(0, len(hashes), HASH_SIZE)], b""


def _joined(roots: Subtrees) -> Subtrees:
    """Return the subtrees under one full tile of level 1 as one of level 16, any others as they are."""
    if len(roots) == TILE_WIDTH and roots[-1][0] == TILE_HEIGHT:
        return [(2 * TILE_HEIGHT, subtree_roots(b"".join(root for _, root in roots))[-1])]
    return roots


def _level_one(tx: Transaction, number: int, below: Subtrees, problems: Problems) -> None:
    compare_tile(tx, 1, number, b"".join(root for level, root in below if level), problems)


def compare_tile(tx: Transaction, level: int, number: int, derived: bytes, problems: Problems) -> None:
    """Compare a stored tile with the hashes that follow from the tiles below it."""
    if not derived:
        return
    stored_hashes = tx.tile(level, number)
    if _is_cut(stored_hashes, len(derived)):
        problems.add(f"tile {level}/{number} has {len(stored_hashes)} bytes instead of {len(derived)}")
        return
    for at in range(0, len(derived), HASH_SIZE):
        if stored_hashes[at : at + HASH_SIZE] != derived[at : at + HASH_SIZE]:
            problems.add(
                f"tile {level}/{number}: hash {at // HASH_SIZE} does not follow from the tile below it"
            )
            return
