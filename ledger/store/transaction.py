"""One transaction on a ledger's database: head, entries, tiles, look-up keys, and what is kept beside the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from assay.ledger.store.kept import LAST_INDEX, AnchorRows, CheckpointRows, RecoveryRows
from assay.ledger.store.schema import (
    SCHEMA,
    TRIPWIRES,
    entries_table,
    keys_table,
    log_table,
    revision_table,
    tail_table,
    tiles_table,
)
from assay.ledger.store.values import number, raw, text
from assay.ledger.tlog.tiles import MIDDLE, TILE_BYTES, TILE_WIDTH, Changed, subtree_roots
from assay.provenance.errors import LedgerError
from assay.provenance.text import safe_text

MISSING_HINT = "create it with: assay ledger init, or a whole workspace with: assay init"
_CHUNK = 4096
_KEYS = 32768


@dataclass(frozen=True, slots=True)
class Head:
    """The one row of ``log``: who the log is, and its latest signed head. ``root`` has 32 bytes."""

    origin: str
    vkey: str
    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class _Statements:
    """What is said for every entry, compiled once: SQLAlchemy's own execution costs more than SQLite's."""

    head: str
    locked_head: str
    swap: str
    add_entry: str
    add_tail: str
    add_key: str
    leaf: str
    leaves: str
    tile: str
    keys: str
    keys_after: str


@cache
def _statements(dialect: str) -> _Statements:
    known: dict[str, Any] = {"sqlite": (sqlite, "qmark"), "postgresql": (postgresql, "format")}
    if dialect not in known:
        raise LedgerError(f"no ledger can be kept in {dialect}", hint="use SQLite or PostgreSQL")
    module, style = known[dialect]
    to = module.dialect(paramstyle=style)
    log, entries, tiles, keys = log_table.c, entries_table.c, tiles_table.c, keys_table.c
    head = sa.select(log.schema, log.origin, log.vkey, log.size, log.root, log.note)
    swap = (
        sa.update(log_table)
        .where(log.size == sa.bindparam("old_size"), log.root == sa.bindparam("old_root"))
        .values(size=sa.bindparam("size"), root=sa.bindparam("root"), note=sa.bindparam("note"))
    )
    first: sa.BindParameter[int] = sa.bindparam("first")
    last: sa.BindParameter[int] = sa.bindparam("last")
    leaves = sa.select(entries.idx, entries.data).where(entries.idx.between(first, last))
    run: sa.BindParameter[int] = sa.bindparam("run")
    # in SQLite any text is larger than any number, and no key
    some_keys = sa.select(keys.key, keys.idx).where(keys.run == run, keys.idx < last, keys.key <= LAST_INDEX)
    some_keys = some_keys.order_by(keys.key, keys.idx)
    after = sa.and_(keys.key >= first, sa.or_(keys.key > first, keys.idx > sa.bindparam("index")))
    statements = {
        "head": head,
        "locked_head": head.with_for_update(),
        "swap": swap,
        "add_entry": sa.insert(entries_table),
        "add_tail": sa.insert(tail_table),
        "add_key": sa.insert(keys_table),
        "leaf": sa.select(entries.data).where(entries.idx == first),
        "leaves": leaves.order_by(entries.idx),
        "tile": sa.select(tiles.hashes, tiles.middle).where(tiles.level == first, tiles.number == last),
        "keys": some_keys,
        "keys_after": some_keys.where(after),
    }
    # added as text: compiled, a limit would bring an offset with it
    limits = {"leaves": f" LIMIT {_CHUNK}", "keys": f" LIMIT {_KEYS}", "keys_after": f" LIMIT {_KEYS}"}
    return _Statements(
        **{name: f"{s.compile(dialect=to)}{limits.get(name, '')}" for name, s in statements.items()}
    )


class Transaction:
    """Reads and writes within one database transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = self._connection = connection
        self._sql = _statements(connection.dialect.name)
        self.recoveries = RecoveryRows(connection)
        self.checkpoints = CheckpointRows(connection)
        self.anchors = AnchorRows(connection)

    def _cursor(self) -> Any:
        return self._connection.connection.cursor()

    def _one(self, statement: str, *values: int) -> Any:
        cursor = self._cursor()
        cursor.execute(statement, values)
        return cursor.fetchone()

    def _all(self, statement: str, *values: int) -> list[tuple[int, Any]]:
        cursor = self._cursor()
        cursor.execute(statement, values)
        return list(cursor.fetchall())

    # The schema

    def schema(self) -> int:
        """Return the version of the tables; raises LedgerError where there is no ledger."""
        schema = self._connection.execute(sa.select(log_table.c.schema)).scalar()
        if schema is None:
            raise LedgerError("the database holds no ledger", hint=MISSING_HINT)
        return number(schema)

    def has_revision(self) -> bool:
        """Say whether the tables were made by, or for, migrations."""
        return sa.inspect(self._connection).has_table(revision_table.name)

    # The head

    def head(self, *, lock: bool = False) -> Head:
        """Return the head, held against other writers if ``lock``; an unknown schema raises LedgerError."""
        row = self._one(self._sql.locked_head if lock else self._sql.head)
        if row is None:
            raise LedgerError("the database holds no ledger", hint=MISSING_HINT)
        schema, origin, vkey, size, root, note = row
        schema = number(schema)
        if schema != SCHEMA:
            hint = "bring it up to date with: assay ledger upgrade" if schema < SCHEMA else "update Assay"
            raise LedgerError(
                f"the ledger has schema version {schema}; this program uses {SCHEMA}", hint=hint
            )
        return Head(text(origin), text(vkey), number(size), raw(root), text(note))

    def swap_head(self, old: Head, new: Head) -> None:
        """Replace the head if it is still ``old``; raises LedgerError if another writer moved it."""
        cursor = self._cursor()
        cursor.execute(self._sql.swap, (new.size, new.root, new.note, old.size, old.root))
        if cursor.rowcount != 1:
            raise LedgerError("another writer moved the ledger's head", hint="try again")

    # Entries

    def add_entries(self, start: int, leaves: Sequence[bytes]) -> None:
        """Insert leaves at ``start`` and after."""
        self._cursor().executemany(self._sql.add_entry, list(enumerate(leaves, start=start)))

    def leaf(self, idx: int) -> bytes | None:
        """Return an entry's bytes."""
        row = self._one(self._sql.leaf, idx)
        return None if row is None else raw(row[0])

    def leaf_pages(self, start: int, stop: int | None) -> Iterator[list[tuple[int, bytes]]]:
        """Iterate over stored (index, leaf bytes) in [start, stop), many at a time; without a stop over all."""
        end = LAST_INDEX if stop is None else stop - 1
        while rows := self._all(self._sql.leaves, start, end):
            if any(type(data) is not bytes for _, data in rows):
                rows = [(idx, raw(data)) for idx, data in rows]
            yield rows
            start = rows[-1][0] + 1
            if len(rows) < _CHUNK or start > end:
                return

    def leaves(self, start: int, stop: int | None) -> Iterator[tuple[int, bytes]]:
        """Iterate over stored (index, leaf bytes) in [start, stop) in order, without a stop over all."""
        for rows in self.leaf_pages(start, stop):
            yield from rows

    # Tiles

    def put_tiles(self, changed: Changed) -> None:
        """Store changed tiles, and the leaf hashes of the last tile while it is not full."""
        c = tiles_table.c
        for level, place in changed.replaced:
            self._connection.execute(sa.delete(tiles_table).where(c.level == level, c.number == place))
        if changed.tiles:
            rows = [
                {"level": level, "number": place, "hashes": data, "middle": middle_of(level, data)}
                for (level, place), data in changed.tiles.items()
            ]
            self._connection.execute(sa.insert(tiles_table), rows)
        if changed.sealed:
            self._connection.execute(sa.delete(tail_table))
        if changed.tail:
            self._cursor().executemany(self._sql.add_tail, changed.tail)

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile's hashes, empty if the log does not have it."""
        return self.whole_tile(level, number)[:TILE_BYTES]

    def whole_tile(self, level: int, number: int) -> bytes:
        """Return a tile's hashes, followed by those of its middle level where they are kept."""
        row = self._one(self._sql.tile, level, number)
        if row is not None or level:
            hashes = raw(row[0]) if row else b""
            return hashes + raw(row[1] or b"") if len(hashes) == TILE_BYTES else hashes
        rows = [row for row in self.tail() if row[0] // TILE_WIDTH == number]
        whole = [idx for idx, _ in rows] == [number * TILE_WIDTH + at for at in range(len(rows))]
        return b"".join(hash_ for _, hash_ in rows) if whole else b""

    def tail(self) -> list[tuple[int, bytes]]:
        """Return (index, leaf hash) of the last tile of level 0 while it is not full."""
        query = sa.select(tail_table).order_by(tail_table.c.idx)
        return [(idx, raw(hash_)) for idx, hash_ in self._connection.execute(query)]

    def tile_names(self) -> Iterator[tuple[int, int]]:
        """Iterate over the (level, number) of all stored tiles; -1 stands for what is no number."""
        query = sa.select(tiles_table.c.level, tiles_table.c.number)
        for level, place in self._connection.execute(query):
            yield number(level), number(place)

    # Look-up keys

    def add_keys(self, rows: list[tuple[int, int, int]]) -> None:
        """Insert (run, key, index) rows."""
        self._cursor().executemany(self._sql.add_key, rows)

    def merge_keys(self, first: int, stop: int) -> None:
        """Make one run of those that begin in [first, stop)."""
        c = keys_table.c
        self._connection.execute(sa.update(keys_table).where(c.run > first, c.run < stop).values(run=first))

    def drop_keys(self, run: int, idx: int, keys: Sequence[int]) -> None:
        """Delete keys of an entry, those of what was kept beside it."""
        c = keys_table.c
        self._connection.execute(sa.delete(keys_table).where(c.run == run, c.key.in_(keys), c.idx == idx))

    def by_keys(self, runs: Sequence[int], first: int, last: int, below: int, limit: int | None) -> list[int]:
        """Return the first entries before ``below``, by index, that have a key in [first, last]."""
        c = keys_table.c
        found = sa.and_(c.run.in_(runs), c.key.between(first, last), c.idx >= 0, c.idx < below)
        return list(
            self._connection.execute(sa.select(c.idx).where(found).order_by(c.idx).limit(limit)).scalars()
        )

    def stray_keys(self, size: int) -> int:
        """Return how many rows of keys lead to no entry before ``size``, or have a key that is no 64-bit number."""
        c = keys_table.c  # in SQLite any text is larger than any number
        strays = sa.or_(c.idx < 0, c.idx >= size, c.key > LAST_INDEX)
        query = sa.select(sa.func.count()).select_from(keys_table).where(strays)
        return int(self._connection.execute(query).scalar_one())

    def keys(self, run: int, below: int) -> Iterator[list[tuple[int, int]]]:
        """Iterate over the (key, index) rows of a run for entries before ``below``, in order, many at a time."""
        rows = self._all(self._sql.keys, run, below, LAST_INDEX)
        while rows:
            yield rows
            key, idx = rows[-1]
            rows = (
                self._all(self._sql.keys_after, run, below, LAST_INDEX, key, key, idx)
                if len(rows) == _KEYS
                else []
            )

    def repeated_keys(self) -> list[int]:
        """Return the keys that several entries share."""
        query = sa.select(keys_table.c.key).group_by(keys_table.c.key).having(sa.func.count() > 1)
        return list(self._connection.execute(query).scalars())

    # The database itself

    def damage(self) -> list[str]:
        """Return what the database itself finds wrong with its pages and indexes (SQLite only)."""
        if self._connection.dialect.name != "sqlite":
            return []
        found = list(self._connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars())
        return [str(line) for line in found if line != "ok"] + self._planted()

    def _planted(self) -> list[str]:
        """Name triggers and views that are not the ledger's: they change what is written, or what is read."""
        query = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"
        rows = self._connection.exec_driver_sql(query).all()
        known = TRIPWIRES["sqlite"]
        return [
            f"a {kind} that is not the ledger's: {safe_text(name, 80)}"
            for kind, name, sql in rows
            if sql not in known
        ]


def middle_of(level: int, hashes: bytes) -> bytes | None:
    """Return the roots of the 16-leaf subtrees of a full tile of level 0, None for any other tile.

    Upper tiles are few, and stay in memory with all that was made of them.
    """
    return subtree_roots(hashes)[MIDDLE] if not level and len(hashes) == TILE_BYTES else None
