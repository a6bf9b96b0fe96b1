"""The lease: what others know the worker to be alive by.

It has a thread and a connection of its own, which nothing else may delay.
"""

import logging
import os
import threading
from collections.abc import Callable
from uuid import uuid4

from jobstate import sweeping
from jobstate.celery.forking import KeeperStore
from jobstate.celery.runtime import Runtime
from jobstate.celery.setup import setup_of
from jobstate.errors import JobStateError
from jobstate.waiting import backoff

logger = logging.getLogger("jobstate")


class Lease:
    """Renews the worker's lease, and takes one under a new id once it was given up.

    The id is in the `seat` of the runtime while there is a lease: no body takes a job without.
    """

    def __init__(self, runtime: Runtime, hostname: str, queues: Callable[[], list[str]]) -> None:
        self._runtime = runtime
        self._settings = runtime.settings
        self._hostname = hostname
        self._queues = queues
        self._store = KeeperStore.open(runtime.settings)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="jobstate-lease", daemon=True)

    def start(self) -> None:
        """Begin; returns at once, whether the database is there or not."""
        self._thread.start()

    def end(self, patience: float) -> None:
        """Give the lease up; waits at most `patience` seconds for the database to hear of it."""
        self._ended.set()
        self._thread.join(patience)
        self._store.close()

    def _keep(self) -> None:
        pauses = backoff(slowest=1.0)
        while not self._ended.is_set():
            try:
                self._renew()
            except Exception as error:
                logger.warning(
                    "Worker %s could not renew its lease: %s",
                    self._hostname,
                    error,
                    exc_info=not isinstance(error, JobStateError),
                )
                self._ended.wait(next(pauses))
            else:
                pauses = backoff(slowest=1.0)
                self._ended.wait(self._settings.heartbeat)
        if (worker_id := self._runtime.seat.worker_id) is not None:
            try:
                self._store.run(sweeping.end_worker(worker_id))
            except JobStateError as error:
                logger.warning("Worker %s could not sign off: %s", self._hostname, error)

    def _renew(self) -> None:
        seat, lease = self._runtime.seat, self._settings.lease
        if (worker_id := seat.worker_id) is not None:
            if self._store.run(sweeping.renew_lease(worker_id, lease, self._queues())):
                return
            # Its jobs are somebody else's by now: no body may take any more under this name.
            seat.worker_id = None
            logger.error(
                "Worker %s was silent for its whole lease and was given up: it goes on under a "
                "new id.",
                self._hostname,
            )
        fresh = uuid4()
        setup = setup_of(self._runtime.app, self._settings).encode()
        self._store.run(
            sweeping.register_worker(
                fresh, self._hostname, os.getpid(), self._queues(), lease, setup
            )
        )
        seat.worker_id = fresh
