"""The database's schema from its first version on, as Alembic migrations."""
