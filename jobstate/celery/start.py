"""How a delivery becomes an attempt: the take, and what follows from each of its answers."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from celery import Task
from celery.exceptions import Ignore, Reject

from jobstate import attempts
from jobstate.attempts import Hold, Policy, Taking
from jobstate.celery.attempt import Attempt, running_attempt
from jobstate.celery.publish import TICKET
from jobstate.celery.runtime import Runtime
from jobstate.creation import NewJob, create_job
from jobstate.errors import JobFailed, JobNotFound, SchemaMismatch, StoreUnavailable
from jobstate.operations import about
from jobstate.records import Job
from jobstate.states import JobStatus
from jobstate.values import job_id_of
from jobstate.waiting import backoff

logger = logging.getLogger("jobstate")

_eager_worker: ContextVar[UUID | None] = ContextVar("jobstate_eager_worker", default=None)


@dataclass(frozen=True, slots=True)
class Landed:
    """The job has landed, and its follow-ups have still to be dispatched."""

    result: Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that reached a worker."""

    job_id: UUID
    ticket: int | None
    worker_id: UUID | None
    policy: Policy
    adopted: Callable[[], NewJob]
    """Describes the job to create when the message was not published as one."""


def start(runtime: Runtime, delivery: Delivery) -> Attempt | Landed:
    """Take the job, waiting for the database and the lease as long as `start_patience`.

    Raises:
        Ignore: This message is not to be run: a duplicate, or its job is gone or has landed.
        Reject: The database stayed away; a late-acking message goes back to the broker.
        JobFailed: The job landed in failed; the follow-ups of that have still to be dispatched.
    """
    gives_up_at = time.monotonic() + runtime.settings.start_patience
    for pause in backoff():
        try:
            taking = _take(runtime, delivery)
            if taking is None:
                raise Ignore(f"Job {delivery.job_id} is gone: purged, or never committed.")
            if (answer := _answer(runtime, delivery, taking)) is not None:
                return answer
            problem: object = "this worker has no lease"
        except (StoreUnavailable, SchemaMismatch) as error:
            problem = error
        if time.monotonic() + pause > gives_up_at:
            break
        logger.warning("Job %s waits %.1f s to start: %s", delivery.job_id, pause, problem)
        time.sleep(pause)
    logger.error("Job %s was not started and stays queued: %s", delivery.job_id, problem)
    if delivery.policy.idempotent:
        raise Reject(f"Job {delivery.job_id} could not be taken: {problem}", requeue=True)
    raise Ignore(f"Job {delivery.job_id} could not be taken: {problem}")


def delivery_of(
    runtime: Runtime, task: Task, policy: Policy, adopted: Callable[[], NewJob]
) -> Delivery:
    """Describe the message that the task's current request came with.

    Raises:
        Ignore: Its task id is no UUID, so it cannot be a job.
    """
    request = task.request
    try:
        job_id = job_id_of(request.id)
    except JobNotFound:
        logger.error(  # noqa: TRY400 - the traceback would only lead to the line above
            "Task %s cannot run as a job: its id %r is not a UUID. Publish it with a UUID as "
            "task_id, or without one.",
            task.name,
            request.id,
        )
        raise Ignore(f"Task id {request.id!r} is not a UUID.") from None
    ticket = (request.headers or {}).get(TICKET)
    worker_id = _eager_worker.get() if request.is_eager else runtime.seat.worker_id
    return Delivery(job_id, ticket, worker_id, policy, adopted)


@contextmanager
def eager_worker(runtime: Runtime) -> Iterator[None]:
    """Be a worker of one's own, for an eager run."""
    worker_id, store = uuid4(), runtime.service.store
    store.run(
        attempts.register_worker(
            worker_id, socket.gethostname(), os.getpid(), [], runtime.settings.lease
        )
    )
    token = _eager_worker.set(worker_id)
    try:
        yield
    finally:
        _eager_worker.reset(token)
        store.run(attempts.end_worker(worker_id))


def _take(runtime: Runtime, delivery: Delivery) -> Taking | None:
    store = runtime.service.store
    take = attempts.take(
        delivery.job_id,
        delivery.ticket or 0,
        delivery.worker_id,
        os.getpid(),
        delivery.policy,
    )
    taking = store.run(take)
    if taking is not None or delivery.ticket is not None:
        return taking
    create = create_job(delivery.adopted(), runtime.settings)
    with store.transaction() as transaction:
        transaction.run(create)
        return transaction.run(take)


def _answer(runtime: Runtime, delivery: Delivery, taking: Taking) -> Attempt | Landed | None:
    """Decide what a take's answer means. None: the job is free, but this worker has no lease."""
    job = taking.job
    if taking.done or _is_mine(delivery, job):
        hold = Hold(job.id, job.attempt, job.worker_id or UUID(int=0))
        return Attempt(runtime, job, hold, followups=taking.followups)
    if job.is_terminal and job.followups_pending:
        if job.status is JobStatus.FAILED:
            raise JobFailed(job.error_message or "The job failed.")
        return Landed(job.result)
    if job.is_terminal or job.worker_id is not None or job.attempt != (delivery.ticket or 0):
        logger.info(
            "A message of job %s was dropped: it follows attempt %s, and the job is %s at "
            "attempt %s.",
            job.id,
            delivery.ticket,
            job.status,
            job.attempt,
            extra=about(job),
        )
        raise Ignore(f"Job {job.id} is not to be started by this message.")
    return None


def _is_mine(delivery: Delivery, job: Job) -> bool:
    """Tell a take whose answer was lost from a duplicate: this process knows what it runs."""
    return (
        job.worker_id is not None
        and (job.worker_id, job.pid) == (delivery.worker_id, os.getpid())
        and job.attempt == (delivery.ticket or 0) + 1
        and running_attempt(job.id) is None
    )
