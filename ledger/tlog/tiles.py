"""Merkle hashes in the tiles of C2SP tlog-tiles: 256 hashes of one level, inner levels rebuilt."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from assay.ledger.tlog.merkle import HASH_SIZE, Frontier, Node, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

Fetch = Callable[[int, int], bytes]
"""``fetch(level, number)``: the stored bytes of a tile, at least as wide as asked for, or ``b""``."""


class TileCache:
    """The most recently used tiles of one log with their inner levels; 16 KiB of hashes a tile at most."""

    def __init__(self, tiles: int = 256) -> None:
        self._limit = tiles
        self._held: OrderedDict[tuple[int, int, int], list[list[bytes]]] = OrderedDict()

    def get(self, key: tuple[int, int, int]) -> list[list[bytes]] | None:
        """Return the expanded tile (level, number, width), marking it as used."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: tuple[int, int, int], levels: list[list[bytes]]) -> None:
        """Keep an expanded tile, dropping the one unused for longest."""
        self._held[key] = levels
        while len(self._held) > self._limit:
            self._held.popitem(last=False)


def width_at(size: int, level: int, number: int) -> int:
    """Return how many hashes tile ``number`` of ``level`` has in a tree of ``size`` leaves (0..256)."""
    return max(0, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - number * TILE_WIDTH))


def tile_reader(fetch: Fetch, size: int, cache: TileCache) -> Node:
    """Return the Node function of the first ``size`` leaves.

    It raises ValueError where a tile is missing or too short. A tile's width is part of its name in the
    cache: in an append-only log the hashes under one name never change.
    """

    def expanded(level: int, number: int) -> list[list[bytes]]:
        width = width_at(size, level, number)
        key = (level, number, width)
        levels = cache.get(key)
        if levels is None:
            data = fetch(level, number)
            if len(data) < width * HASH_SIZE or not width:
                raise ValueError(f"tile {level}/{number} is missing or too short")
            row = [data[at : at + HASH_SIZE] for at in range(0, width * HASH_SIZE, HASH_SIZE)]
            levels = [row]
            while len(row) > 1:
                row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
                levels.append(row)
            cache.put(key, levels)
        return levels

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        number, at = divmod(index, TILE_WIDTH >> height)
        return expanded(tile_level, number)[height][at]

    return node


class Edge:
    """The right edge of a tiled tree: takes leaf hashes, gives back the tiles that they change.

    Born from the stored tiles of a tree of ``size`` leaves; ``frontier`` has the tree's size and root.
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
        self._stored = self._open_names()

    def _open_names(self) -> set[tuple[int, int]]:
        return {(level, self.frontier.size >> TILE_HEIGHT * (level + 1)) for level in self._open}

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        index = self.frontier.size
        for level, done in enumerate(self.frontier.append(leaf)[::TILE_HEIGHT]):
            tile = self._open.setdefault(level, bytearray())
            tile += done
            self._touched.add(level)
            if len(tile) == TILE_WIDTH * HASH_SIZE:
                self._full[level, index >> TILE_HEIGHT * (level + 1)] = bytes(self._open.pop(level))

    def take(self) -> tuple[dict[tuple[int, int], bytes], set[tuple[int, int]]]:
        """Return the tiles changed since the last call, and which of them are stored already, narrower."""
        changed = dict(self._full)
        for level, number in self._open_names():
            if level in self._touched:
                changed[level, number] = bytes(self._open[level])
        replaced = self._stored & changed.keys()
        self._full, self._touched, self._stored = {}, set(), self._open_names()
        return changed, replaced
