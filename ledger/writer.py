"""Group commit: whoever appends at the same time shares a transaction, a checkpoint and an fsync."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from assay.ledger.appender import Prepared
from assay.provenance.errors import AssayError, LedgerError
from assay.provenance.receipt import Receipt

GROUP = 256
"""Most entries committed together."""
WAITING = 8192
"""Most entries that wait to be committed; whoever submits one more waits for room."""


class Pending:
    """An entry on its way into the log."""

    __slots__ = ("_index", "_receipt")

    def __init__(self, index: Future[int], receipt: Callable[[int], Receipt]) -> None:
        self._index = index
        self._receipt = receipt

    def index(self, timeout: float | None = None) -> int:
        """Wait until the entry is durable and return its index.

        Raises LedgerError where it could not be appended, and after ``timeout`` seconds, when it may yet be.
        """
        try:
            return self._index.result(timeout)
        except FutureTimeoutError as error:
            raise LedgerError(f"the entry is not durable after {timeout} s", hint="wait longer") from error

    def receipt(self, timeout: float | None = None) -> Receipt:
        """Wait like ``index`` and return the entry's receipt against the log's head."""
        return self._receipt(self.index(timeout))


class Writer:
    """A thread that commits what was submitted, in order, as much at once as waits.

    ``commit`` appends items durably and returns their indices. Nothing is delayed to fill a group: a group is
    what came in while the one before it was written.
    """

    def __init__(
        self, commit: Callable[[Sequence[Prepared]], range], receipt: Callable[[int], Receipt]
    ) -> None:
        self._commit, self._receipt = commit, receipt
        self._queue: queue.Queue[tuple[Prepared, Future[int]] | None] = queue.Queue(WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, item: Prepared) -> Pending:
        """Queue one item; raises LedgerError after ``close``, and in a process forked from the one that opened it."""
        future: Future[int] = Future()
        with self._lock:
            if self._closed:
                raise LedgerError("the ledger is closed", hint="open it again")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="assay-ledger-writer", daemon=True)
                self._thread.start()
            if not self._thread.is_alive():  # no thread survives a fork; waiting for it would never end
                raise LedgerError("the ledger was opened in another process", hint="open it in each process")
            self._queue.put((item, future))
        return Pending(future, self._receipt)

    def close(self) -> None:
        """Commit what waits, then stop."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _group(self) -> tuple[list[tuple[Prepared, Future[int]]], bool]:
        """Wait for one item, then take what else is there; also say whether to go on."""
        group = []
        found = self._queue.get()
        while found is not None:
            group.append(found)
            if len(group) == GROUP:
                return group, True
            try:
                found = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._group()
            if not group:
                continue
            try:
                indices = self._commit([item for item, _ in group])
            except AssayError as error:
                for _, future in group:
                    future.set_exception(error)
            except Exception as error:  # a fault of ours must not leave anyone waiting for ever
                for _, future in group:
                    future.set_exception(LedgerError(f"the append failed: {type(error).__name__}: {error}"))
            else:
                for index, (_, future) in zip(indices, group, strict=True):
                    future.set_result(index)
