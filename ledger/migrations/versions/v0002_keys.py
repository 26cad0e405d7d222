"""Schema 2: one table of 64-bit look-up keys, the last tile as rows, cosigned checkpoints, anchors."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from assay.ledger.lookup import key_of, run_of, stored
from assay.ledger.store.schema import TRIPWIRES
from assay.ledger.store.values import number, raw
from assay.provenance.canonical import load_json

revision = "0002"
down_revision = "0001"

_PAGE = 1000
_index = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the new tables, fill them from what schema 1 holds, drop its look-up columns."""
    keys, tail = _new_tables()
    op.add_column("recoveries", sa.Column("bindings", sa.Text, nullable=True))
    op.add_column("tiles", sa.Column("middle", sa.LargeBinary, nullable=True))
    op.create_table(
        "prints",
        sa.Column("idx", _index, primary_key=True, autoincrement=False),
        sa.Column("pdq", sa.LargeBinary, nullable=True),
        sa.Column("iscc", sa.LargeBinary, nullable=True),
    )
    op.execute(
        "INSERT INTO prints (idx, pdq) SELECT idx, fingerprint FROM recoveries "
        "WHERE fingerprint_alg = 'pdq' AND length(fingerprint) = 32"
    )
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(f"DROP TRIGGER IF EXISTS entries_no_{verb}")
    size = number(connection.exec_driver_sql("SELECT size FROM log").scalar_one())
    _fill_keys(connection, keys, size)
    _move_tail(connection, tail, size)
    for name in ("ix_entries_digest", "ix_entries_manifest_label", "ix_entries_mark"):
        op.drop_index(name, "entries")
    for name in ("digest", "manifest_label", "mark_scheme", "mark_id"):
        op.drop_column("entries", name)
    for statement in TRIPWIRES[connection.dialect.name]:
        op.execute(statement)
    op.execute("UPDATE log SET schema = 2")


def _new_tables() -> tuple[sa.Table, sa.Table]:
    keys = op.create_table(
        "keys",
        sa.Column("run", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    tail = op.create_table(
        "tail",
        sa.Column("idx", _index, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", _index, primary_key=True, autoincrement=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "anchors",
        sa.Column("id", _index, primary_key=True, autoincrement=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("checkpoint", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("updated", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    assert keys is not None
    assert tail is not None
    return keys, tail


def _fill_keys(connection: sa.Connection, keys: sa.Table, size: int) -> None:
    at = -1
    while True:
        rows = connection.execute(
            sa.text("SELECT idx, data FROM entries WHERE idx > :at ORDER BY idx LIMIT :page"),
            {"at": at, "page": _PAGE},
        ).all()
        if not rows:
            return
        found = [(run_of(idx, size), key, idx) for idx, data in rows for key in _keys(raw(data))]
        if found:
            connection.execute(
                sa.insert(keys), [dict(zip(("run", "key", "idx"), r, strict=True)) for r in found]
            )
        at = rows[-1][0]


def _keys(data: bytes) -> list[int]:
    """Return the keys that a leaf of schema 1 has; a leaf that cannot be read has none, and stays as it is."""
    try:
        leaf: dict[str, Any] = load_json(data)
        keys = {key_of("digest", leaf["digest"])}
        if label := leaf.get("manifest_label"):
            keys.add(key_of("manifest", label))
        if mark := leaf.get("mark"):
            keys.add(key_of("mark", f"{mark['scheme']}:{mark['id']}"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return stored(keys)


def _move_tail(connection: sa.Connection, tail: sa.Table, size: int) -> None:
    number, width = divmod(size, 256)
    if not width:
        return
    where = sa.text("level = 0 AND number = :number").bindparams(number=number)
    hashes: sa.ColumnClause[bytes] = sa.column("hashes")
    query = sa.select(hashes).select_from(sa.table("tiles")).where(where)
    data = raw(connection.execute(query).scalar() or b"")
    rows = [{"idx": number * 256 + at, "hash": data[at * 32 : at * 32 + 32]} for at in range(len(data) // 32)]
    if rows:
        connection.execute(sa.insert(tail), rows)
    connection.execute(sa.delete(sa.table("tiles")).where(where))
