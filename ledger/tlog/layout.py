"""Names and bytes of the static resources of C2SP tlog-tiles v0.1.0: tiles, entry bundles, their paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assay.ledger.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, width_at
from assay.provenance.errors import MalformedError

ENTRIES = -1
"""Stands for a level in the name of an entry bundle."""
MAX_LEVEL = 63
MAX_LEAF_BYTES = 0xFFFF
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_LEAF_BYTES)
CHECKPOINT = "checkpoint"

_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """A tile (``level`` 0..63) or an entry bundle (``ENTRIES``): its number and width (1..256).

    The name of a partial one, of a width below 256, is another than that of the full one.
    """

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Where it lies under the log's prefix, as in ``tile/0/x001/x234/067.p/8``."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{level}/{_digits(self.number)}{partial}"

    @property
    def full(self) -> Resource:
        """The same at its full width."""
        return Resource(self.level, self.number, TILE_WIDTH)

    @classmethod
    def parse(cls, path: str) -> Resource:
        """Read a path, in its one spelling; raises MalformedError."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise MalformedError("not the path of a tile")
        level, upper, last, width = match.groups()
        number = int(upper.replace("x", "").replace("/", "") + last)
        found = cls(
            ENTRIES if level == "entries" else int(level), number, int(width) if width else TILE_WIDTH
        )
        if found.level > MAX_LEVEL or found.path != path:
            raise MalformedError("not the path of a tile")
        return found


def _digits(number: int) -> str:
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups)


def resources(size: int, since: int = 0) -> Iterator[Resource]:
    """Iterate over what a tree of ``size`` leaves has and one of ``since`` leaves had not: bundles, then tiles.

    Every tile stands after those that it is made of. Raises ValueError unless 0 <= since <= size.
    """
    if not 0 <= since <= size:
        raise ValueError(f"a tree of {size} leaves has no earlier tree of {since}")
    for level in (ENTRIES, *range(MAX_LEVEL + 1)):
        shift = TILE_HEIGHT * max(level, 0)
        old, new = since >> shift, size >> shift
        if old == new:
            return
        for number in range(old // TILE_WIDTH, (new + TILE_WIDTH - 1) // TILE_WIDTH):
            yield Resource(level, number, width_at(size, max(level, 0), number))


def pack(leaves: Sequence[bytes]) -> bytes:
    """Return an entry bundle: each leaf after its length in 16 bits, big-endian. Raises ValueError over 65,535."""
    parts = []
    for leaf in leaves:
        if len(leaf) > MAX_LEAF_BYTES:
            raise ValueError(f"a leaf of {len(leaf)} bytes has no place in an entry bundle")
        parts += [len(leaf).to_bytes(2, "big"), leaf]
    return b"".join(parts)


def unpack(bundle: bytes, width: int) -> list[bytes]:
    """Return the first ``width`` leaves of an entry bundle; raises MalformedError where it has fewer."""
    leaves = []
    at = 0
    for _ in range(width):
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if start > len(bundle) or at > len(bundle):
            raise MalformedError(f"the entry bundle ends before its {width} entries do")
        leaves.append(bundle[start:at])
    return leaves
