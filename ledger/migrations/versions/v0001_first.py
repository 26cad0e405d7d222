"""Schema 1, of Assay 0.1: look-up columns beside each entry, partial tiles stored whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_index = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of schema 1."""
    op.create_table(
        "log",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("schema", sa.Integer, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("vkey", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, sa.CheckConstraint("size >= 0"), nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("idx", _index, sa.CheckConstraint("idx >= 0"), primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("manifest_label", sa.Text, nullable=True),
        sa.Column("mark_scheme", sa.Text, nullable=True),
        sa.Column("mark_id", sa.Text, nullable=True),
    )
    op.create_index("ix_entries_digest", "entries", ["digest"])
    op.create_index("ix_entries_manifest_label", "entries", ["manifest_label"])
    op.create_index("ix_entries_mark", "entries", ["mark_id", "mark_scheme"])
    op.create_table(
        "tiles",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "recoveries",
        sa.Column("idx", _index, sa.ForeignKey("entries.idx"), primary_key=True, autoincrement=False),
        sa.Column("fingerprint_alg", sa.Text, nullable=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=True),
        sa.Column("quality", sa.Integer, nullable=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("sketch", sa.LargeBinary, nullable=False),
        sa.Column("manifest", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "bands",
        sa.Column("band", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER entries_no_{verb.lower()} BEFORE {verb} ON entries "
                "BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END"
            )
