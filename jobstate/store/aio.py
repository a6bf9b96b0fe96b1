"""Runs operations on asyncio connections."""

import os
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from jobstate.settings import Settings
from jobstate.store.cursors import AsyncCursor, returns_rows
from jobstate.store.engines import check_engine, open_async_engine
from jobstate.store.failures import translated
from jobstate.store.queries import Operation, Row, Script, load_queries
from jobstate.store.sync import PATIENCE, prepare_mode
from jobstate.store.version import check_version

T = TypeVar("T")

AsyncConnection = psycopg.AsyncConnection[Any]


class AsyncStore:
    """Runs operations on connections of one asyncio engine's pool; see `sync.Store`.

    A store that was opened without an engine may be used from several event loops, each of which
    has connections of its own. Those of a loop that was closed without `close` are closed when the
    next one begins to use the store.

    Args:
        engine: A SQLAlchemy asyncio engine with the psycopg driver.
        schema: The schema of the tables.
        prepare_threshold: After how many executions a statement is prepared; None: never.
        another: How to make an engine for a further event loop; None: the engine is the caller's.

    Raises:
        ConfigurationError: The engine does not use psycopg 3, or is a blocking one.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        schema: str = "jobstate",
        prepare_threshold: int | None = 0,
        another: Callable[[], AsyncEngine] | None = None,
    ) -> None:
        check_engine(engine, AsyncEngine)
        self._unused = [engine]
        self._another = another
        self._pools: WeakKeyDictionary[AbstractEventLoop, _Pool] = WeakKeyDictionary()
        self._pid = os.getpid()
        self.schema = schema
        self._queries = load_queries(schema)
        self._prepare = prepare_mode(prepare_threshold)
        self._fits = False

    @property
    def engine(self) -> AsyncEngine:
        """The engine of the running event loop: a pool belongs to one."""
        if self._another is None:
            return self._unused[0]
        if os.getpid() != self._pid:
            # The parent's connections are the parent's, whichever loop they are of.
            self._pools = WeakKeyDictionary()
            self._pid = os.getpid()
        loop = get_running_loop()
        if (pool := self._pools.get(loop)) is None:
            self._close_ended()
            try:
                unused = self._unused.pop()
            except IndexError:
                unused = self._another()
            pool = self._pools[loop] = _Pool(unused)
        return pool.engine

    @classmethod
    def open(cls, settings: Settings, engine: AsyncEngine | None = None) -> Self:
        """Make a store, with an engine of its own unless given one; it connects when first used.

        Raises:
            ConfigurationError: The URL is malformed.
        """
        another = partial(open_async_engine, settings)
        return cls(
            engine or another(),
            schema=settings.schema,
            prepare_threshold=settings.prepare_threshold,
            another=another if engine is None else None,
        )

    async def run(self, operation: Operation[T], connection: AsyncConnection | None = None) -> T:
        """Run an operation, in a transaction of its own or in the one of `connection`.

        Raises:
            StoreUnavailable: The database cannot be reached, or did not answer in time.
            SchemaMismatch: Its tables are missing or too old.
        """
        with translated(operation.remedy):
            if connection is not None:
                rows = await self._execute(connection, None, operation)
            else:
                async with self._connection() as own:
                    rows = await self._execute(own, PATIENCE, operation)
        return operation.read(rows)

    async def run_each(self, script: Script[T], connection: AsyncConnection | None = None) -> T:
        """Run the operations of a script one after the other, each like `run` does."""
        answer = None
        try:
            while True:
                answer = await self.run(script.send(answer), connection)
        except StopIteration as end:
            result: T = end.value
            return result

    async def run_within(self, script: Script[T], connection: AsyncConnection) -> T:
        """Run the operations of a script in a caller's transaction, or in one of their own."""
        around = connection.transaction() if connection.autocommit else nullcontext()
        with translated():
            async with around:
                return await self.run_each(script, connection)

    async def run_all(self, script: Script[T]) -> T:
        """Run the operations of a script in one transaction, and return what it returns."""
        with translated():
            async with (
                self._connection() as connection,
                _read_committed(connection),
                connection.transaction(),
            ):
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
        """Close the connections of this event loop, unless the engine is the caller's."""
        if self._another is not None:
            await self.engine.dispose()

    def _close_ended(self) -> None:
        # A pool has its loop, and so would keep it here for ever.
        for reference in self._pools.keyrefs():
            if (loop := reference()) is not None and loop.is_closed():
                ended = self._pools.pop(loop, None)
                if ended is not None:
                    ended.close()

    async def _execute(
        self, connection: AsyncConnection, patience: str | None, operation: Operation[Any]
    ) -> list[Row]:
        async with AsyncCursor(connection, row_factory=tuple_row) as cursor:
            if not self._fits:
                await cursor.execute(self._queries["schema_version"].encode())
                check_version(await cursor.fetchall())
                self._fits = True
            params = {**operation.params, "patience": patience}
            for name in operation.statements:
                statement = self._queries[name].encode()
                await cursor.execute(statement, params, prepare=self._prepare)
                if rows := await cursor.fetchall() if returns_rows(cursor) else []:
                    break
            return rows

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


class _Pool:
    """The engine of one event loop, and what it has connected."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._connections: WeakSet[AsyncConnection] = WeakSet()
        event.listen(engine.sync_engine.pool, "connect", self._connected)

    def close(self) -> None:
        """Close all connections of a loop that was closed: nothing can be awaited there."""
        for connection in list(self._connections):
            connection.pgconn.finish()

    def _connected(self, _: object, record: ConnectionPoolEntry) -> None:
        connection = record.driver_connection
        assert isinstance(connection, psycopg.AsyncConnection)  # noqa: S101 - see check_engine
        self._connections.add(connection)


@asynccontextmanager
async def _read_committed(connection: AsyncConnection) -> AsyncIterator[None]:
    """Do the same as its namesake of the blocking store."""
    before = connection.isolation_level
    await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
    try:
        yield
    finally:
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            await connection.set_isolation_level(before)
