"""Merkle hashes in the tiles of C2SP tlog-tiles: 256 hashes of one level, inner levels rebuilt."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from assay.ledger.tlog.merkle import HASH_SIZE, Frontier, Node, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_SIZE
MIDDLE = TILE_HEIGHT // 2
"""The level within a tile whose hashes may be kept beside it, so that a proof needs few of the 255 hashes inside."""

Fetch = Callable[[int, int], bytes]
"""``fetch(level, number)``: the stored bytes of a tile, at least as wide as asked for, or ``b""``.

A full tile may be followed by the 16 roots of its 16-leaf subtrees."""


class Tile:
    """The hashes of a tile and, made when they are asked for, those of the levels within it."""

    __slots__ = ("_known", "_levels")

    def __init__(self, hashes: bytes, middle: bytes) -> None:
        self._levels = {0: hashes, MIDDLE: middle} if middle else {0: hashes}
        self._known: dict[tuple[int, int], bytes] = {}

    def hash(self, height: int, at: int) -> bytes:
        """Return the root of the complete subtree ``at`` of 2^height of the tile's hashes; 0 <= height < 8."""
        if level := self._levels.get(height):
            return level[at * HASH_SIZE : (at + 1) * HASH_SIZE]
        found = self._known.get((height, at))
        if found is None:
            found = node_hash(self.hash(height - 1, 2 * at), self.hash(height - 1, 2 * at + 1))
            self._known[height, at] = found
        return found


class TileCache:
    """The most recently used tiles of one log, 32 KiB a tile at most.

    Those of level 0 and those above are kept apart: each proof reads another tile of level 0, and would push out
    the few upper ones that all proofs share.
    """

    def __init__(self, lowest: int = 256, upper: int = 1024) -> None:
        self._limits = lowest, upper
        self._held: tuple[OrderedDict[tuple[int, int, int], Tile], ...] = OrderedDict(), OrderedDict()

    def get(self, key: tuple[int, int, int]) -> Tile | None:
        """Return the tile (level, number, width), marking it as used."""
        held = self._held[key[0] > 0]
        found = held.get(key)
        if found is not None:
            held.move_to_end(key)
        return found

    def put(self, key: tuple[int, int, int], tile: Tile) -> None:
        """Keep a tile, dropping the one unused for longest."""
        held, limit = self._held[key[0] > 0], self._limits[key[0] > 0]
        held[key] = tile
        while len(held) > limit:
            held.popitem(last=False)


def width_at(size: int, level: int, number: int) -> int:
    """Return how many hashes tile ``number`` of ``level`` has in a tree of ``size`` leaves (0..256)."""
    return max(0, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - number * TILE_WIDTH))


def subtree_roots(hashes: bytes) -> list[bytes]:
    """Return a tile's hashes level by level, each concatenated: the tile itself, then the roots above its pairs.

    What has no right neighbour is left out. Pairs of hashes lie side by side, so that they are hashed as they are.
    """
    levels = [hashes]
    sha256 = hashlib.sha256
    while len(hashes) >= 2 * HASH_SIZE:
        stop = len(hashes) - 2 * HASH_SIZE + 1
        pairs = range(0, stop, 2 * HASH_SIZE)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 2 * HASH_SIZE]).digest() for at in pairs])
        levels.append(hashes)
    return levels


def tile_reader(fetch: Fetch, size: int, cache: TileCache) -> Node:
    """Return the Node function of the first ``size`` leaves.

    It raises ValueError where a tile is missing or too short. A tile's width is part of its name in the
    cache: in an append-only log the hashes under one name never change.
    """

    def tile(level: int, number: int) -> Tile:
        width = width_at(size, level, number)
        key = (level, number, width)
        found = cache.get(key)
        if found is None:
            data = fetch(level, number)
            if len(data) < width * HASH_SIZE or not width:
                raise ValueError(f"tile {level}/{number} is missing or too short")
            whole = width == TILE_WIDTH and len(data) == TILE_BYTES + (TILE_BYTES >> MIDDLE)
            found = Tile(data[: width * HASH_SIZE], data[TILE_BYTES:] if whole else b"")
            cache.put(key, found)
        return found

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        number, at = divmod(index, TILE_WIDTH >> height)
        return tile(tile_level, number).hash(height, at)

    return node


@dataclass(frozen=True, slots=True)
class Changed:
    """What an append changed of a tiled tree.

    ``tiles`` by (level, number): full ones, and the rightmost of each level but the lowest. ``replaced`` names
    those of them that were stored before, narrower. ``tail`` are (index, leaf hash) that joined the last, not yet
    full tile of level 0, which is kept as rows so that an append of one leaf does not write 8 KiB; ``sealed`` says
    that the rows stored before have gone into a full tile.
    """

    tiles: dict[tuple[int, int], bytes]
    replaced: set[tuple[int, int]]
    tail: list[tuple[int, bytes]]
    sealed: bool


class Edge:
    """The right edge of a tiled tree: takes leaf hashes, gives back what they change.

    Born from the tiles of a tree of ``size`` leaves; ``frontier`` has the tree's size and root.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self.frontier = Frontier.load(tile_reader(fetch, size, TileCache()), size)
        self._open: dict[int, bytearray] = {}
        self._full: dict[tuple[int, int], bytes] = {}
        self._touched: set[int] = set()
        level = 0
        while size >> TILE_HEIGHT * level:
            number, width = divmod(size >> TILE_HEIGHT * level, TILE_WIDTH)
            if width:
                self._open[level] = bytearray(fetch(level, number)[: width * HASH_SIZE])
            level += 1
        self._stored = self._partial_names()
        self._tail_to = size

    def _partial_names(self) -> set[tuple[int, int]]:
        return {(level, self.frontier.size >> TILE_HEIGHT * (level + 1)) for level in self._open if level}

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        index = self.frontier.size
        for level, done in enumerate(self.frontier.append(leaf)[::TILE_HEIGHT]):
            tile = self._open.setdefault(level, bytearray())
            tile += done
            self._touched.add(level)
            if len(tile) == TILE_BYTES:
                self._full[level, index >> TILE_HEIGHT * (level + 1)] = bytes(self._open.pop(level))

    def take(self) -> Changed:
        """Return what changed since the last call."""
        tiles = dict(self._full)
        for level, number in self._partial_names():
            if level in self._touched:
                tiles[level, number] = bytes(self._open[level])
        replaced = self._stored & tiles.keys()
        size = self.frontier.size
        base = size - size % TILE_WIDTH
        last = self._open.get(0, b"")
        tail = [
            (index, bytes(last[(index - base) * HASH_SIZE : (index - base + 1) * HASH_SIZE]))
            for index in range(max(base, self._tail_to), size)
        ]
        changed = Changed(tiles, replaced, tail, sealed=base > self._tail_to - self._tail_to % TILE_WIDTH)
        self._full, self._touched, self._stored, self._tail_to = {}, set(), self._partial_names(), size
        return changed
