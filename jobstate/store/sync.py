"""Runs operations on blocking connections."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import Engine, create_engine

from jobstate.errors import ConfigurationError
from jobstate.settings import Settings
from jobstate.store.failures import translated
from jobstate.store.migrations import check_version
from jobstate.store.queries import Operation, Row, load_queries

T = TypeVar("T")

Connection = psycopg.Connection[Any]


class Store:
    """Runs operations on connections of one engine's pool. Safe across threads and forks.

    Each operation is one transaction of its own, unless it is given a caller's connection.

    Args:
        engine: A SQLAlchemy engine with the psycopg driver.
        schema: The schema of the tables.
        prepare_threshold: After how many executions a statement is prepared; None: never.

    Raises:
        ConfigurationError: The engine does not use psycopg 3.
    """

    def __init__(
        self, engine: Engine, *, schema: str = "jobstate", prepare_threshold: int | None = 0
    ) -> None:
        check_driver(engine.dialect.driver, engine.dialect.name)
        self.engine = engine
        self.schema = schema
        self._queries = load_queries(schema)
        self._prepare = prepare_mode(prepare_threshold)
        self._fits = False
        self._pid = os.getpid()

    @classmethod
    def open(cls, settings: Settings, engine: Engine | None = None) -> Self:
        """Make a store, with an engine of its own unless given one; it connects when first used."""
        if engine is None:
            engine = create_engine(settings.database_url, **engine_options(settings))
        return cls(engine, schema=settings.schema, prepare_threshold=settings.prepare_threshold)

    def run(self, operation: Operation[T], connection: Connection | None = None) -> T:
        """Run an operation, in a transaction of its own or in the one of `connection`.

        Raises:
            StoreUnavailable: The database cannot be reached, or did not answer in time.
            SchemaMismatch: Its tables are missing or too old.
        """
        with translated():
            if connection is not None:
                rows = self._execute(connection, operation)
            else:
                with self._connection() as own:
                    rows = self._execute(own, operation)
        return operation.read(rows)

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """Run several operations as one: all of them commit, or none."""
        with translated(), self._connection() as connection, connection.transaction():
            yield Transaction(self, connection)

    def close(self) -> None:
        """Close the connections of this process."""
        self.engine.dispose()

    def _execute(self, connection: Connection, operation: Operation[Any]) -> list[Row]:
        with connection.cursor(row_factory=tuple_row) as cursor:
            if not self._fits:
                cursor.execute(self._queries["schema_version"].encode())
                check_version(cursor.fetchall())
                self._fits = True
            statement = self._queries[operation.statement].encode()
            cursor.execute(statement, operation.params, prepare=self._prepare)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if os.getpid() != self._pid:
            # The parent's connections are the parent's: forget them without closing them.
            self.engine.dispose(close=False)
            self._pid = os.getpid()
        pooled = self.engine.raw_connection()
        try:
            connection = pooled.driver_connection
            assert isinstance(connection, psycopg.Connection)  # noqa: S101 - see check_driver
            before = connection.autocommit
            connection.autocommit = True
            try:
                yield connection
            finally:
                if connection.closed:
                    pooled.invalidate()
                else:
                    connection.autocommit = before
        finally:
            pooled.close()


class Transaction:
    """Operations that commit together; see `Store.transaction`."""

    def __init__(self, store: Store, connection: Connection) -> None:
        self._store = store
        self._connection = connection

    def run(self, operation: Operation[T]) -> T:
        """Run an operation as a part of the transaction."""
        return self._store.run(operation, self._connection)


def check_driver(driver: str, dialect: str) -> None:
    """Refuse an engine that does not speak psycopg 3.

    Raises:
        ConfigurationError: It uses another driver.
    """
    if (dialect, driver) != ("postgresql", "psycopg"):
        raise ConfigurationError(
            f"The engine uses {dialect}+{driver}: jobstate runs on Postgres with psycopg 3. "
            "Create it with postgresql+psycopg://..."
        )


def prepare_mode(threshold: int | None) -> bool | None:
    """Say how the driver is to prepare: always, never, or by its own count."""
    if threshold is None:
        return False
    return True if threshold == 0 else None


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return what a store's own engine is made with, blocking or not."""
    return {
        "isolation_level": "AUTOCOMMIT",
        "pool_size": settings.pool_size,
        "max_overflow": 0,
        "pool_pre_ping": True,
        "connect_args": {
            "prepare_threshold": settings.prepare_threshold,
            "application_name": "jobstate",
            # A black-holed link must not hold a body or a lease for minutes.
            "connect_timeout": 5,
            "keepalives_idle": 5,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": 15_000,
        },
    }
