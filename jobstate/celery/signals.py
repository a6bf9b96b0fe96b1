"""Celery's signals, each translated into one verb. They decide nothing and never raise.

What a body returned or raised has landed before any of them is called. In the body's process
they land or release what is left, and note that callbacks were dispatched. The main process hears
of tasks that were revoked or are unknown (its requests hear of lost runs, see request.py); its
handlers hand over to the keeper and return, because they run in Celery's event loop, where nobody
may wait for a database. All of them fail closed: what no handler lands stays held, and is noticed
when the lease or the process is gone.
"""

import functools
import logging
from collections.abc import Callable
from traceback import walk_tb
from typing import Any
from uuid import UUID

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals
from celery.app.task import Context
from celery.exceptions import Reject
from celery.worker.state import revoked

from jobstate.attempts import ending
from jobstate.celery import outcome
from jobstate.celery.attempt import Attempt, current_attempt, running_attempt
from jobstate.celery.delegation import delegated_by
from jobstate.celery.fence import Grip
from jobstate.celery.handover import DelegateFailed, LostMessage, UnstartedRun
from jobstate.celery.publish import TICKET, ticket_of
from jobstate.celery.run import CALLED
from jobstate.celery.runtime import Runtime, installed
from jobstate.celery.task import JobTask
from jobstate.celery.unheld import (
    GIVEN_UP,
    end_delegated,
    fail_delegated,
    land_delegated,
    land_unstarted,
    note_errbacks,
    see_to_uncalled,
)
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
    """Note that errbacks were dispatched; land what failed before its body, or was delegated."""
    if (delegated := _delegated_to(sender, sender.request)) is not None:
        fail_delegated(*delegated, sender.request, exception)
        return
    runtime, job_id = _job_of(sender, task_id)
    if runtime is None or job_id is None:
        return
    if (attempt := _attempt_at(job_id)) is not None:
        if attempt.grip is Grip.HELD:
            attempt.fail(exception)
        attempt.clear_followups(failed=True)
    elif not isinstance(exception, Reject | TimeLimitExceeded | WorkerLostError):
        # Those the child has seen to, or the request hands over.
        land_unstarted(runtime, job_id, sender.request, exception)


@_never_raising
def _on_internal_error(
    sender: Any, task_id: str, request: Any, exception: BaseException, **_: Any
) -> None:
    """See to a job after which Celery itself stumbled, or a hook of the task."""
    runtime, job_id = _job_of(sender, task_id)
    if runtime is None or job_id is None:
        return
    if (attempt := running_attempt(job_id)) is not None:
        attempt.fail(exception)
        attempt.end()
    elif (context := Context(request or {})).is_eager:
        # Celery sends no other signal where eager exceptions propagate.
        land_unstarted(runtime, job_id, context, exception)
    elif _is_raised_by(sender.on_failure, exception):
        # Celery has dispatched the errbacks, and sends no signal of the failure any more.
        land_unstarted(runtime, job_id, context, exception)
        note_errbacks(runtime, job_id)


@_never_raising
def _on_retry(sender: Any, request: Any, **_: Any) -> None:
    """Release the job of an eager retry; land one whose body only said that it retries."""
    job_id = _job_of(sender, request.id)[1]
    attempt = None if job_id is None else _attempt_at(job_id)
    if attempt is None or attempt.grip is not Grip.HELD:
        return
    if request.is_eager:
        attempt.release(retries=request.retries + 1)
    else:
        attempt.land(outcome.failed(ErrorCode.REJECTED), followups=True)


@_never_raising
def _on_success(sender: Any, result: Any, **_: Any) -> None:
    """Note that Celery has dispatched the callbacks; land a job that was delegated."""
    if (delegated := _delegated_to(sender, sender.request)) is not None:
        if sender.request.id == str(delegated[1]):
            land_delegated(*delegated, sender.request, result)
        return
    attempt = current_attempt()
    if attempt is not None and attempt.is_at(sender.request.id):
        attempt.clear_followups(failed=False)


@_never_raising
def _on_postrun(sender: Any, task_id: str, retval: Any, state: str | None, **_: Any) -> None:
    """End the attempt; land or release what nothing before has."""
    runtime, job_id = _job_of(sender, task_id)
    if runtime is None or job_id is None:
        return
    attempt, request = _attempt_at(job_id), sender.request
    # An eager call has no broker that could bring the job again.
    requeue = isinstance(retval, Reject) and retval.requeue and not request.is_eager
    try:
        if attempt is not None and attempt.grip is Grip.HELD and state in GIVEN_UP:
            if requeue:
                attempt.release()
                attempt.runtime.publish_stored(job_id)
            else:
                attempt.land(outcome.failed(ErrorCode.REJECTED), followups=True)
        elif not hasattr(request, CALLED):
            see_to_uncalled(runtime, job_id, request, state, requeue=requeue)
    finally:
        if attempt is not None:
            attempt.end()
        if not request.is_eager:
            runtime.bench.rise()


@_never_raising
def _on_revoked(sender: Any, request: Any, **how: Any) -> None:
    """Hand over a job that was revoked before its start, or expired; or was delegated."""
    if (delegated := _delegated_to(sender, request)) is not None:
        code = ErrorCode.EXPIRED if how["expired"] else ErrorCode.CANCELLED
        end_delegated(*delegated, request, ending(code))
        return
    runtime, job_id = _job_of(sender, request.id)
    if runtime is None or job_id is None or runtime.keeper is None:
        return
    # Celery would throw away the next message too, which may be in time, or bring the errbacks.
    revoked.discard(request.id)
    if how["terminated"]:
        return  # The request has handed it over.
    if how["expired"]:
        # By this worker's clock; the sweeper asks the database's.
        lost = LostMessage(job_id, ticket_of(request), ErrorCode.EXPIRED)
        runtime.keeper.hand_over(lost)
    else:
        landing = ending(ErrorCode.CANCELLED)
        runtime.keeper.hand_over(UnstartedRun(job_id, ticket_of(request), landing))


@_never_raising
def _on_unknown(sender: Any, message: Any, name: str, id: str, **_: Any) -> None:  # noqa: A002 - Celery's
    """Hand over a job whose task this worker does not have: another one may."""
    runtime = installed(sender.app)
    ticket = message.headers.get(TICKET)
    if runtime is None or runtime.keeper is None or ticket is None:
        return
    if (delegated := delegated_by(message.headers)) is not None:
        # The job's row does not bring this message again, but all that it was delegated to.
        landing = ending(ErrorCode.UNKNOWN_TASK)
        runtime.keeper.hand_over(DelegateFailed(*delegated, landing))
        return
    logger.error(
        "Job %s asks for task %s, which this worker does not have: it stays queued. Start a "
        "worker that imports the task, or correct its name.",
        id,
        name,
        extra={"job_id": id},
    )
    lost = LostMessage(job_id_of(id), ticket, ErrorCode.UNKNOWN_TASK)
    runtime.keeper.hand_over(lost)


_HANDLERS: dict[str, Handler] = {
    "task_failure": _on_failure,
    "task_internal_error": _on_internal_error,
    "task_postrun": _on_postrun,
    "task_retry": _on_retry,
    "task_revoked": _on_revoked,
    "task_success": _on_success,
    "task_unknown": _on_unknown,
}


def _delegated_to(sender: Any, request: Context) -> tuple[Runtime, UUID, int] | None:
    """Find the job that was delegated to a plain task."""
    delegated = None if isinstance(sender, JobTask) else delegated_by(request.headers)
    runtime = None if delegated is None else installed(sender.app)
    return None if delegated is None or runtime is None else (runtime, *delegated)


def _is_raised_by(hook: Any, error: BaseException) -> bool:
    code = getattr(hook, "__code__", None)
    return any(frame.f_code is code for frame, _ in walk_tb(error.__traceback__))


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
