"""Connections to the broker on which nobody waits for ever."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from celery import Celery
from kombu.connection import Connection
from kombu.pools import producers


class BrokerDownError(Exception):
    """The broker does not answer, for one message or for another."""


def _unless_silent(error: Exception, _: float) -> None:
    """Have a lost connection opened again, but nobody asked twice who does not answer."""
    if isinstance(error, TimeoutError | redis.TimeoutError):
        raise error


ONCE = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "errback": _unless_silent,
}


def bounded_connection(app: Celery, timeout: float) -> Connection:
    """Return a connection that gives up in time, whatever the app's own would do."""
    # The first two are Redis's, the others AMQP's.
    names = ("socket_timeout", "socket_connect_timeout", "read_timeout", "write_timeout")
    connection: Connection = app.connection_for_write(
        connect_timeout=timeout, transport_options=dict.fromkeys(names, timeout)
    )
    return connection


@contextmanager
def bounded_producer(app: Celery, timeout: float) -> Iterator[Any]:
    """Lend a producer whose connection gives up in time."""
    connection = bounded_connection(app, timeout)
    with producers[connection].acquire(block=True, timeout=timeout) as producer:
        yield producer
