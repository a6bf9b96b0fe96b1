"""A caller's own connection: writing in its transaction, acting after its commit."""

import sys
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from jobstate.errors import ConfigurationError
from jobstate.store.sessions import after_connection, after_session

ASYNCIO = (AsyncConnection, AsyncSession, async_scoped_session, psycopg.AsyncConnection)
"""The connections that are awaited."""


def driver_connection(connection: object) -> psycopg.Connection[Any]:
    """Find the driver's connection below a caller's: of SQLAlchemy, of Django, or itself.

    A transaction of SQLAlchemy is begun if there is none, so that the caller's commit commits.

    Raises:
        ConfigurationError: It is none of these, does not use psycopg 3, is asyncio's, or is in
            pipeline mode.
    """
    plain = _plain(connection)
    found: object = plain
    if is_django(plain):
        plain.validate_no_broken_transaction()
        with plain.cursor() as cursor:
            found = getattr(cursor, "connection", None)
    elif isinstance(plain, Connection):
        found = plain.connection.driver_connection
    if isinstance(found, psycopg.Connection):
        refuse_pipeline(found)
        if isinstance(plain, Connection) and not plain.in_transaction():
            plain.begin()
        return found
    if isinstance(connection, ASYNCIO):
        raise ConfigurationError(
            f"connection= is an asyncio {type(connection).__name__}: this call blocks. "
            "Await jobs.aenqueue(), or job.acomplete_in(), instead."
        )
    raise ConfigurationError(
        f"connection= is {_described(connection, found)}: jobs are written in the transaction of a "
        "Session or Connection of SQLAlchemy, a Connection of psycopg, or a connection of Django, "
        "each on psycopg 3. Pass one, or leave it out."
    )


def refuse_pipeline(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Refuse a connection that answers later.

    Raises:
        ConfigurationError: It is in pipeline mode.
    """
    if connection.pgconn.pipeline_status != PipelineStatus.OFF:
        raise ConfigurationError(
            "connection= is in pipeline mode: it answers later, and whether a job was written must "
            "be known at once. Do this before the pipeline, or after it."
        )


def after_commit(connection: object, action: Callable[[], object]) -> None:
    """Call `action` once, after what was written with `connection` is committed.

    A Session and Django's connection call it after the outermost commit, and never when they are
    rolled back; without a transaction, now. A Connection of SQLAlchemy calls it when the
    transaction is over for certain, rolled back or not: when the next one begins, or when the
    connection goes back to its pool. A psycopg Connection has no such moment: in a transaction,
    nothing is called.
    """
    caller = _unscoped(connection)
    if isinstance(caller, Session):
        after_session(caller, action)
    elif isinstance(caller, Connection):
        after_connection(caller, action)
    elif is_django(caller):
        # Where Django was told to leave transactions alone, it cannot tell of their end either.
        if caller.in_atomic_block or caller.get_autocommit():
            caller.on_commit(action, robust=True)
    elif driver_connection(connection).info.transaction_status is TransactionStatus.IDLE:
        action()


def is_django(connection: Any) -> bool:
    """Tell whether it is ``django.db.connection``, or one of ``django.db.connections``."""
    base = sys.modules.get("django.db.backends.base.base")
    if base is None:
        return False
    proxy = sys.modules["django.utils.connection"].ConnectionProxy
    return isinstance(connection, base.BaseDatabaseWrapper | proxy)


def _plain(connection: object) -> Any:
    connection = _unscoped(connection)
    return connection.connection() if isinstance(connection, Session) else connection


def _unscoped(connection: object) -> Any:
    """Find the Session that a caller works with: its own, or the one of this thread or request."""
    return connection() if isinstance(connection, scoped_session) else connection


def _described(connection: object, found: object) -> str:
    described = f"a {type(connection).__name__}"
    if found is connection or found is None:
        return described
    return f"{described} on {type(found).__module__}.{type(found).__qualname__}"
