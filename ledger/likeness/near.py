"""What lies near a fingerprint: by bands in the database, and in large ledgers by an index kept beside it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from assay.ledger.likeness import iscc
from assay.ledger.likeness.bands import DISTANCES, FINGERPRINT_BYTES, SPACES, bands, distance, probes
from assay.ledger.likeness.hamming import Covered, HammingIndex
from assay.provenance.entry import Fingerprint, Recovery
from assay.provenance.errors import AssayError, MalformedError

INDEXED_FROM = 200_000
"""Entries that are searched by bands alone; once there are so many more, the index is made, or made again."""


class Prints(Protocol):
    """The fingerprints of one view of a ledger, by entry index; none of an erased record."""

    def by_bands(self, alg: str, keys: Sequence[int], since: int) -> Iterable[tuple[int, bytes]]:
        """Return (index, value) of the entries from ``since`` on that are stored under one of the band keys."""
        ...

    def prints(self, alg: str) -> Iterable[tuple[int, bytes]]:
        """Iterate over (index, value) of all entries, ascending."""
        ...

    def prints_of(self, alg: str, indices: Sequence[int]) -> Iterable[tuple[int, bytes]]:
        """Return (index, value) of those of the entries that have one."""
        ...


def prints_of(recovery: Recovery) -> dict[str, bytes]:
    """Return what a recovery record is looked up near: 32-byte values by algorithm."""
    found = {}
    if recovery.fingerprint and recovery.fingerprint.alg in SPACES:
        found[recovery.fingerprint.alg] = recovery.fingerprint.value
    for alg, value in recovery.bindings:
        if alg == iscc.ALG:
            with contextlib.suppress(MalformedError):  # another's code may be of another length, or wrong
                found[alg] = iscc.read_code(value)[1]
    return {alg: value for alg, value in found.items() if len(value) == FINGERPRINT_BYTES}


def recovery_bands(recovery: Recovery) -> list[int]:
    """Return the band keys under which a recovery record is stored; they are erased with it."""
    return [key for alg, value in prints_of(recovery).items() for key in bands(value, alg)]


def is_near(recovery: Recovery, fingerprint: Fingerprint) -> bool:
    """Say whether a recovery record really is within ``DISTANCES`` of a fingerprint."""
    own = prints_of(recovery).get(fingerprint.alg)
    return own is not None and distance(own, fingerprint.value) <= DISTANCES[fingerprint.alg]


class NearSearch:
    """Near look-up in one ledger; safe to share between threads.

    ``file`` is the ledger's own, beside which the indexes are kept, one a space; None keeps them in memory.
    """

    def __init__(self, origin: str, file: Path | None, indexed_from: int = INDEXED_FROM) -> None:
        self._origin, self._file, self._indexed_from = origin, file, indexed_from
        self._indexes: dict[str, HammingIndex | None] = {}
        self._lock = threading.Lock()

    def find(
        self, prints: Prints, fingerprint: Fingerprint, size: int, root: Callable[[int], bytes]
    ) -> list[tuple[int, int]]:
        """Return (distance, index) of all entries within ``DISTANCES``, nearest first.

        ``prints`` is a view of a ledger of ``size`` entries; ``root`` gives the Merkle root of the first so many.
        """
        alg, value = fingerprint.alg, fingerprint.value
        keys = probes(value, alg)
        if not keys:
            return []
        index = self._index(prints, alg, size, root)
        since = index.covered.size if index else 0
        found = dict(prints.by_bands(alg, keys, since))
        if index and (candidates := index.near(value)):
            found |= dict(prints.prints_of(alg, candidates))
        near = ((distance(value, other), at) for at, other in found.items())
        return sorted(item for item in near if item[0] <= DISTANCES[alg])

    def forget(self) -> None:
        """Drop the indexes, in memory and on disk: something that they hold was erased."""
        with self._lock:
            self._indexes.clear()
            for alg in SPACES:
                if (path := self._path(alg)) is not None:
                    path.unlink(missing_ok=True)

    def _path(self, alg: str) -> Path | None:
        if self._file is None:
            return None
        return self._file.with_name(f"{self._file.name}.near-{SPACES[alg]}")

    def _index(
        self, prints: Prints, alg: str, size: int, root: Callable[[int], bytes]
    ) -> HammingIndex | None:
        """Return an index of this very ledger's first entries; None where bands alone will do."""
        if size < self._indexed_from:
            return None
        with self._lock:
            if alg not in self._indexes:
                self._indexes[alg] = self._loaded(alg, size, root)
            index = self._indexes[alg]
            if size - (index.covered.size if index else 0) >= self._indexed_from:
                covered = Covered(alg, self._origin, size, root(size).hex())
                index = self._indexes[alg] = HammingIndex.build(covered, prints.prints(alg))
                self._keep(index)
        # a view from before the index was made knows nothing of its last entries
        return index if index and index.covered.size <= size else None

    def _loaded(self, alg: str, size: int, root: Callable[[int], bytes]) -> HammingIndex | None:
        path = self._path(alg)
        index = HammingIndex.load(path) if path else None
        if index is None or (index.covered.alg, index.covered.origin) != (alg, self._origin):
            return None
        at = index.covered.size
        return index if 0 < at <= size and root(at).hex() == index.covered.root else None

    def _keep(self, index: HammingIndex) -> None:
        path = self._path(index.covered.alg)
        if path is None:
            return
        with contextlib.suppress(AssayError, OSError):  # a ledger that is only read works without the file
            index.save(path)
