"""Near look-up in large ledgers: the bands of all fingerprints in sorted tables, mapped into memory from a file.

It answers what the bands in SQL answer (likeness/bands.py), only faster, and is never believed: what it
names is compared with what the ledger keeps. The file is a cache that can be made again at any time.
Format: docs/formats/sketch.md; why not faiss: docs/adr/0009.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assay.ledger.likeness.bands import BAND_BITS, BANDS, DISTANCES, FINGERPRINT_BYTES, FLIPS
from assay.provenance.files.atomic import atomic_output

TYPE = "assay.near/v1"
HEADER_BYTES = 4096
"""Where the tables begin: after a JSON object that is filled up with spaces."""
MAX_COUNT = 1 << 31
"""Most fingerprints in one index."""

_STARTS = (BANDS, (1 << BAND_BITS) + 1)
_WORDS = FINGERPRINT_BYTES // 8
_HASHED_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class Covered:
    """What an index is an index of: the first ``size`` entries of a log, by their Merkle ``root`` in hexadecimal."""

    alg: str
    origin: str
    size: int
    root: str


class HammingIndex:
    """Fingerprints of 32 bytes by entry index, with each band's values sorted; exact within their algorithm's distance.

    ``indices`` int64 (n,); ``values`` little-endian uint64 (n, 4); ``order`` uint32 (16, n): positions by band
    value; ``starts`` uint32 (16, 65,537): where each band value's positions begin. May be shared by threads.
    """

    def __init__(
        self,
        covered: Covered,
        indices: NDArray[np.int64],
        values: NDArray[np.uint64],
        starts: NDArray[np.uint32],
        order: NDArray[np.uint32],
    ) -> None:
        self.covered = covered
        self._indices, self._values, self._starts, self._order = indices, values, starts, order

    def __len__(self) -> int:
        return len(self._indices)

    @classmethod
    def build(cls, covered: Covered, pairs: Iterable[tuple[int, bytes]]) -> Self:
        """Make an index of (entry index, 32-byte value) pairs; raises ValueError for a value of other length."""
        indices, joined = array("q"), bytearray()
        for index, value in pairs:
            if len(value) != FINGERPRINT_BYTES:
                raise ValueError(f"a fingerprint of {len(value)} bytes")
            indices.append(index)
            joined += value
        if len(indices) >= MAX_COUNT:
            raise ValueError(f"more than {MAX_COUNT} fingerprints")
        count = len(indices)
        by_band = np.frombuffer(joined, dtype=">u2").reshape(count, BANDS)
        starts, order = np.zeros(_STARTS, "<u4"), np.empty((BANDS, count), "<u4")
        for band in range(BANDS):
            column = np.ascontiguousarray(by_band[:, band]).astype(np.uint16)
            order[band] = np.argsort(column, kind="stable")
            starts[band, 1:] = np.bincount(column, minlength=1 << BAND_BITS).cumsum()
        values = np.frombuffer(joined, dtype="<u8").reshape(count, _WORDS)
        return cls(covered, np.frombuffer(indices, dtype="<i8"), values, starts, order)

    def near(self, value: bytes) -> list[int]:
        """Return the entry indices of all values within their algorithm's distance, ascending."""
        count = len(self._indices)
        if len(value) != FINGERPRINT_BYTES or not count:
            return []
        flips = FLIPS[self.covered.alg]
        bands = np.frombuffer(value, dtype=">u2").astype(np.intp)
        probed = bands[:, None] ^ np.array(flips, dtype=np.intp)
        band = np.arange(BANDS)[:, None]
        first = self._starts[band, probed].astype(np.intp).ravel()
        lengths = self._starts[band, probed + 1].astype(np.intp).ravel() - first
        first += np.repeat(np.arange(BANDS) * count, len(flips))
        # all probed stretches of the tables as one list of places, without a loop
        places = np.repeat(first - (lengths.cumsum() - lengths), lengths) + np.arange(lengths.sum())
        found = self._order.ravel()[places]
        differing = self._values[found] ^ np.frombuffer(value, dtype="<u8")
        close = np.bitwise_count(differing).sum(axis=1) <= DISTANCES[self.covered.alg]
        return [int(index) for index in np.unique(self._indices[found[close]])]

    # The file

    def save(self, path: Path) -> None:
        """Write the index to a file, replacing what is there; raises AssayError where it cannot."""
        parts = [np.ascontiguousarray(a).data.cast("B") for a in self._parts()]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        header = {"type": TYPE, **asdict(self.covered), "count": len(self), "sha256": digest.hexdigest()}
        with atomic_output(path, overwrite=True) as stream:
            os.fchmod(stream.fileno(), 0o600)  # as the ledger's own file: what it holds may not be public
            stream.write(json.dumps(header).encode().ljust(HEADER_BYTES))
            for part in parts:
                stream.write(part)

    def _parts(self) -> tuple[NDArray[np.generic], ...]:
        return (self._indices, self._values, self._starts, self._order)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Map an index from a file; None where there is none, or one that is damaged or of another version."""
        try:
            with path.open("rb") as stream:
                header = json.loads(stream.read(HEADER_BYTES))
                covered = Covered(*(header[name] for name in ("alg", "origin", "size", "root")))
                count = header["count"]
                if header["type"] != TYPE or not 0 < count < MAX_COUNT or not _plain(covered):
                    return None
                index = cls(covered, *_mapped(path, count))
                digest = hashlib.sha256()
                while block := stream.read(_HASHED_AT_ONCE):
                    digest.update(block)
                whole = digest.hexdigest() == header["sha256"] and index._sound()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return index if whole else None

    def _sound(self) -> bool:
        """Say whether the tables lead nowhere but into themselves."""
        starts, count = self._starts.astype(np.int64), len(self)
        rising = bool((np.diff(starts, axis=1) >= 0).all())
        return (
            rising and not starts[:, 0].any() and (starts[:, -1] == count).all() and self._order.max() < count
        )


def _plain(covered: Covered) -> bool:
    texts = (covered.alg, covered.origin, covered.root)
    known = all(isinstance(text, str) for text in texts) and covered.alg in DISTANCES
    return known and isinstance(covered.size, int)


def _mapped(
    path: Path, count: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint32], NDArray[np.uint32]]:
    """Map the tables of so many fingerprints; raises ValueError where the file is not exactly that long."""
    shapes = ((count,), (count, _WORDS), _STARTS, (BANDS, count))
    sizes = [int(np.prod(shape)) * width for shape, width in zip(shapes, (8, 8, 4, 4), strict=True)]
    if path.stat().st_size != HEADER_BYTES + sum(sizes):
        raise ValueError("not as long as its header says")
    body = np.memmap(path, dtype=np.uint8, mode="r", offset=HEADER_BYTES)
    ends = np.cumsum(sizes)
    one, two, three, four = (body[end - size : end] for size, end in zip(sizes, ends, strict=True))
    return (
        one.view("<i8"),
        two.view("<u8").reshape(shapes[1]),
        three.view("<u4").reshape(shapes[2]),
        four.view("<u4").reshape(shapes[3]),
    )
