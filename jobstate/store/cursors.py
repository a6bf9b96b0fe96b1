"""Cursors that read and write values like the driver itself, whatever a connection is set to.

Django has its connections return JSON as text, and others register loaders of their own.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.rows import tuple_row

from jobstate.store.queries import Row

_DRIVERS = AdaptersMap(psycopg.adapters)


class Cursor(psycopg.Cursor[Row]):
    """A cursor on a caller's connection."""

    @property
    def adapters(self) -> AdaptersMap:
        """The driver's own."""
        return _DRIVERS


class Cursors:
    """The cursors of one connection, one for each statement.

    The driver works out how to bind a statement and how to read its answer once for as long as the
    same cursor runs the same object; otherwise anew each time.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._kept: dict[str, tuple[bytes, Cursor]] = {}

    def execute(
        self, statement: str, params: Mapping[str, Any], *, prepare: bool | None
    ) -> list[Row]:
        """Run a statement, and return its answer."""
        if statement not in self._kept:
            cursor = Cursor(self._connection, row_factory=tuple_row)
            self._kept[statement] = statement.encode(), cursor
        text, cursor = self._kept[statement]
        cursor.execute(text, params, prepare=prepare)
        rows = cursor.fetchall() if returns_rows(cursor) else []
        if len(rows) > 1:
            # It would hold on to all of them until it runs again.
            del self._kept[statement]
        return rows


def returns_rows(cursor: psycopg.Cursor[Row] | psycopg.AsyncCursor[Row]) -> bool:
    """Tell whether a statement answers with rows, without describing each of their columns."""
    return cursor.pgresult is not None and cursor.pgresult.nfields > 0


class AsyncCursor(psycopg.AsyncCursor[Row]):
    """The same for asyncio."""

    @property
    def adapters(self) -> AdaptersMap:
        """The driver's own."""
        return _DRIVERS
