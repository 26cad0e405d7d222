"""The ledger's tables in any SQL database that SQLAlchemy reaches. Format: docs/formats/ledger.md.

SQLAlchemy and sqlite3 stay in this module; their exceptions leave it as LedgerError.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from assay.provenance.entry import Entry, Fingerprint, Recovery
from assay.provenance.errors import LedgerError

SCHEMA = 1
BUSY_SECONDS = 30.0

_MISSING_HINT = "create it with: assay ledger init, or a whole workspace with: assay init"
_CHUNK = 1000

_index = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # INTEGER PRIMARY KEY is SQLite's own row id
metadata = sa.MetaData()
log_table = sa.Table(
    "log",
    metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    sa.Column("schema", sa.Integer, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("vkey", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, sa.CheckConstraint("size >= 0"), nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)
entries_table = sa.Table(
    "entries",
    metadata,
    sa.Column("idx", _index, sa.CheckConstraint("idx >= 0"), primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, index=True),
    sa.Column("manifest_label", sa.Text, nullable=True, index=True),
    sa.Column("mark_scheme", sa.Text, nullable=True),
    sa.Column("mark_id", sa.Text, nullable=True),
    sa.Index("ix_entries_mark", "mark_id", "mark_scheme"),
)
tiles_table = sa.Table(
    "tiles",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hashes", sa.LargeBinary, nullable=False),
)
recoveries_table = sa.Table(
    "recoveries",
    metadata,
    sa.Column("idx", _index, sa.ForeignKey("entries.idx"), primary_key=True, autoincrement=False),
    sa.Column("fingerprint_alg", sa.Text, nullable=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=True),
    sa.Column("quality", sa.Integer, nullable=True),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("sketch", sa.LargeBinary, nullable=False),
    sa.Column("manifest", sa.LargeBinary, nullable=False),
)
bands_table = sa.Table(
    "bands",
    metadata,
    sa.Column("band", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
# A tripwire for careless hands; whoever can write the file can drop it. `check` is the defence.
for _verb in ("UPDATE", "DELETE"):
    sa.event.listen(
        entries_table,
        "after_create",
        sa.DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER entries_no_{_verb.lower()} BEFORE {_verb} ON entries "
            "BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END"
        ).execute_if(dialect="sqlite"),
    )


@dataclass(frozen=True, slots=True)
class Head:
    """The one row of ``log``: who the log is, and its latest signed head. ``root`` has 32 bytes."""

    origin: str
    vkey: str
    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One stored entry: leaf bytes, and the look-up columns that repeat parts of them."""

    idx: int
    data: bytes
    digest: str
    manifest_label: str | None
    mark_scheme: str | None
    mark_id: str | None

    @classmethod
    def of(cls, idx: int, data: bytes, entry: Entry) -> EntryRow:
        """Return the row to store for an entry and its leaf bytes."""
        mark = entry.mark
        return cls(
            idx=idx,
            data=data,
            digest=str(entry.digest),
            manifest_label=entry.manifest_label or None,
            mark_scheme=mark.scheme if mark else None,
            mark_id=mark.id if mark else None,
        )


def _in_words(error: Exception) -> LedgerError:
    """Translate a database's exception."""
    said = str(getattr(error, "orig", None) or error)
    for sign, message, hint in (
        ("locked", "the ledger is held by another process", "wait for it to finish, then try again"),
        ("busy", "the ledger is held by another process", "wait for it to finish, then try again"),
        (
            "disk is full",
            "no room is left on the ledger's disk; nothing was appended",
            "free some space and retry",
        ),
        ("readonly", "the ledger cannot be written", "check the file's and its folder's permissions"),
        ("not a database", "the file is not a ledger (not an SQLite database)", _MISSING_HINT),
        ("malformed", "the ledger's file is damaged", "restore it from a copy, then run: assay ledger check"),
        (
            "unable to open",
            "the ledger's file cannot be opened",
            "check that its folder exists and is writable",
        ),
        ("no such table", "the database holds no ledger", _MISSING_HINT),
        ("never changed", "ledger entries are never changed or removed", ""),
        (
            "UNIQUE constraint failed: entries.idx",
            "the ledger holds entries beyond its head",
            "assay ledger check",
        ),
    ):
        if sign in said:
            return LedgerError(message, hint=hint)
    return LedgerError(
        f"the ledger's database failed: {said[:300]}", hint="assay ledger check says what is stored"
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (exc.SQLAlchemyError, sqlite3.Error, ImportError) as error:
        # exc.SQLAlchemyError covers every driver; a missing driver is an ImportError
        raise _in_words(error) from error


def _engine(url: str, busy_seconds: float) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed)
    engine = sa.create_engine(parsed, connect_args={"timeout": busy_seconds})

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions of its own, and too late
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        writing = connection.get_execution_options().get("assay_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _sqlite_file(url: str) -> Path | None:
    """Return the file behind an SQLite URL, None for other databases."""
    with _translated():
        parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise LedgerError(
            "a ledger in memory would be lost", hint="name a file, as in sqlite:////home/me/ledger.db"
        )
    return Path(parsed.database)


class Transaction:
    """Reads and writes within one database transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def head(self, *, lock: bool = False) -> Head:
        """Return the head, held against other writers if ``lock``; an unknown schema raises LedgerError."""
        query = sa.select(log_table)
        row = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise LedgerError("the database holds no ledger", hint=_MISSING_HINT)
        if row.schema != SCHEMA:
            raise LedgerError(
                f"the ledger has schema version {row.schema}; this program knows {SCHEMA}",
                hint="update Assay",
            )
        return Head(row.origin, row.vkey, row.size, bytes(row.root), row.note)

    def swap_head(self, old: Head, new: Head) -> None:
        """Replace the head if it is still ``old``; raises LedgerError if another writer moved it."""
        swap = (
            sa.update(log_table)
            .where(log_table.c.size == old.size, log_table.c.root == old.root)
            .values(size=new.size, root=new.root, note=new.note)
        )
        if self._connection.execute(swap).rowcount != 1:
            raise LedgerError("another writer moved the ledger's head", hint="try again")

    def add_entries(self, rows: Sequence[EntryRow]) -> None:
        """Insert entries."""
        names = ("idx", "data", "digest", "manifest_label", "mark_scheme", "mark_id")
        for at in range(0, len(rows), _CHUNK):
            chunk = [{name: getattr(row, name) for name in names} for row in rows[at : at + _CHUNK]]
            self._connection.execute(sa.insert(entries_table), chunk)

    def add_recoveries(self, recoveries: Mapping[int, Recovery], bands: Iterable[tuple[int, int]]) -> None:
        """Insert recovery records by entry index, and (band, index) rows for their fingerprints."""
        if recoveries:
            rows = [{"idx": idx, **_recovery_columns(recovery)} for idx, recovery in recoveries.items()]
            self._connection.execute(sa.insert(recoveries_table), rows)
        if keys := [{"band": band, "idx": idx} for band, idx in bands]:
            self._connection.execute(sa.insert(bands_table), keys)

    def put_tiles(self, tiles: Mapping[tuple[int, int], bytes], replaced: Iterable[tuple[int, int]]) -> None:
        """Store tiles by (level, number), first removing the narrower ones that they replace."""
        for level, number in replaced:
            self._connection.execute(
                sa.delete(tiles_table).where(tiles_table.c.level == level, tiles_table.c.number == number)
            )
        rows = [{"level": level, "number": number, "hashes": data} for (level, number), data in tiles.items()]
        self._connection.execute(sa.insert(tiles_table), rows)

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile's hashes, empty if it is not stored."""
        query = sa.select(tiles_table.c.hashes).where(
            tiles_table.c.level == level, tiles_table.c.number == number
        )
        return bytes(self._connection.execute(query).scalar() or b"")

    def tiles(self) -> Iterator[tuple[int, int, bytes]]:
        """Iterate over all stored tiles (level, number, hashes)."""
        query = sa.select(tiles_table).order_by(tiles_table.c.level, tiles_table.c.number)
        for row in self._connection.execute(query.execution_options(yield_per=16)):
            yield row.level, row.number, bytes(row.hashes)

    def leaf(self, idx: int) -> bytes | None:
        """Return an entry's bytes."""
        data = self._connection.execute(
            sa.select(entries_table.c.data).where(entries_table.c.idx == idx)
        ).scalar()
        return None if data is None else bytes(data)

    def entries(self, start: int, stop: int | None) -> Iterator[EntryRow]:
        """Iterate over stored entries in [start, stop) in order, without a stop over all."""
        query = sa.select(entries_table).where(entries_table.c.idx >= start).order_by(entries_table.c.idx)
        if stop is not None:
            query = query.where(entries_table.c.idx < stop)
        for row in self._connection.execute(query.execution_options(yield_per=_CHUNK)):
            yield EntryRow(
                row.idx, bytes(row.data), row.digest, row.manifest_label, row.mark_scheme, row.mark_id
            )

    def _indices(self, limit: int, *conditions: sa.ColumnElement[bool]) -> list[int]:
        query = sa.select(entries_table.c.idx).where(*conditions).order_by(entries_table.c.idx).limit(limit)
        return list(self._connection.execute(query).scalars())

    def by_digest(self, digest: str, limit: int) -> list[int]:
        """Return the first entries with a digest."""
        return self._indices(limit, entries_table.c.digest == digest)

    def by_label(self, label: str, limit: int) -> list[int]:
        """Return the first entries with a manifest label."""
        return self._indices(limit, entries_table.c.manifest_label == label)

    def by_mark(self, scheme: str, mark_id: str, limit: int) -> list[int]:
        """Return the first entries with a mark."""
        return self._indices(limit, entries_table.c.mark_id == mark_id, entries_table.c.mark_scheme == scheme)

    def by_bands(self, bands: Sequence[int]) -> list[tuple[int, str, bytes]]:
        """Return (index, algorithm, fingerprint) of the entries that share one of the bands."""
        near = sa.select(bands_table.c.idx).where(bands_table.c.band.in_(bands))
        columns = (recoveries_table.c.idx, recoveries_table.c.fingerprint_alg, recoveries_table.c.fingerprint)
        query = sa.select(*columns).where(recoveries_table.c.idx.in_(near))
        return [(idx, alg or "", bytes(value or b"")) for idx, alg, value in self._connection.execute(query)]

    def duplicates(self) -> list[tuple[str, int]]:
        """Return digests that more than one entry has, with how many."""
        count = sa.func.count()
        query = sa.select(entries_table.c.digest, count).group_by(entries_table.c.digest).having(count > 1)
        return [(digest, number) for digest, number in self._connection.execute(query)]

    def recovery(self, idx: int) -> Recovery | None:
        """Return what is kept for an entry, None if nothing is or it was erased."""
        row = self._connection.execute(
            sa.select(recoveries_table).where(recoveries_table.c.idx == idx)
        ).one_or_none()
        return None if row is None else _recovery(row)

    def recoveries(self) -> Iterator[tuple[int, Recovery]]:
        """Iterate over all recovery records in order."""
        query = sa.select(recoveries_table).order_by(recoveries_table.c.idx)
        for row in self._connection.execute(query.execution_options(yield_per=16)):
            yield row.idx, _recovery(row)

    def erase_recovery(self, idx: int, bands: Sequence[int]) -> None:
        """Delete an entry's recovery record and its bands."""
        self._connection.execute(
            sa.delete(bands_table).where(bands_table.c.idx == idx, bands_table.c.band.in_(bands))
        )
        self._connection.execute(sa.delete(recoveries_table).where(recoveries_table.c.idx == idx))

    def bands_of(self, idx: int, bands: Sequence[int]) -> int:
        """Return how many of the bands lead to an entry."""
        query = sa.select(sa.func.count()).where(bands_table.c.idx == idx, bands_table.c.band.in_(bands))
        return int(self._connection.execute(query).scalar_one())

    def band_rows(self) -> int:
        """Return the number of band rows."""
        return int(self._connection.execute(sa.select(sa.func.count()).select_from(bands_table)).scalar_one())

    def damage(self) -> list[str]:
        """Return what the database itself finds wrong with its pages and indexes (SQLite only)."""
        if self._connection.dialect.name != "sqlite":
            return []
        found = list(self._connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars())
        return [] if found == ["ok"] else [str(line) for line in found]


def _recovery_columns(recovery: Recovery) -> dict[str, object]:
    mark = recovery.fingerprint
    return {
        "fingerprint_alg": mark.alg if mark else None,
        "fingerprint": mark.value if mark else None,
        "quality": mark.quality if mark else None,
        "salt": recovery.salt,
        "sketch": recovery.sketch,
        "manifest": recovery.manifest,
    }


def _recovery(row: Any) -> Recovery:
    fingerprint = None
    if row.fingerprint_alg is not None:
        fingerprint = Fingerprint(row.fingerprint_alg, bytes(row.fingerprint or b""), int(row.quality or 0))
    return Recovery(bytes(row.salt), fingerprint, bytes(row.sketch), bytes(row.manifest))


class Store:
    """A ledger's database; make one with ``create`` or ``open``, one a process, and ``close`` it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def create(cls, url: str, head: Head, busy_seconds: float = BUSY_SECONDS) -> Store:
        """Make the tables and the first head; raises LedgerError where something is already there."""
        file = _sqlite_file(url)
        if file is not None:
            try:
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            except FileExistsError as error:
                raise LedgerError(
                    "a file is already there; a ledger is never overwritten", path=file
                ) from error
            except OSError as error:
                raise LedgerError(f"the ledger cannot be created: {error.strerror}", path=file) from error
        try:
            with _translated():
                engine = _engine(url, busy_seconds)
                if file is not None:
                    with engine.connect() as connection:
                        connection.connection.cursor().execute("PRAGMA journal_mode = WAL")
                return cls._filled(engine, head)
        except BaseException:
            if file is not None:
                file.unlink(missing_ok=True)
            raise

    @classmethod
    def _filled(cls, engine: sa.Engine, head: Head) -> Store:
        with engine.connect().execution_options(assay_writing=True) as connection, connection.begin():
            if sa.inspect(connection).has_table("log"):
                raise LedgerError("the database already holds a ledger; a ledger is never overwritten")
            metadata.create_all(connection)
            values = {name: getattr(head, name) for name in ("origin", "vkey", "size", "root", "note")}
            connection.execute(sa.insert(log_table).values(id=1, schema=SCHEMA, **values))
        return cls(engine)

    @classmethod
    def open(cls, url: str, busy_seconds: float = BUSY_SECONDS) -> Store:
        """Open an existing ledger's database; never creates one."""
        file = _sqlite_file(url)
        if file is not None and not file.is_file():
            raise LedgerError("there is no ledger", hint=_MISSING_HINT, path=file)
        with _translated():
            return cls(_engine(url, busy_seconds))

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Run a block on one unchanging view of the database."""
        with _translated(), self._engine.connect() as connection, connection.begin():
            yield Transaction(connection)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Run a block as the only writer; committed durably when it ends, undone when it raises."""
        with (
            _translated(),
            self._engine.connect().execution_options(assay_writing=True) as connection,
            connection.begin(),
        ):
            yield Transaction(connection)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
