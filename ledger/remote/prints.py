"""All fingerprints of a ledger elsewhere, fetched once and searched here, so that nobody learns what is looked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from assay.ledger.likeness.bands import DISTANCES
from assay.ledger.remote.wire import FINGERPRINT_BYTES
from assay.provenance.errors import LedgerError
from assay.provenance.files.atomic import atomic_output

Page = tuple[list[tuple[int, str, bytes]], int, bool]

MAX_PAGES = 5_000
"""Most answers taken in one go: a hundred million fingerprints."""
_MAGIC = b"assay.prints/1\n"
_ROW = np.dtype([("index", ">u8"), ("value", "u1", (FINGERPRINT_BYTES,))])
_BITS = np.array([bin(n).count("1") for n in range(256)], dtype=np.uint8)


class Prints:
    """The fingerprints of one algorithm, in a file beside what else is known of the ledger.

    The file can be removed at any time. An entry's record that was erased at the ledger leads to nothing: what is
    found here is held against the entry.
    """

    def __init__(self, file: Path, alg: str) -> None:
        self._file, self._alg = file, alg
        self._lock = threading.Lock()
        self._rows: np.ndarray | None = None
        self._next = 0

    def near(self, value: bytes, ask: Callable[[int], Page | None]) -> list[tuple[int, int]]:
        """Return (distance, index) of all fingerprints within ``DISTANCES``, nearest first, then oldest.

        ``ask(start)`` fetches what was added since; None where the ledger gives none out.
        """
        if self._alg not in DISTANCES or len(value) != FINGERPRINT_BYTES:
            return []
        with self._lock:
            rows = self._synced(ask)
        if rows is None:
            return []
        distances = _BITS[rows["value"] ^ np.frombuffer(value, np.uint8)].sum(axis=1, dtype=np.int64)
        near = np.flatnonzero(distances <= DISTANCES[self._alg])
        return sorted((int(distances[at]), int(rows["index"][at])) for at in near)

    def _synced(self, ask: Callable[[int], Page | None]) -> np.ndarray | None:
        if self._rows is None:
            self._rows, self._next = self._load()
        parts, more, pages = [self._rows], True, 0
        began = self._next
        while more and pages < MAX_PAGES:
            page = ask(self._next)
            if page is None:
                return None
            rows, self._next, more = page
            parts.append(
                np.array(
                    [
                        (index, np.frombuffer(value, np.uint8))
                        for index, alg, value in rows
                        if alg == self._alg
                    ],
                    dtype=_ROW,
                )
            )
            pages += 1
        if self._next != began:
            self._rows = np.concatenate(parts).astype(
                _ROW
            )  # joining would leave the file to the machine's byte order
            self._save()
        return self._rows

    def _load(self) -> tuple[np.ndarray, int]:
        nothing = np.empty(0, dtype=_ROW), 0
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return nothing
        except OSError as error:
            raise LedgerError(f"cannot be read: {error.strerror}", path=self._file) from error
        head, body = data[: len(_MAGIC) + 8], data[len(_MAGIC) + 8 :]
        if len(head) != len(_MAGIC) + 8 or not head.startswith(_MAGIC) or len(body) % _ROW.itemsize:
            return nothing  # of another version, or broken: fetched again
        return np.frombuffer(body, dtype=_ROW), int.from_bytes(head[len(_MAGIC) :], "big")

    def _save(self) -> None:
        assert self._rows is not None
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(self._file, overwrite=True) as stream:
            stream.write(_MAGIC + self._next.to_bytes(8, "big") + self._rows.tobytes())
