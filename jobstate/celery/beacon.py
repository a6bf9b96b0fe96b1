"""A message that nobody consumes: where it is gone, the broker has lost all others too."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from celery import Celery
from kombu.exceptions import ChannelError
from kombu.simple import SimpleQueue

from jobstate.celery.broker import pool_of

logger = logging.getLogger("jobstate")


class BrokerBeacon:
    """Keeps one message in a queue of its own, in the broker of an app."""

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._timeout = timeout

    def is_lit(self, name: UUID) -> bool | None:
        """Tell whether the message is there. None: the broker did not answer."""
        try:
            with self._queue(name) as queue:
                return bool(queue.qsize())
        except ChannelError:
            return False  # To some transports an empty queue is none.
        except Exception as error:  # noqa: BLE001 - every transport has its own
            logger.debug("The broker could not be asked whether it was emptied: %s", error)
            return None

    def light(self, name: UUID) -> bool:
        """Leave the message; return whether the broker took it."""
        try:
            with self._queue(name) as queue:
                queue.put({}, retry=False)
        except Exception as error:  # noqa: BLE001 - every transport has its own
            logger.warning("The broker could not be marked: %s", error)
            return False
        return True

    @contextmanager
    def _queue(self, name: UUID) -> Iterator[SimpleQueue]:
        connections = pool_of(self._app, self._timeout).connections
        with (
            connections.acquire(block=True, timeout=self._timeout) as borrowed,
            borrowed.SimpleQueue(f"jobstate-beacon-{name}") as queue,
        ):
            yield queue
