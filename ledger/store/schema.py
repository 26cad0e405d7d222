"""The ledger's tables, schema version 2. Format: docs/formats/ledger.md; earlier versions: ledger/migrations."""

from __future__ import annotations

import sqlalchemy as sa

from assay.ledger.store.values import Bytes

SCHEMA = 2
REVISION = "0002"
"""The migration that leads to this schema (ledger/migrations/versions)."""

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
    sa.Column("root", Bytes, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)
entries_table = sa.Table(
    "entries",
    metadata,
    sa.Column("idx", _index, sa.CheckConstraint("idx >= 0"), primary_key=True, autoincrement=False),
    sa.Column("data", Bytes, nullable=False),
)
tiles_table = sa.Table(
    "tiles",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hashes", Bytes, nullable=False),
    sa.Column("middle", Bytes, nullable=True),
)
tail_table = sa.Table(
    "tail",
    metadata,
    sa.Column("idx", _index, primary_key=True, autoincrement=False),
    sa.Column("hash", Bytes, nullable=False),
)
keys_table = sa.Table(
    "keys",
    metadata,
    sa.Column("run", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
recoveries_table = sa.Table(
    "recoveries",
    metadata,
    sa.Column("idx", _index, sa.ForeignKey("entries.idx"), primary_key=True, autoincrement=False),
    sa.Column("fingerprint_alg", sa.Text, nullable=True),
    sa.Column("fingerprint", Bytes, nullable=True),
    sa.Column("quality", sa.Integer, nullable=True),
    sa.Column("salt", Bytes, nullable=False),
    sa.Column("sketch", Bytes, nullable=False),
    sa.Column("manifest", Bytes, nullable=False),
    sa.Column("bindings", sa.Text, nullable=True),
)
# 32 bytes and nothing else a row, apart from the records: a near look-up reads thousands of them.
prints_table = sa.Table(
    "prints",
    metadata,
    sa.Column("idx", _index, primary_key=True, autoincrement=False),
    sa.Column("pdq", Bytes, nullable=True),
    sa.Column("iscc", Bytes, nullable=True),
)
bands_table = sa.Table(
    "bands",
    metadata,
    sa.Column("band", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
checkpoints_table = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("size", _index, primary_key=True, autoincrement=False),
    sa.Column("note", sa.Text, nullable=False),
)
anchors_table = sa.Table(
    "anchors",
    metadata,
    sa.Column("id", _index, primary_key=True, autoincrement=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("root", Bytes, nullable=False),
    sa.Column("checkpoint", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("updated", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)
revision_table = sa.Table(
    "alembic_version", metadata, sa.Column("version_num", sa.String(32), primary_key=True)
)

# A tripwire for careless hands; whoever can write the database can drop it. `check` is the defence.
REFUSAL = "ledger entries are never changed"
TRIPWIRES = {
    "sqlite": tuple(
        f"CREATE TRIGGER entries_no_{verb.lower()} BEFORE {verb} ON entries "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        for verb in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        "CREATE FUNCTION entries_are_final() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$",
        "CREATE TRIGGER entries_no_change BEFORE UPDATE OR DELETE ON entries "
        "FOR EACH ROW EXECUTE FUNCTION entries_are_final()",
    ),
}
for _dialect, _statements in TRIPWIRES.items():
    for _statement in _statements:
        _ddl = sa.DDL(_statement)  # type: ignore[no-untyped-call]
        sa.event.listen(entries_table, "after_create", _ddl.execute_if(dialect=_dialect))
