"""Connections to the broker on which nobody waits for ever."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import redis
from celery import Celery
from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.pools import connections, producers
from kombu.utils.collections import eqhash


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
    with pool_of(app, timeout).acquire(block=True, timeout=timeout) as producer:
        yield producer


def pool_of(app: Celery, timeout: float) -> Any:
    """Find Kombu's pool of bounded connections; make it where there is none, or none any more.

    Kombu finds a pool by what a connection is that was never used. To make one for that costs more
    than all else here, so what it is found by is remembered: for as long as Celery itself keeps to
    one broker, which is as long as the app has the same `amqp`.
    """
    known = _known.setdefault(app.amqp, {})
    place = (app.conf.broker_write_url, timeout)
    # As a plain dictionary, which makes no pool: a fork, and Kombu's reset, leave none.
    pool = dict.get(producers, known.get(place))
    if pool is None:
        connection = bounded_connection(app, timeout)
        known[place] = eqhash(connection)
        pool = producers[connection]
    return pool


_known: WeakKeyDictionary[AMQP, dict[tuple[str | None, float], Any]] = WeakKeyDictionary()

_inherited: list[Any] = []
"""The parent's pools, kept for ever in a forked process.

What both wrote to one socket would be taken for the words of one. And where Kombu hears of a fork,
by `multiprocessing` and Celery's pool, it closes them: it would shut the parent's own connections.
"""


def _leave_pools_to_parent() -> None:
    for found in [found for known in _known.values() for found in known.values()]:
        for group in (producers, connections):
            if (pool := dict.pop(group, found, None)) is not None:
                pool._closed = True  # noqa: SLF001 - Kombu has no other way to leave it alone
                _inherited.append(pool)


os.register_at_fork(after_in_child=_leave_pools_to_parent)
