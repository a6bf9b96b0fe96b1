"""The keeper: a thread of the worker's main process that holds the lease and lands what was lost.

It starts before the pool and ends after it, and never waits for the broker or Celery's event loop.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID, uuid4

from celery import bootsteps

from jobstate import attempts
from jobstate.attempts import Hold, Landing, Policy
from jobstate.celery.runtime import Runtime, installed
from jobstate.errors import JobNotFound, JobStateError
from jobstate.store import Store

logger = logging.getLogger("jobstate")

_PATIENCE_AT_END = 10.0
"""How long the end of a worker waits for its last landings, in seconds."""


class HandedOver(Protocol):
    """Something that a signal handler leaves to the keeper."""

    def land(self, store: Store, worker_id: UUID) -> None:
        """Land the job, unless what the handler knew is no longer so."""


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run whose process died, or was made to; `pids` are the processes that had it."""

    job_id: UUID
    pids: list[int]
    landing: Landing

    def land(self, store: Store, worker_id: UUID) -> None:
        """Land the job if it is still held by this worker and one of these processes."""
        store.run(attempts.land_lost(self.job_id, worker_id, self.pids, self.landing))


@dataclass(frozen=True, slots=True)
class UnstartedRun:
    """A delivery that ended before its body began."""

    job_id: UUID
    ticket: int | None
    landing: Landing

    def land(self, store: Store, worker_id: UUID) -> None:
        """Take the job like a worker would, and land it, in one transaction."""
        policy = Policy(idempotent=False, max_rescues=0, keep_partial=False, no_progress=None)
        take = attempts.take(self.job_id, self.ticket or 0, worker_id, os.getpid(), policy)
        with store.transaction() as transaction:
            taking = transaction.run(take)
            if taking is not None and taking.done:
                hold = Hold(self.job_id, taking.job.attempt, worker_id)
                transaction.run(attempts.land(hold, self.landing, None, followups=False))


class Keeper:
    """Renews the worker's lease, and lands what handlers of the main process hand over."""

    def __init__(self, runtime: Runtime, hostname: str, queues: list[str]) -> None:
        self._runtime = runtime
        self._hostname = hostname
        self._queues = queues
        self._store = Store.open(runtime.settings)
        self._handed_over: deque[HandedOver] = deque()
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="jobstate-keeper", daemon=True)

    def start(self) -> None:
        """Begin keeping; returns at once, whether the database is there or not."""
        self._runtime.keeper = self
        self._thread.start()

    def hand_over(self, run: HandedOver) -> None:
        """Leave a landing to the keeper; returns at once."""
        self._handed_over.append(run)
        self._wake.set()

    def end(self) -> None:
        """Land what is left, give up the lease, and end the thread."""
        self._ending = True
        self._wake.set()
        self._thread.join(_PATIENCE_AT_END)
        self._runtime.keeper = None
        self._runtime.seat.worker_id = None
        self._store.close()

    def _run(self) -> None:
        renew_at = 0.0
        ends_at = float("inf")
        while not (self._ending and (not self._handed_over or time.monotonic() > ends_at)):
            self._wake.clear()
            try:
                if time.monotonic() >= renew_at:
                    self._renew()
                    renew_at = time.monotonic() + self._runtime.settings.heartbeat
                self._land_next()
            except JobStateError as error:
                logger.warning("The keeper of worker %s tries again: %s", self._hostname, error)
                self._wake.wait(min(1.0, self._runtime.settings.heartbeat))
                continue
            if self._ending:
                ends_at = min(ends_at, time.monotonic() + _PATIENCE_AT_END)
            if not self._handed_over and not self._ending:
                self._wake.wait(max(0.0, renew_at - time.monotonic()))
        self._leave()

    def _renew(self) -> None:
        settings, seat = self._runtime.settings, self._runtime.seat
        worker_id = seat.worker_id
        if worker_id is not None:
            if self._store.run(attempts.renew_lease(worker_id, settings.lease)):
                return
            logger.error(
                "Worker %s lost its lease and was given up: it goes on under a new id.",
                self._hostname,
            )
        fresh = uuid4()
        self._store.run(
            attempts.register_worker(
                fresh, self._hostname, os.getpid(), self._queues, settings.lease
            )
        )
        seat.worker_id = fresh

    def _land_next(self) -> None:
        worker_id = self._runtime.seat.worker_id
        if not self._handed_over or worker_id is None:
            return
        try:
            self._handed_over[0].land(self._store, worker_id)
        except JobNotFound as error:
            logger.info("Nothing to land: %s", error)
        self._handed_over.popleft()

    def _leave(self) -> None:
        if (worker_id := self._runtime.seat.worker_id) is not None:
            try:
                self._store.run(attempts.end_worker(worker_id))
            except JobStateError as error:
                logger.warning("Worker %s could not sign off: %s", self._hostname, error)


class KeeperStep(bootsteps.Step):  # type: ignore[misc]  # Celery ships no types
    """Starts the keeper while the worker is put together: before its pool forks."""

    label = "jobstate"

    def create(self, worker: Any) -> None:
        """Start the keeper of the worker's app."""
        runtime = installed(worker.app)
        if runtime is not None:
            queues = [str(name) for name in worker.app.amqp.queues.consume_from]
            Keeper(runtime, worker.hostname or socket.gethostname(), queues).start()


def end_keeper(sender: Any, **_: Any) -> None:
    """End the keeper of a worker whose pool has ended."""
    runtime = installed(sender.app)
    if runtime is not None and runtime.keeper is not None:
        runtime.keeper.end()
