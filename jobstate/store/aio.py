"""Runs operations on asyncio connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from sqlalchemy.ext.asyncio import AsyncEngine

from jobstate.settings import Settings
from jobstate.store.cursors import AsyncCursor
from jobstate.store.engines import check_engine, open_async_engine
from jobstate.store.failures import translated
from jobstate.store.queries import Operation, Row, Script, load_queries
from jobstate.store.sync import PATIENCE, prepare_mode, returns_rows
from jobstate.store.version import check_version

T = TypeVar("T")

AsyncConnection = psycopg.AsyncConnection[Any]


class AsyncStore:
    """Runs operations on connections of one asyncio engine's pool; see `sync.Store`.

    Raises:
        ConfigurationError: The engine does not use psycopg 3, or is a blocking one.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        schema: str = "jobstate",
        prepare_threshold: int | None = 0,
        owned: bool = False,
    ) -> None:
        check_engine(engine, AsyncEngine)
        self.engine = engine
        self.schema = schema
        self._queries = load_queries(schema)
        self._prepare = prepare_mode(prepare_threshold)
        self._owned = owned
        self._fits = False

    @classmethod
    def open(cls, settings: Settings, engine: AsyncEngine | None = None) -> Self:
        """Make a store, with an engine of its own unless given one; it connects when first used.

        Raises:
            ConfigurationError: The URL is malformed.
        """
        return cls(
            engine or open_async_engine(settings),
            schema=settings.schema,
            prepare_threshold=settings.prepare_threshold,
            owned=engine is None,
        )

    async def run(self, operation: Operation[T], connection: AsyncConnection | None = None) -> T:
        """Run an operation, in a transaction of its own or in the one of `connection`.

        Raises:
            StoreUnavailable: The database cannot be reached, or did not answer in time.
            SchemaMismatch: Its tables are missing or too old.
        """
        with translated():
            if connection is not None:
                rows = await self._execute(connection, None, operation)
            else:
                async with self._connection() as own:
                    rows = await self._execute(own, PATIENCE, operation)
        return operation.read(rows)

    async def run_all(self, script: Script[T]) -> T:
        """Run the operations of a script in one transaction, and return what it returns."""
        with translated():
            async with self._connection() as connection, connection.transaction():
                await connection.execute(self._queries["begin"].encode(), prepare=False)
                answer = None
                try:
                    while True:
                        operation = script.send(answer)
                        rows = await self._execute(connection, PATIENCE, operation)
                        answer = operation.read(rows)
                except StopIteration as end:
                    result: T = end.value
                    return result

    async def close(self) -> None:
        """Close the connections, unless the engine is the caller's."""
        if self._owned:
            await self.engine.dispose()

    async def _execute(
        self, connection: AsyncConnection, patience: str | None, operation: Operation[Any]
    ) -> list[Row]:
        async with AsyncCursor(connection, row_factory=tuple_row) as cursor:
            if not self._fits:
                await cursor.execute(self._queries["schema_version"].encode())
                check_version(await cursor.fetchall())
                self._fits = True
            params = {**operation.params, "patience": patience}
            statement = self._queries[operation.statement].encode()
            await cursor.execute(statement, params, prepare=self._prepare)
            return await cursor.fetchall() if returns_rows(cursor) else []

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        async with self.engine.connect() as pooled:
            connection = (await pooled.get_raw_connection()).driver_connection
            assert isinstance(connection, psycopg.AsyncConnection)  # noqa: S101 - see check_engine
            before = connection.autocommit
            if not before:
                await connection.commit()  # what a listener of the caller's pool has begun
                await connection.set_autocommit(True)
            try:
                yield connection
            finally:
                if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                    if not before:
                        await connection.set_autocommit(False)
                else:
                    # Closed, or interrupted in the middle of a statement.
                    await pooled.invalidate()
