"""Values as a database gives them, which need not be of the type that was put in: SQLite lets any hand write any type.

What is of another type is turned into bytes or text that cannot be what was signed, so that an audit names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

BROKEN_TEXT = "surrogateescape"  # how bytes that are no UTF-8 pass through str and back


def raw(value: object) -> bytes:
    """Return a value of a binary column as bytes."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return text(value).encode("utf-8", BROKEN_TEXT)


def text(value: object) -> str:
    """Return a value of a text column as text."""
    if isinstance(value, str):
        return value
    return value.decode("utf-8", BROKEN_TEXT) if isinstance(value, bytes) else f"({value})"


def number(value: object) -> int:
    """Return a value of an integer column; -1 for anything that is no integer."""
    return value if isinstance(value, int) else -1


class Bytes(sa.LargeBinary):
    """A binary column that can be read whatever is in it."""

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], bytes | None]:
        """Return what turns a stored value into bytes."""
        return lambda value: None if value is None else raw(value)
