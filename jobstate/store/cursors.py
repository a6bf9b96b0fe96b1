"""Cursors that read and write values like the driver itself, whatever a connection is set to.

Django has its connections return JSON as text, and others register loaders of their own.
"""

import psycopg
from psycopg.adapt import AdaptersMap

from jobstate.store.queries import Row

_DRIVERS = AdaptersMap(psycopg.adapters)


class Cursor(psycopg.Cursor[Row]):
    """A cursor on a caller's connection."""

    @property
    def adapters(self) -> AdaptersMap:
        """The driver's own."""
        return _DRIVERS


class AsyncCursor(psycopg.AsyncCursor[Row]):
    """The same for asyncio."""

    @property
    def adapters(self) -> AdaptersMap:
        """The driver's own."""
        return _DRIVERS
