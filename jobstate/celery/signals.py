"""Celery's signals, each translated into one verb. They decide nothing and never raise.

A handler whose process ran the body lands the job there. One that did not (the main process hears
of a lost child, a hard time limit, a revoked task) hands over to the keeper and returns: it runs
in Celery's event loop, where nobody may wait for a database. All of them fail closed: what no
handler lands stays held, and is noticed when the lease or the process is gone.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID
from weakref import WeakSet

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals
from celery.exceptions import Reject
from celery.worker.request import Request

from jobstate.celery import outcome
from jobstate.celery.attempt import Attempt, Grip, current_attempt, running_attempt
from jobstate.celery.keeper import LostRun, UnstartedRun
from jobstate.celery.publish import TICKET
from jobstate.celery.runtime import Runtime, installed
from jobstate.celery.task import JobTask
from jobstate.errors import JobNotFound
from jobstate.states import ErrorCode
from jobstate.values import job_id_of

logger = logging.getLogger("jobstate")

Handler = Callable[..., None]


def connect() -> None:
    """Connect every handler; repeatable."""
    for name, handler in _HANDLERS.items():
        getattr(signals, name).connect(handler, dispatch_uid=f"jobstate.{name}", weak=False)


def _never_raising(handler: Handler) -> Handler:
    @functools.wraps(handler)
    def call(**given: Any) -> None:
        try:
            handler(**given)
        except Exception:
            # Celery would swallow it too, without saying which job is concerned.
            logger.exception("jobstate could not handle %s", handler.__name__)

    return call


@_never_raising
def _on_failure(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    """Land the job of a body that raised, of a lost process, or of one that never began."""
    runtime, job_id = _job_of(sender, task_id)
    if runtime is None or job_id is None:
        return
    if (attempt := _attempt_at(job_id)) is not None:
        attempt.fail(exception)
    elif isinstance(exception, Reject):
        return  # The child that rejected the message has landed or released the job itself.
    elif isinstance(exception, WorkerLostError):
        _hand_over_lost(runtime, job_id, ErrorCode.WORKER_LOST)
    elif isinstance(exception, TimeLimitExceeded):
        _hand_over_lost(runtime, job_id, ErrorCode.TIME_LIMIT)
    else:
        landing = outcome.failure(exception, runtime.settings, retries_exhausted=False)
        ticket = (sender.request.headers or {}).get(TICKET)
        unstarted = UnstartedRun(job_id, ticket, landing)
        if runtime.keeper is not None and not runtime.seat.in_pool_process:
            runtime.keeper.hand_over(unstarted)
        elif (worker_id := runtime.seat.worker_id) is not None:
            unstarted.land(runtime.service.store, worker_id)


@_never_raising
def _on_internal_error(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    """Land the job of a body after which Celery itself stumbled."""
    job_id = _job_of(sender, task_id)[1]
    if job_id is not None and (attempt := running_attempt(job_id)) is not None:
        attempt.fail(exception)
        attempt.end()


@_never_raising
def _on_retry(sender: Any, request: Any, reason: Any, einfo: Any, **_: Any) -> None:
    """Release the job of an eager retry; hand over one that a cold shutdown cancelled."""
    runtime, job_id = _job_of(sender, request.id)
    if runtime is None or job_id is None:
        return
    if (attempt := _attempt_at(job_id)) is not None:
        if attempt.grip is Grip.HELD:
            attempt.release(retries=request.retries + 1)
    elif einfo is None and reason is None:
        # Celery calls this a retry, but has published nothing.
        _hand_over_lost(runtime, job_id, ErrorCode.WORKER_LOST)


@_never_raising
def _on_success(sender: Any, **_: Any) -> None:
    """Note that Celery has dispatched the callbacks."""
    attempt = current_attempt()
    if attempt is not None and str(attempt.job.id) == sender.request.id:
        attempt.clear_followups()


@_never_raising
def _on_postrun(sender: Any, task_id: str, retval: Any, state: str | None, **_: Any) -> None:
    """End the attempt; land or release what nothing before has."""
    job_id = _job_of(sender, task_id)[1]
    if job_id is None or (attempt := _attempt_at(job_id)) is None:
        return
    try:
        if attempt.grip is Grip.HELD and state in ("IGNORED", "REJECTED"):
            if isinstance(retval, Reject) and retval.requeue:
                attempt.release()
                attempt.runtime.publish_stored(job_id)
            else:
                attempt.land(outcome.failed(ErrorCode.REJECTED))
    finally:
        attempt.end()


@_never_raising
def _on_received(request: Request, **_: Any) -> None:
    """Remember which processes run which job, for when one of them is lost."""
    _requests.add(request)


@_never_raising
def _on_revoked(sender: Any, request: Any, **how: Any) -> None:
    """Hand over a job that was revoked, before its start or while it ran."""
    runtime, job_id = _job_of(sender, request.id)
    if runtime is None or job_id is None or runtime.keeper is None:
        return
    if how["terminated"]:
        _hand_over_lost(runtime, job_id, ErrorCode.CANCELLED)
    else:
        code = ErrorCode.EXPIRED if how["expired"] else ErrorCode.CANCELLED
        ticket = (request.headers or {}).get(TICKET)
        runtime.keeper.hand_over(UnstartedRun(job_id, ticket, outcome.failed(code)))


@_never_raising
def _on_unknown(name: str, id: str, **_: Any) -> None:  # noqa: A002 - Celery's name for it
    """Say which job waits for a worker that has its task."""
    logger.error(
        "Job %s asks for task %s, which this worker does not have: it stays queued. Start a "
        "worker that imports the task, or correct its name.",
        id,
        name,
        extra={"job_id": id},
    )


_HANDLERS: dict[str, Handler] = {
    "task_failure": _on_failure,
    "task_internal_error": _on_internal_error,
    "task_postrun": _on_postrun,
    "task_received": _on_received,
    "task_retry": _on_retry,
    "task_revoked": _on_revoked,
    "task_success": _on_success,
    "task_unknown": _on_unknown,
}


_requests: WeakSet[Request] = WeakSet()
"""The deliveries that this worker has in hand."""


def _hand_over_lost(runtime: Runtime, job_id: UUID, code: ErrorCode) -> None:
    if runtime.keeper is not None:
        same = (request for request in set(_requests) if request.id == str(job_id))
        pids = [request.worker_pid for request in same if request.worker_pid is not None]
        runtime.keeper.hand_over(LostRun(job_id, pids, outcome.failed(code)))


def _attempt_at(job_id: UUID) -> Attempt | None:
    attempt = current_attempt()
    return attempt if attempt is not None and attempt.job.id == job_id else None


def _job_of(sender: Any, task_id: str) -> tuple[Runtime | None, UUID | None]:
    """Find the app and the job that a signal speaks of; nothing where the task is no job."""
    if not isinstance(sender, JobTask):
        return None, None
    try:
        return installed(sender.app), job_id_of(task_id)
    except JobNotFound:
        return None, None
