"""What a witness must never forget: the last checkpoint it cosigned of each log. Format: docs/formats/witness.md."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.ledger.tlog.merkle import EMPTY_ROOT
from assay.provenance.errors import LedgerError

VERSION = 1
BUSY_SECONDS = 10.0
"""How long one writer waits for another."""
_SCHEMA = """
CREATE TABLE witnessed (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    note TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER witnessed_never_shrinks BEFORE UPDATE ON witnessed
    WHEN NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root)
    BEGIN SELECT RAISE(ABORT, 'a witness never goes back'); END;
CREATE TRIGGER witnessed_never_forgets BEFORE DELETE ON witnessed
    BEGIN SELECT RAISE(ABORT, 'a witness never forgets'); END;
"""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The last cosigned checkpoint of a log: ``size``, ``root`` (32 bytes), and the cosigned ``note``.

    Before the first one the size is 0, the root the empty tree's and the note empty.
    """

    size: int = 0
    root: bytes = EMPTY_ROOT
    note: str = ""


class Memory:
    """A SQLite file of one table; what ``update`` has stored is on the disk when it returns.

    Safe to share between threads, and between processes: whoever comes second sees what the first has stored.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path) -> Memory:
        """Make an empty memory; raises LedgerError where there is a file already."""
        if path.exists():
            raise LedgerError(
                "a witness's memory is already there", path=path, hint="it is never overwritten"
            )
        connection = _connect(path, "rwc")
        with _named(path):
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        return cls(path, connection)

    @classmethod
    def open(cls, path: Path) -> Memory:
        """Open a memory, and never make one: a witness that forgot could be led back. Raises LedgerError."""
        connection = _connect(path, "rw")
        try:
            with _named(path):
                version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                raise LedgerError(
                    f"a witness's memory of version {version} is unknown here",
                    path=path,
                    hint="use a newer Assay",
                )
        except LedgerError:
            connection.close()
            raise
        return cls(path, connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def last(self, origin: str) -> Witnessed:
        """Return the last cosigned checkpoint of a log; raises LedgerError."""
        with self._lock, _named(self._path):
            return self._last(origin)

    def update(self, origin: str, decide: Callable[[Witnessed], Witnessed | None]) -> Witnessed:
        """Show ``decide`` the last checkpoint of a log and store what it returns, if anything, in one transaction.

        No other checkpoint of the log is stored in between. Returns what was shown. An exception of ``decide``
        leaves the memory as it was; raises LedgerError where the file cannot be written.
        """
        with self._lock, _named(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                before = self._last(origin)
                after = decide(before)
                if after is not None:
                    self._connection.execute(
                        "INSERT INTO witnessed (origin, size, root, note) VALUES (?, ?, ?, ?) "
                        "ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, "
                        "note = excluded.note",
                        (origin, after.size, after.root, after.note),
                    )
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
        return before

    def _last(self, origin: str) -> Witnessed:
        query = "SELECT size, root, note FROM witnessed WHERE origin = ?"
        row = self._connection.execute(query, (origin,)).fetchone()
        return Witnessed(*row) if row else Witnessed()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    with _named(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            # EXTRA: also the folder is flushed, so that a power cut brings no rolled-back journal to life again.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
        except sqlite3.Error:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(
            f"the witness's memory cannot be used: {error}", path=path, hint="nothing was cosigned"
        ) from error
