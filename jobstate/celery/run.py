"""How the call of a task becomes a run of its job, and how its body asks for the next one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from celery import Task
from celery.app.task import Context
from celery.exceptions import Ignore, Reject, Retry

from jobstate import tracing
from jobstate.celery.announce import PROGRESS
from jobstate.celery.attempt import Attempt, current_attempt
from jobstate.celery.body import run_body
from jobstate.celery.declared import OWN_OPTIONS, declared_call, declared_message, declared_policy
from jobstate.celery.enqueue import moment_of, new_job, queue_of
from jobstate.celery.fence import Grip
from jobstate.celery.logbook import listen
from jobstate.celery.publish import OWNER
from jobstate.celery.runtime import Runtime, runtime_of
from jobstate.celery.start import Delivery, delivery_of, start
from jobstate.creation import NewJob
from jobstate.errors import JobFailed
from jobstate.records import Job
from jobstate.states import JobStatus

CALLED = "jobstate_called"
"""Marks a request whose task was called: what its body calls is a function."""


def is_of_a_function(request: Context) -> bool:
    """Tell whether a task is called as a function: directly, or by the body of its own job."""
    around = current_attempt()
    # An eager replacement has the id of the job that it is a part of.
    nested = hasattr(request, CALLED) or (around is not None and around.is_at(request.id))
    return bool(request.called_directly or nested)


def run_job(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Take the job, run the body, land the job; return or raise what Celery dispatches from.

    Raises:
        Ignore: The job is not to be run by this message, or is no longer this attempt's.
        Reject: The database stayed away; a late-acking message goes back to the broker.
    """
    request = task.request
    setattr(request, CALLED, True)
    runtime = runtime_of(task.app)
    delivery = _delivery_to(task, runtime, args, kwargs)
    # However the publisher has spelled it.
    request.id = str(delivery.job_id)
    if not request.is_eager:
        runtime.bench.sit(delivery.job_id)
    span = tracing.start_run(task.name, request)
    try:
        attempt = start(runtime, delivery)
    except BaseException:
        span.leave()
        raise
    attempt.span = span
    attempt.begin()
    span.taken(attempt.job)
    if attempt.grip is Grip.LANDED:
        value = _as_landed(attempt.job)
    else:
        runtime.announce(PROGRESS, attempt.job, attempt.hold)
        if task.job_logs:
            listen()
            attempt.reports.keep_logs()
        try:
            value = run_body(attempt, partial(task.run, *args, **kwargs), resume=task.job_resume)
        except BaseException:
            if not attempt.has_landed:
                # Whatever Celery takes for a failure now, such as one of a hook, it is none.
                request.errbacks = request.chord = None
            raise
    attempt.dispatching = True
    # Whatever keeps Celery from dispatching what follows, the job has not failed.
    request.errbacks = None
    return value


def run_again(
    task: Task,
    attempt: Attempt,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    """Release the job for its next attempt, which makes this call, and publish that.

    Raises:
        LeaseLost: The job is no longer this attempt's; nothing is published.
    """
    # The row says whose job it is, whatever the signature of a replacement says.
    options = {name: value for name, value in options.items() if name not in OWN_OPTIONS}
    message = declared_message(task, args, kwargs, options)
    attempt.run_again(
        message,
        queue=queue_of(task.app, message),
        eta=moment_of(task.app, options, "eta", "countdown"),
        expires=moment_of(task.app, options, "expires"),
        retries=options.get("retries", 0),
    )


@contextmanager
def retrying(attempt: Attempt, error: BaseException | None) -> Iterator[None]:
    """Have Celery retry the task for an error, in the block; note it where retries are exhausted.

    What keeps the next message from being published is raised as it is.
    """
    attempt.retry_error = error
    try:
        yield
    except Reject as rejected:
        # Celery has wrapped it.
        reason = rejected.reason
        raise (reason if isinstance(reason, Exception) else rejected) from None
    except (Ignore, Retry):
        raise
    except Exception as exhausted:
        attempt.exhausted_by = exhausted
        raise


def _delivery_to(
    task: Task, runtime: Runtime, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Delivery:
    def adopted() -> NewJob:
        owner = (task.request.headers or {}).get(OWNER)
        options = {**task.signature_from_request().options, "user_id": owner}
        call = declared_call(runtime, task, args, kwargs, task.request.id, options)
        # Celery dispatches those of the row, whose ids are settled.
        task.request.callbacks = options.get("link")
        task.request.errbacks = options.get("link_error")
        return new_job(runtime, call)

    return delivery_of(runtime, task, declared_policy(runtime, task), adopted)


def _as_landed(job: Job) -> Any:
    """End like the attempt that landed the job, so that Celery dispatches what follows."""
    if job.status is JobStatus.FAILED:
        raise JobFailed(job.error_message or "The job failed.")
    return job.result
