"""The engines of the stores: which are taken, how their own are made, and what a pool gives out."""

from typing import Any

import psycopg
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from jobstate.errors import ConfigurationError
from jobstate.settings import Settings
from jobstate.store.bounded import async_connector, connector


def open_engine(settings: Settings) -> Engine:
    """Make a store's own engine; it connects when first used.

    Raises:
        ConfigurationError: The URL is malformed.
    """
    engine = create_engine(url_in(settings), **_options(settings))
    event.listen(engine, "do_connect", connector(answer_patience(settings)))
    event.listen(engine.pool, "checkout", _refuse_closed)
    return engine


def open_async_engine(settings: Settings) -> AsyncEngine:
    """The same for asyncio."""
    options = _options(settings)
    options["connect_args"]["async_creator_fn"] = async_connector(answer_patience(settings))
    engine = create_async_engine(url_in(settings), **options)
    event.listen(engine.sync_engine.pool, "checkout", _refuse_closed)
    return engine


def check_engine(engine: object, kind: type[Engine | AsyncEngine]) -> None:
    """Refuse an engine of another kind, or one that does not speak psycopg 3.

    Raises:
        ConfigurationError: It is one of these.
    """
    if not isinstance(engine, kind):
        raise ConfigurationError(
            f"The database is given as {type(engine).__name__}: this takes a URL or a SQLAlchemy "
            f"{kind.__name__}. JobService goes with Engine, AsyncJobService with AsyncEngine."
        )
    dialect, driver = engine.dialect.name, engine.dialect.driver
    if (dialect, driver) != ("postgresql", "psycopg"):
        raise ConfigurationError(
            f"The engine uses {dialect}+{driver}: jobstate runs on Postgres with psycopg 3. "
            "Create it with postgresql+psycopg://..."
        )


def url_in(settings: Settings) -> URL:
    """Read the URL of the settings' database.

    Raises:
        ConfigurationError: It is malformed; the message shows nothing of it.
    """
    try:
        return make_url(settings.database_url)
    except (ArgumentError, ValueError):
        # What SQLAlchemy says may quote a part of the password.
        raise ConfigurationError(
            "The database URL is malformed: its port is no number, or a sign in the password is "
            "not escaped. It must look like postgresql+psycopg://user@host:5432/database. "
            "Correct jobstate_database_url, or what was passed instead."
        ) from None


def url_of(database: str | Engine | AsyncEngine, kind: type[Engine | AsyncEngine]) -> str:
    """Return the URL of a database that is given by it, or by an engine: password and all.

    Raises:
        ConfigurationError: It is given by something else, or by an engine that is not taken.
    """
    if isinstance(database, str):
        return database
    check_engine(database, kind)
    return database.url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def answer_patience(settings: Settings) -> float:
    """Return how long a statement may take: a renewal can be tried again within the lease."""
    return settings.lease / 2


def _options(settings: Settings) -> dict[str, Any]:
    threshold = settings.prepare_threshold
    return {
        "isolation_level": "AUTOCOMMIT",
        "pool_size": settings.pool_size,
        "max_overflow": 0,
        # The store gives back no connection that is in a transaction.
        "pool_reset_on_return": None,
        "connect_args": {
            # At 0 the driver would prepare what the pool asks each new connection, and never drop
            # it. The store asks for its own statements one by one.
            "prepare_threshold": None if threshold is None else max(threshold, 1),
            "application_name": "jobstate",
            # Whatever the environment says: the text of an error may be anything.
            "client_encoding": "utf8",
            # A black-holed link must not hold a body or a lease for minutes.
            "connect_timeout": 5,
            "keepalives_idle": 5,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": 15_000,
        },
    }


def _refuse_closed(_: object, record: ConnectionPoolEntry, _fairy: object) -> None:
    """Have the pool connect anew where the server has closed a connection while it was idle.

    A look at what has arrived costs a microsecond; to ask the server whether it is still there, as
    SQLAlchemy's `pool_pre_ping` does, costs as much as a statement.
    """
    connection = record.driver_connection
    assert isinstance(connection, psycopg.Connection | psycopg.AsyncConnection)  # noqa: S101 - see check_engine
    try:
        # Its last words, and then its end.
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        raise InvalidatePoolError from None
