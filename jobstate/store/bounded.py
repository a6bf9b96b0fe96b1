"""Connections on which nobody waits for ever.

Keepalives and `tcp_user_timeout` notice a host that is gone. They notice nothing where something
on the way still acknowledges what is sent: a load balancer, a pooler, a server that is frozen.
"""

import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")

_Waiting = Generator[Any, Any, T]


class NoAnswerError(psycopg.OperationalError):
    """A statement was given up, and its connection with it."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when a statement is not answered in time."""

    patience: float

    def wait(self, gen: _Waiting[T], *args: Any, **kwargs: Any) -> T:
        """Wait for the server, as long as `patience` says."""
        return super().wait(_bounded(gen, self), *args, **kwargs)


class BoundedAsyncConnection(psycopg.AsyncConnection[Any]):
    """The same for asyncio."""

    patience: float

    async def wait(self, gen: _Waiting[T], *args: Any, **kwargs: Any) -> T:
        """Wait for the server, as long as `patience` says."""
        return await super().wait(_bounded(gen, self), *args, **kwargs)


def connector(patience: float) -> Callable[..., BoundedConnection]:
    """Return how an engine connects, as a listener of its event `do_connect`."""

    def connect(_dialect: Any, _record: Any, cargs: Any, cparams: Any) -> BoundedConnection:
        connection = BoundedConnection.connect(*cargs, **cparams)
        connection.patience = patience
        if not _writes_iso(connection):
            connection.execute(_ISO)
            connection.commit()
        return connection

    return connect


def async_connector(patience: float) -> Callable[..., Awaitable[BoundedAsyncConnection]]:
    """Return how an asyncio engine connects, as its argument `async_creator_fn`."""

    async def connect(*args: Any, **kwargs: Any) -> BoundedAsyncConnection:
        connection = await BoundedAsyncConnection.connect(*args, **kwargs)
        connection.patience = patience
        if not _writes_iso(connection):
            await connection.execute(_ISO)
            await connection.commit()
        return connection

    return connect


_ISO = "set datestyle to 'ISO'"


def _writes_iso(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Tell whether the server writes times as the driver can read them, which it says by itself."""
    style = connection.info.parameter_status("DateStyle")
    return style is None or style.startswith("ISO")


def _bounded(
    waiting: _Waiting[T], connection: BoundedConnection | BoundedAsyncConnection
) -> _Waiting[T]:
    """Pass on what the driver waits for; it comes by several times a second while nothing comes."""
    ends_at = time.monotonic() + connection.patience
    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= ends_at:
                # What is answered later must not be taken for the answer to something else.
                connection.pgconn.finish()
                raise NoAnswerError(f"no answer came in {connection.patience:g} s")
            wanted = waiting.send(ready)
    except StopIteration as end:
        answer: T = end.value
        return answer
