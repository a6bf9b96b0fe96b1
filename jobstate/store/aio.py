"""Runs operations on asyncio connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from jobstate.settings import Settings
from jobstate.store.failures import translated
from jobstate.store.migrations import check_version
from jobstate.store.queries import Operation, Row, load_queries
from jobstate.store.sync import check_driver, engine_options, prepare_mode

T = TypeVar("T")

AsyncConnection = psycopg.AsyncConnection[Any]


class AsyncStore:
    """Runs operations on connections of one asyncio engine's pool; see `sync.Store`.

    Raises:
        ConfigurationError: The engine does not use psycopg 3.
    """

    def __init__(
        self, engine: AsyncEngine, *, schema: str = "jobstate", prepare_threshold: int | None = 0
    ) -> None:
        check_driver(engine.dialect.driver, engine.dialect.name)
        self.engine = engine
        self.schema = schema
        self._queries = load_queries(schema)
        self._prepare = prepare_mode(prepare_threshold)
        self._fits = False

    @classmethod
    def open(cls, settings: Settings, engine: AsyncEngine | None = None) -> Self:
        """Make a store, with an engine of its own unless given one; it connects when first used."""
        if engine is None:
            engine = create_async_engine(settings.database_url, **engine_options(settings))
        return cls(engine, schema=settings.schema, prepare_threshold=settings.prepare_threshold)

    async def run(self, operation: Operation[T], connection: AsyncConnection | None = None) -> T:
        """Run an operation, in a transaction of its own or in the one of `connection`.

        Raises:
            StoreUnavailable: The database cannot be reached, or did not answer in time.
            SchemaMismatch: Its tables are missing or too old.
        """
        with translated():
            if connection is not None:
                rows = await self._execute(connection, operation)
            else:
                async with self._connection() as own:
                    rows = await self._execute(own, operation)
        return operation.read(rows)

    async def close(self) -> None:
        """Close the connections."""
        await self.engine.dispose()

    async def _execute(self, connection: AsyncConnection, operation: Operation[Any]) -> list[Row]:
        async with connection.cursor(row_factory=tuple_row) as cursor:
            if not self._fits:
                await cursor.execute(self._queries["schema_version"].encode())
                check_version(await cursor.fetchall())
                self._fits = True
            statement = self._queries[operation.statement].encode()
            await cursor.execute(statement, operation.params, prepare=self._prepare)
            return await cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        async with self.engine.connect() as pooled:
            connection = (await pooled.get_raw_connection()).driver_connection
            assert isinstance(connection, psycopg.AsyncConnection)  # noqa: S101 - see check_driver
            before = connection.autocommit
            if not before:
                await connection.set_autocommit(True)
            try:
                yield connection
            finally:
                if connection.closed:
                    await pooled.invalidate()
                elif not before:
                    await connection.set_autocommit(False)
