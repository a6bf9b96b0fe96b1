"""How a delivery becomes an attempt: the take, and what follows from each of its answers."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from celery import Task
from celery.exceptions import Ignore, Reject

from jobstate import attempts, publishing
from jobstate.answers import about
from jobstate.attempts import Hold, Policy, Taking
from jobstate.celery.attempt import Attempt
from jobstate.celery.eager import taker_of
from jobstate.celery.patience import insist
from jobstate.celery.publish import TICKET
from jobstate.celery.runtime import Runtime
from jobstate.counters import DUPLICATE_DELIVERIES
from jobstate.creation import NewJob, create_job
from jobstate.errors import JobNotFound, SchemaMismatch, StoreUnavailable
from jobstate.records import Job
from jobstate.store import Operation, Script
from jobstate.values import job_id_of
from jobstate.waiting import backoff

logger = logging.getLogger("jobstate")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that reached a worker."""

    job_id: UUID
    ticket: int | None
    taker: Callable[[], UUID | None]
    """Under which id it takes the job: a worker gets its lease later than its first message."""
    policy: Policy
    adopted: Callable[[], NewJob]
    """Describes the job to create when the message was not published as one."""

    @property
    def comes_again(self) -> bool:
        """Whether the broker or a row brings it again; one of neither would be lost."""
        return self.policy.idempotent or self.ticket is not None


def start(runtime: Runtime, delivery: Delivery) -> Attempt:
    """Take the job, waiting for the database and the lease as long as `start_patience`.

    An attempt that has landed already has only to dispatch what follows it.

    Raises:
        Ignore: This message is not to be run: a duplicate, or its job is gone or has landed.
        Reject: The database stayed away; a late-acking message goes back to the broker.
    """
    gives_up_at = time.monotonic() + runtime.settings.start_patience
    for pause in backoff():
        try:
            taking = _take(runtime, delivery)
            if taking is None:
                logger.info(
                    "A message of job %s was dropped: the job is gone, purged, or never committed.",
                    delivery.job_id,
                    extra={"job_id": str(delivery.job_id)},
                )
                raise Ignore(f"Job {delivery.job_id} is gone.")
            if (answer := _answer(runtime, delivery, taking)) is not None:
                return answer
            problem: object = "this worker has no lease"
        except (StoreUnavailable, SchemaMismatch) as error:
            problem = error
        if time.monotonic() + pause > gives_up_at and delivery.comes_again:
            break
        logger.warning("Job %s waits %.1f s to start: %s", delivery.job_id, pause, problem)
        time.sleep(pause)
    logger.error("Job %s was not started and stays queued: %s", delivery.job_id, problem)
    if delivery.policy.idempotent:
        raise Reject(f"Job {delivery.job_id} could not be taken: {problem}", requeue=True)
    put_back = partial(_put_back, runtime, delivery)
    threading.Thread(target=put_back, name="jobstate-put-back", daemon=True).start()
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
    return Delivery(job_id, ticket, lambda: taker_of(runtime, request), policy, adopted)


def _take(runtime: Runtime, delivery: Delivery) -> Taking | None:
    store = runtime.service.store
    take = partial(
        attempts.take,
        delivery.job_id,
        delivery.ticket or 0,
        delivery.taker(),
        os.getpid(),
        delivery.policy,
    )
    taking = store.run(take())
    if taking is not None or delivery.ticket is not None:
        return taking
    create = create_job(delivery.adopted(), runtime.settings)
    return store.run_all(_adopt(create, take(adopting=True)))


def _put_back(runtime: Runtime, delivery: Delivery) -> None:
    """Have the row bring a message again that the broker has forgotten, once there is a database.

    Should the process end before, the sweeper needs evidence of the loss.
    """
    again = publishing.put_back(
        delivery.job_id, delivery.ticket or 0, None, runtime.settings.lost_grace
    )
    insist(lambda: runtime.service.store.run(again), delivery.job_id)


def _adopt(create: Operation[Job | None], take: Operation[Taking | None]) -> Script[Taking | None]:
    yield create
    taking: Taking | None = yield take
    return taking


def _answer(runtime: Runtime, delivery: Delivery, taking: Taking) -> Attempt | None:
    """Decide what a take's answer means. None: the job is free, but this worker has no lease."""
    job = taking.job
    if taking.done or _is_mine(delivery, job):
        hold = Hold(job.id, job.attempt, job.worker_id or UUID(int=0), os.getpid())
        attempt = Attempt(runtime, job, hold, followups=taking.followups)
        if attempt.claim(taken=taking.done):
            return attempt
    # A message that is none of ours has callbacks whose ids are not settled: the row's own has.
    if job.is_terminal and job.followups_pending and delivery.ticket is not None:
        return Attempt.landed(runtime, job)
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
        DUPLICATE_DELIVERIES.add()
        runtime.service.store.run(attempts.note(job.id, "duplicate_delivery", job.attempt))
        raise Ignore(f"Job {job.id} is not to be started by this message.")
    return None


def _is_mine(delivery: Delivery, job: Job) -> bool:
    """Say whether this may be a take whose answer was lost; `Attempt.claim` has the last word."""
    return (
        job.worker_id is not None
        and (job.worker_id, job.pid) == (delivery.taker(), os.getpid())
        and job.attempt == (delivery.ticket or 0) + 1
    )
