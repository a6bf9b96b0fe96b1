"""Runs operations on blocking connections."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Self, TypeVar

import psycopg
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine

from jobstate.settings import Settings
from jobstate.store.cursors import Cursors
from jobstate.store.engines import check_engine, open_engine
from jobstate.store.failures import translated
from jobstate.store.queries import Operation, Row, Script, drive, load_queries
from jobstate.store.version import check_version

T = TypeVar("T")

Connection = psycopg.Connection[Any]

PATIENCE = "5s"
"""How long a statement waits for a lock; in a caller's transaction, the caller decides."""

_CURSORS = "jobstate_cursors"
"""Where a pooled connection keeps its cursors."""


class Store:
    """Runs operations on connections of one engine's pool. Safe across threads and forks.

    Each operation is one transaction of its own, unless it is given a caller's connection.

    Args:
        engine: A SQLAlchemy engine with the psycopg driver.
        schema: The schema of the tables.
        prepare_threshold: After how many executions a statement is prepared; None: never.
        owned: Whether `close` closes the engine's connections.

    Raises:
        ConfigurationError: The engine does not use psycopg 3, or is an asyncio one.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        schema: str = "jobstate",
        prepare_threshold: int | None = 0,
        owned: bool = False,
    ) -> None:
        check_engine(engine, Engine)
        self.engine = engine
        self.schema = schema
        self._queries = load_queries(schema)
        self._prepare = prepare_mode(prepare_threshold)
        self._owned = owned
        self._fits = False
        self._pid = os.getpid()

    @classmethod
    def open(cls, settings: Settings, engine: Engine | None = None) -> Self:
        """Make a store, with an engine of its own unless given one; it connects when first used.

        Raises:
            ConfigurationError: The URL is malformed.
        """
        return cls(
            engine or open_engine(settings),
            schema=settings.schema,
            prepare_threshold=settings.prepare_threshold,
            owned=engine is None,
        )

    def run(self, operation: Operation[T], connection: Connection | None = None) -> T:
        """Run an operation, in a transaction of its own or in the one of `connection`.

        Raises:
            StoreUnavailable: The database cannot be reached, or did not answer in time.
            SchemaMismatch: Its tables are missing or too old.
        """
        with translated(operation.remedy):
            if connection is None:
                with self._connection() as (_, cursors):
                    rows = self._execute(cursors, PATIENCE, operation)
            else:
                rows = self._execute(Cursors(connection), None, operation)
        return operation.read(rows)

    def run_each(self, script: Script[T], connection: Connection | None = None) -> T:
        """Run the operations of a script one after the other, each like `run` does."""
        return drive(script, lambda operation: self.run(operation, connection))

    def run_within(self, script: Script[T], connection: Connection) -> T:
        """Run the operations of a script in a caller's transaction, or in one of their own."""
        around = connection.transaction() if connection.autocommit else nullcontext()
        with translated(), around:
            return self.run_each(script, connection)

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """Run several operations as one: all of them commit, or none."""
        with (
            translated(),
            self._connection() as (connection, cursors),
            _read_committed(connection),
            connection.transaction(),
        ):
            connection.execute(self._queries["begin"].encode(), prepare=False)
            yield Transaction(partial(self._execute, cursors, PATIENCE))

    def run_all(self, script: Script[T]) -> T:
        """Run the operations of a script in one transaction, and return what it returns."""
        with self.transaction() as transaction:
            return drive(script, transaction.run)

    def try_all(self, script: Script[object]) -> None:
        """Run the operations of a script as `run_all` does, and undo them: only errors are left."""
        with suppress(_UndoneError), self.transaction() as transaction:
            drive(script, transaction.run)
            raise _UndoneError

    def close(self) -> None:
        """Close the connections of this process, unless the engine is the caller's."""
        if self._owned:
            self._leave_parents_alone()
            self.engine.dispose()

    def _execute(
        self, cursors: Cursors, patience: str | None, operation: Operation[Any]
    ) -> list[Row]:
        if not self._fits:
            check_version(cursors.execute(self._queries["schema_version"], {}, prepare=None))
            self._fits = True
        params = {**operation.params, "patience": patience}
        for name in operation.statements:
            if rows := cursors.execute(self._queries[name], params, prepare=self._prepare):
                break
        return rows

    def _leave_parents_alone(self) -> None:
        """Forget the connections of the process that forked this one, without closing them."""
        if os.getpid() != self._pid:
            self.engine.dispose(close=False)
            self._pid = os.getpid()

    @contextmanager
    def _connection(self) -> Iterator[tuple[Connection, Cursors]]:
        self._leave_parents_alone()
        pooled = self.engine.raw_connection()
        try:
            connection = pooled.driver_connection
            assert isinstance(connection, psycopg.Connection)  # noqa: S101 - see check_engine
            before = connection.autocommit
            try:
                # Within it, because a signal may raise at any moment, and the caller's own
                # transactions would be none on a connection that is left like this.
                if not before:
                    connection.commit()  # what a listener of the caller's pool has begun
                    connection.autocommit = True
                if _CURSORS not in pooled.info:
                    pooled.info[_CURSORS] = Cursors(connection)
                yield connection, pooled.info[_CURSORS]
            finally:
                if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                    if not before:
                        connection.autocommit = False
                else:
                    # Closed, or interrupted by a signal in the middle of a statement.
                    pooled.invalidate()
        finally:
            pooled.close()


@contextmanager
def _read_committed(connection: Connection) -> Iterator[None]:
    """Have the statements of a transaction see what was committed while they waited for a lock."""
    before = connection.isolation_level
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    try:
        yield
    finally:
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            connection.isolation_level = before


class _UndoneError(Exception):
    """Ends a transaction that is not to be committed."""


class Transaction:
    """Operations that commit together; see `Store.transaction`."""

    def __init__(self, execute: Callable[[Operation[Any]], list[Row]]) -> None:
        self._execute = execute

    def run(self, operation: Operation[T]) -> T:
        """Run an operation as a part of the transaction."""
        with translated():
            rows = self._execute(operation)
        return operation.read(rows)


def prepare_mode(threshold: int | None) -> bool | None:
    """Say how the driver is to prepare: always, never, or by its own count."""
    if threshold is None:
        return False
    return True if threshold == 0 else None
