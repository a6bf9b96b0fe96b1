"""A caller's own asyncio connection: writing in its transaction, acting after its commit."""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

from jobstate.errors import ConfigurationError
from jobstate.store.callers import refuse_pipeline
from jobstate.store.sessions import after_connection, after_session


async def async_driver_connection(connection: object) -> psycopg.AsyncConnection[Any]:
    """Find the driver's connection below a caller's: of SQLAlchemy, or itself.

    A transaction of SQLAlchemy is begun if there is none, so that the caller's commit commits.

    Raises:
        ConfigurationError: It is neither, does not use psycopg 3, blocks, or is in pipeline mode.
    """
    plain: object = _unscoped(connection)
    if isinstance(plain, AsyncSession):
        plain = await plain.connection()
    found = plain
    if isinstance(plain, AsyncConnection):
        found = (await plain.get_raw_connection()).driver_connection
        if isinstance(found, psycopg.AsyncConnection) and not plain.in_transaction():
            await plain.begin()
    if isinstance(found, psycopg.AsyncConnection):
        refuse_pipeline(found)
        return found
    raise ConfigurationError(
        f"connection= is a {type(connection).__name__}: nothing may block an event loop. Pass an "
        "AsyncSession or AsyncConnection of SQLAlchemy, or an AsyncConnection of psycopg, on "
        "psycopg 3. With any other connection, call enqueue() in the thread that uses it."
    )


def after_async_commit(connection: object, action: Callable[[], object]) -> None:
    """Call `action` once, after what was written is committed; see `callers.after_commit`.

    It is called in the event loop, and must not block.
    """
    caller = _unscoped(connection)
    if isinstance(caller, AsyncSession):
        after_session(caller.sync_session, action)
    elif isinstance(caller, AsyncConnection):
        assert caller.sync_connection is not None  # noqa: S101 - see async_driver_connection
        after_connection(caller.sync_connection, action)
    elif (
        isinstance(caller, psycopg.AsyncConnection)
        and caller.info.transaction_status is TransactionStatus.IDLE
    ):
        action()


def _unscoped(connection: object) -> object:
    return connection() if isinstance(connection, async_scoped_session) else connection
