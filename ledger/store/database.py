"""A ledger's database: making it, opening it, and running transactions; its faults in words.

SQLAlchemy and its drivers stay in this package; their exceptions leave it as LedgerError.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from assay.ledger.store.schema import REFUSAL, REVISION, SCHEMA, log_table, metadata, revision_table
from assay.ledger.store.transaction import MISSING_HINT, Head, Transaction
from assay.ledger.store.values import BROKEN_TEXT
from assay.provenance.errors import LedgerError
from assay.provenance.text import safe_text

BUSY_SECONDS = 30.0
"""How long a writer waits for another before it gives up."""
CACHE_KIB = 64 * 1024
"""Page cache of one SQLite connection."""
WAL_PAGES = 4000
"""Pages in SQLite's write-ahead log before they are moved into the database."""

_BUSY = ("the ledger is held by another process", "wait for it to finish, then try again")
_NO_ROOM = ("no room is left on the ledger's disk; nothing was appended", "free some space and retry")
_GONE = ("the ledger's database server went away", "check that it runs, then try again")
_SILENT = ("the ledger's database server does not answer", "check that it runs and the URL is right")
_DAMAGED = ("the ledger's file is damaged", "restore it from a copy, then run: assay ledger check")
_WORDS = (
    # what the drivers say, what we say, what to do
    ("locked", *_BUSY),
    ("busy", *_BUSY),
    ("lock timeout", *_BUSY),
    ("disk is full", *_NO_ROOM),
    ("No space left", *_NO_ROOM),
    ("SQLITE_IOERR_SHMSIZE", *_NO_ROOM),
    (
        "disk I/O error",
        "the ledger's disk failed to read or write",
        "check the disk, then run: assay ledger check",
    ),
    ("readonly", "the ledger cannot be written", "check the file's and its folder's permissions"),
    ("read-only", "the ledger cannot be written", "check the database's permissions"),
    ("not a database", "the file is not a ledger (not an SQLite database)", MISSING_HINT),
    ("malformed", *_DAMAGED),
    ("unable to open", "the ledger's file cannot be opened", "check that its folder exists and is writable"),
    ("no such table: log", "the database holds no ledger", MISSING_HINT),
    ("no such table", "the ledger's database lacks one of its tables", _DAMAGED[1]),
    ("no such column", "a table of the ledger's database is not as it was made", _DAMAGED[1]),
    ('relation "log" does not exist', "the database holds no ledger", MISSING_HINT),
    (REFUSAL, "ledger entries are never changed or removed", ""),
    ("entries.idx", "the ledger holds entries beyond its head", "assay ledger check names them"),
    ("entries_pkey", "the ledger holds entries beyond its head", "assay ledger check names them"),
    ("connection failed", *_SILENT),
    ("Connection refused", *_SILENT),
    ("connection is closed", *_GONE),
    ("server closed the connection", *_GONE),
    ("connection is lost", *_GONE),
    ("connection is bad", *_SILENT),
    ("terminating connection", *_GONE),
)


def _in_words(error: Exception) -> LedgerError:
    """Translate a database's exception."""
    cause = getattr(error, "orig", None) or error
    # SQLite's own name tells a full disk from a broken one where its sentence does not
    said = f"{cause} {getattr(cause, 'sqlite_errorname', '')}"
    for sign, message, hint in _WORDS:
        if sign in said:
            return LedgerError(message, hint=hint)
    if isinstance(error, ImportError):
        return LedgerError(
            f"the driver of this database is not installed: {safe_text(said, 120)}",
            hint="for PostgreSQL: pip install 'assay[postgres]'",
        )
    return LedgerError(
        f"the ledger's database failed: {safe_text(said, 300)}", hint="assay ledger check says what is stored"
    )


class Store:
    """A ledger's database; make one with ``create`` or ``open``, one a process, and ``close`` it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self.url = engine.url.render_as_string(hide_password=False)
        self._kept: sa.Connection | None = None
        self._closed = False
        self._process = os.getpid()
        driver = engine.dialect.dbapi
        self._faults: tuple[type[Exception], ...] = (exc.SQLAlchemyError, driver.Error) if driver else ()

    @classmethod
    def create(cls, url: str, head: Head, busy_seconds: float = BUSY_SECONDS) -> Store:
        """Make the tables and the first head; raises LedgerError where something is already there."""
        file = _sqlite_file(url)
        if file is not None:
            _claim(file)
        store = cls(_engine(url, busy_seconds))
        try:
            if file is not None:
                with store._translated(), store._engine.connect() as connection:
                    connection.connection.cursor().execute("PRAGMA journal_mode = WAL")
            store._fill(head)
        except BaseException:
            store.close()
            if file is not None:
                file.unlink(missing_ok=True)
            raise
        return store

    def _fill(self, head: Head) -> None:
        with self._translated(), self._connected(writing=True) as connection, connection.begin():
            if sa.inspect(connection).has_table(log_table.name):
                raise LedgerError("the database already holds a ledger; a ledger is never overwritten")
            metadata.create_all(connection)
            values = {name: getattr(head, name) for name in ("origin", "vkey", "size", "root", "note")}
            connection.execute(sa.insert(log_table).values(id=1, schema=SCHEMA, **values))
            connection.execute(sa.insert(revision_table).values(version_num=REVISION))

    @classmethod
    def open(cls, url: str, busy_seconds: float = BUSY_SECONDS) -> Store:
        """Open an existing ledger's database; never creates one."""
        file = _sqlite_file(url)
        if file is not None and not file.is_file():
            raise LedgerError("there is no ledger", hint=MISSING_HINT, path=file)
        return cls(_engine(url, busy_seconds))

    @property
    def file(self) -> Path | None:
        """The file of an SQLite ledger, None for other databases."""
        return _sqlite_file(self.url)

    def copy(self, suffix: str) -> Path | None:
        """Copy an SQLite ledger beside itself, for its owner only; None for other databases.

        The copy is there whole or not at all. Raises LedgerError where a file is.
        """
        file = _sqlite_file(self.url)
        if file is None:
            return None
        target = file.with_name(file.name + suffix)
        if os.path.lexists(target):
            raise LedgerError("a file stands where the copy would go", path=target, hint="move it away")
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=".assay-", suffix=".tmp", dir=target.parent)
        except OSError as error:
            raise LedgerError(f"no copy of it can be made: {error.strerror}", path=file) from error
        try:
            with self._translated(), self._engine.connect() as connection:
                connection.connection.cursor().execute("VACUUM INTO ?", (temporary,))
            os.fsync(descriptor)
            Path(temporary).rename(target)
        finally:
            os.close(descriptor)
            Path(temporary).unlink(missing_ok=True)
        return target

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._faults as error:
            raise _in_words(error) from error

    def _check_process(self) -> None:
        """Raise LedgerError in a forked process: SQLite's locks do not reach there, two would write at once."""
        if os.getpid() != self._process:
            raise LedgerError("the ledger was opened in another process", hint="open it in each process")

    def _connected(self, *, writing: bool) -> sa.Connection:
        self._check_process()
        if self._closed:
            raise LedgerError("the ledger is closed", hint="open it again")
        options: dict[str, Any] = {"assay_writing": writing}
        if self._engine.dialect.name == "postgresql":
            # one snapshot for a reader; a writer sees the head as it is once it holds the row
            options["isolation_level"] = "READ COMMITTED" if writing else "REPEATABLE READ"
        return self._engine.connect().execution_options(**options)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Run a block on one unchanging view of the database."""
        with self._translated(), self._connected(writing=False) as connection, connection.begin():
            yield Transaction(connection)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Run a block as the only writer; committed durably when it ends, undone when it raises."""
        with self._translated(), self._connected(writing=True) as connection, connection.begin():
            yield Transaction(connection)

    @contextmanager
    def appending(self) -> Iterator[Transaction]:
        """Run a block like ``writing``, on a connection that is kept for the next; for one thread at a time.

        Getting a connection takes as long as a small append. After any failure the kept one is given up.
        """
        self._check_process()
        connection, self._kept = self._kept, None
        with self._translated():
            connection = connection or self._connected(writing=True)
            try:
                with connection.begin():
                    yield Transaction(connection)
            except BaseException:
                connection.close()
                raise
            self._kept = connection

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        with self._translated():
            if self._kept is not None:
                self._kept.close()
                self._kept = None
            self._engine.dispose()


def _claim(file: Path) -> None:
    """Make the empty file of a new SQLite ledger; raises LedgerError where a file is."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError as error:
        raise LedgerError("a file is already there; a ledger is never overwritten", path=file) from error
    except OSError as error:
        raise LedgerError(f"the ledger cannot be created: {error.strerror}", path=file) from error


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError) as error:  # it may hold a password, so that it is not shown
        raise LedgerError("not a database URL", hint="as in sqlite:////home/me/ledger.db") from error
    if "?" in url and parsed.get_backend_name() == "sqlite":
        raise LedgerError(
            "an SQLite ledger is a file and nothing more: its URL takes no options",
            hint="a path with a question mark in it cannot be used",
        )
    return parsed


def _sqlite_file(url: str) -> Path | None:
    """Return the file behind an SQLite URL, None for other databases."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise LedgerError(
            "a ledger in memory would be lost", hint="name a file, as in sqlite:////home/me/ledger.db"
        )
    return Path(parsed.database)


def _engine(url: str, busy_seconds: float) -> sa.Engine:
    parsed = _parsed(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    sqlite = parsed.get_backend_name() == "sqlite"
    try:
        engine = sa.create_engine(parsed, connect_args={"timeout": busy_seconds} if sqlite else {})
    except (exc.SQLAlchemyError, ImportError) as error:
        raise _in_words(error) from error
    if sqlite:
        _prepare_sqlite(engine)
    elif engine.dialect.name == "postgresql":
        _prepare_postgresql(engine, busy_seconds)
    return engine


def _prepare_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions of its own, and too late
        connection.text_factory = lambda data: data.decode("utf-8", BROKEN_TEXT)
        for pragma in (
            "synchronous = FULL",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            f"cache_size = -{CACHE_KIB}",
            f"wal_autocheckpoint = {WAL_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        writing = connection.get_execution_options().get("assay_writing", False)
        connection.connection.cursor().execute("BEGIN IMMEDIATE" if writing else "BEGIN")


def _prepare_postgresql(engine: sa.Engine, busy_seconds: float) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
            cursor.execute(f"SET lock_timeout = {int(busy_seconds * 1000)}")
        connection.commit()
