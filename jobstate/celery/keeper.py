"""The keeper: a thread of the worker's main process that settles what was lost, and the lease's.

They start before the pool and end after it, and never wait for Celery's event loop.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID
from weakref import WeakSet

from celery import bootsteps
from celery.concurrency.prefork import TaskPool
from celery.worker.request import Request
from celery.worker.state import active_requests, reserved_requests

from jobstate import sweeping
from jobstate.attempts import Hold
from jobstate.celery.forking import KeeperStore, Work, share_memory
from jobstate.celery.handover import Desk, HandedOver, is_gone
from jobstate.celery.lease import Lease
from jobstate.celery.publish import TICKET
from jobstate.celery.runtime import Runtime, installed
from jobstate.celery.task import JobTask
from jobstate.errors import ConfigurationError, JobNotFound, JobStateError, StoreUnavailable
from jobstate.storage import Storage
from jobstate.sweeper import Sweeper
from jobstate.values import job_id_of
from jobstate.waiting import looks

logger = logging.getLogger("jobstate")

_WATCHING = 1.0
"""How often it is looked whether task events are on, in seconds."""

_PATIENCE_AT_END = 10.0
"""How long the end of a worker waits for what was handed over last, in seconds."""


class Keeper:
    """Keeps the worker's lease, settles what was handed over, answers for its jobs, sweeps."""

    def __init__(self, runtime: Runtime, worker: Any) -> None:
        self._runtime = runtime
        self._worker = worker
        self._settings = runtime.settings
        self._hostname = worker.hostname or socket.gethostname()
        self._lease = Lease(runtime, self._hostname, self._queues)
        self._store = KeeperStore.open(runtime.settings)
        self._sweeper = Sweeper(
            self._store,
            runtime.settings,
            publish=self._publish,
            beacon=self,
            files=_KeeperFiles.open(runtime, self._store.work),
        )
        self._handed_over: deque[HandedOver] = deque()
        self._suspects: dict[tuple[UUID, int], float] = {}
        self._overdue: set[UUID] = set()
        self._woken = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep_jobs, name="jobstate-keeper", daemon=True)

    def start(self) -> None:
        """Begin; returns at once, whether the database is there or not."""
        self._runtime.keeper = self
        # Before the pool forks, which may be long before there is a lease.
        self._runtime.seat.main_pid = os.getpid()
        self._runtime.seat.hostname = self._hostname
        self._lease.start()
        self._thread.start()

    def hand_over(self, event: HandedOver) -> None:
        """Leave something to the keeper; returns at once."""
        self._handed_over.append(event)
        self._woken.set()

    def end(self) -> None:
        """Settle what is left, give up the lease, and end the threads."""
        self._ending.set()
        self._woken.set()
        self._thread.join(_PATIENCE_AT_END)
        # Last: without a lease nothing can be settled.
        self._lease.end(_PATIENCE_AT_END)
        self._runtime.keeper = None
        self._runtime.seat.worker_id = self._runtime.seat.main_pid = None
        self._store.close()

    def _queues(self) -> list[str]:
        """Return what the worker consumes now: remote control adds queues, and cancels them."""
        return [str(name) for name in list(self._worker.app.amqp.queues.consume_from)]

    def _keep_jobs(self) -> None:
        duties: list[tuple[Callable[[], object], float]] = [
            (self._answer_for_jobs, min(self._settings.lost_grace, self._settings.heartbeat)),
            (self._sweeper.sweep, self._settings.sweep_interval),
            (self._end_runs, self._settings.sweep_interval),
            (self._tell_what_waits, self._settings.sweep_interval),
            (self._tell_who_watches, _WATCHING),
        ]
        due_at = [0.0 for _ in duties]
        while not self._ending.is_set():
            self._woken.clear()
            for index, (duty, interval) in enumerate(duties):
                if time.monotonic() >= due_at[index]:
                    self._attempt(duty)
                    due_at[index] = time.monotonic() + interval
            if not self._attempt(self._settle_all):
                due_at.append(time.monotonic() + 1.0)
            self._woken.wait(max(0.0, min(due_at) - time.monotonic()))
            del due_at[len(duties) :]
        for pause in looks(_PATIENCE_AT_END / 2):
            self._woken.clear()
            if self._attempt(self._settle_all) or pause is None:
                break
            self._woken.wait(pause)

    def _attempt(self, duty: Callable[[], object]) -> bool:
        try:
            duty()
        except JobStateError as error:
            logger.warning("The keeper of worker %s tries again: %s", self._hostname, error)
            return False
        except Exception:
            # Without this thread nobody would answer for the worker's jobs.
            logger.exception("The keeper of worker %s stumbled.", self._hostname)
            return False
        return True

    def _settle_all(self) -> None:
        worker_id = self._runtime.seat.worker_id
        while self._handed_over and worker_id is not None:
            event = self._handed_over[0]
            try:
                event.settle(self._desk(worker_id))
            except StoreUnavailable:
                # The next one may fare better, and must not wait for this one.
                self._handed_over.rotate(-1)
                raise
            except Exception:
                logger.exception("The keeper could not settle %s.", event)
            self._handed_over.popleft()

    def _desk(self, worker_id: UUID) -> Desk:
        grace, bench = self._settings.lost_grace, self._runtime.bench
        return Desk(self._store, self._sweeper, worker_id, grace, bench)

    def _answer_for_jobs(self) -> None:
        """Rescue jobs that this worker holds but none of its processes runs, seen twice."""
        if (worker_id := self._runtime.seat.worker_id) is None:
            return
        held, bench = self._store.run(sweeping.held_by(worker_id)), self._runtime.bench
        told = {event.job_id for event in list(self._handed_over)}
        gone = {
            key
            for key, pid in held.items()
            if key[0] not in told and is_gone(Hold(*key, worker_id), pid, bench)
        }
        now = time.monotonic()
        self._suspects = {key: self._suspects.get(key, now) for key in gone}
        for (job_id, attempt), first_seen in self._suspects.items():
            if now - first_seen >= self._settings.lost_grace:
                self._sweeper.rescue(Hold(job_id, attempt, worker_id))

    def _publish(self, job_id: UUID) -> bool:
        with self._store.work:
            return self._runtime.publish_stored(job_id, again=True)

    def is_lit(self, name: UUID) -> bool | None:
        """Ask the broker while nobody forks; see `Beacon`."""
        with self._store.work:
            return self._runtime.beacon.is_lit(name)

    def light(self, name: UUID) -> bool:
        """Mark the broker while nobody forks; see `Beacon`."""
        with self._store.work:
            return self._runtime.beacon.light(name)

    def _end_runs(self) -> None:
        """Terminate runs of jobs that were ended without them: cancelled, or past a deadline.

        Not by Celery's revoke: it would also discard the message that brings the errbacks.
        """
        pool, hub = self._worker.pool, self._worker.hub
        if not isinstance(pool, TaskPool) or hub is None:
            return  # Elsewhere Celery cannot end a run; it is fenced out, and ends by itself.
        active = _jobs_among(active_requests)
        ended = self._store.run(sweeping.ended_among(list(active))) if active else set()
        for job_id in ended & self._overdue:
            logger.warning("The run of job %s is terminated: the job has landed.", job_id)
            hub.call_soon(_terminate, active[job_id], pool)
        # Seen twice: a run that has just ended its job itself is still active for a moment.
        self._overdue = ended

    def _tell_what_waits(self) -> None:
        """Note which messages wait here: for a free process, or for their rate limit.

        But for those that wait for their time, because this worker's clock may be wrong.
        """
        waiting = {
            job_id: request.request_dict.get(TICKET) or 0
            for job_id, request in _jobs_among(reserved_requests).items()
            if request.eta is None and request.time_start is None
        }
        if waiting:
            self._store.run(sweeping.delivered(waiting))

    def _tell_who_watches(self) -> None:
        """Have the pool know whether task events are on, which a monitor turns on from afar."""
        consumer = getattr(self._worker, "consumer", None)
        dispatcher = getattr(consumer, "event_dispatcher", None)
        self._runtime.seat.watched = (
            dispatcher is not None
            and dispatcher.enabled
            and (not dispatcher.groups or "task" in dispatcher.groups)
        )


class _KeeperFiles:
    """The storage of the worker's app, for its sweeper: no process is forked in the middle."""

    def __init__(self, storage: Storage, work: Work) -> None:
        self._storage = storage
        self._work = work

    @classmethod
    def open(cls, runtime: Runtime, work: Work) -> "_KeeperFiles | None":
        """Return the files, or None where there is no storage, or none that can be used here."""
        try:
            storage = runtime.service.storage
        except ConfigurationError as error:
            logger.error("This worker removes no files: %s", error)  # noqa: TRY400 - says it all
            return None
        return None if storage is None else cls(storage, work)

    def url_of(self, path: str) -> str:
        return self._storage.url_of(path)

    def delete(self, path: str) -> None:
        with self._work:
            self._storage.delete(path)


def _terminate(request: Request, pool: TaskPool) -> None:
    # In Celery's own thread: the run may have ended, and its process may have another one.
    if request in active_requests:
        request.terminate(pool)


def _jobs_among(requests: WeakSet[Request]) -> dict[UUID, Request]:
    """Find the jobs among what Celery has in hand."""
    found = {}
    # A copy in one step: Celery's own thread adds to it, which iterating does not survive.
    for request in (alive() for alive in requests.data.copy()):  # type: ignore[attr-defined]
        if request is not None and isinstance(request.task, JobTask):
            with suppress(JobNotFound):
                found[job_id_of(request.id)] = request
    return found


class KeeperStep(bootsteps.Step):  # type: ignore[misc]  # Celery ships no types
    """Starts the keeper while the worker is put together: before its pool forks."""

    label = "jobstate"

    def create(self, worker: Any) -> None:
        """Start the keeper of the worker's app."""
        runtime = installed(worker.app)
        if runtime is None:
            return
        if issubclass(worker.pool_cls, TaskPool):
            share_memory()
        Keeper(runtime, worker).start()


def end_keeper(sender: Any, **_: Any) -> None:
    """End the keeper of a worker whose pool has ended."""
    runtime = installed(sender.app)
    if runtime is not None and runtime.keeper is not None:
        runtime.keeper.end()
