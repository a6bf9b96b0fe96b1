"""What a task declares, as a job of it has it: the call, its message, the policy of its runs."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import Celery, Task
from kombu.utils.imports import symbol_by_name

from jobstate.attempts import Policy
from jobstate.celery.enqueue import Call, owner_of, shown_by_celery
from jobstate.celery.publish import Message, freeze_callbacks
from jobstate.celery.runtime import Runtime
from jobstate.creation import When
from jobstate.errors import ConfigurationError
from jobstate.ids import new_id
from jobstate.settings import count, seconds
from jobstate.values import new_id_of

JOB_REQUEST = "jobstate.celery.request:JobRequest"
"""What the main process sees deliveries of jobs as; imported where there are any."""

OWN_OPTIONS = ("user_id", "idempotency_key", "parent_job", "deadline", "job_type")
"""Options of `apply_async` that are jobstate's."""


def own_options(
    user_id: object,
    idempotency_key: str | None,
    parent_id: UUID | str | None,
    deadline: When | None,
    job_type: str | None,
) -> dict[str, Any]:
    """Return options of `enqueue_with` as those of `apply_async`."""
    given = (user_id, idempotency_key, parent_id, deadline, job_type)
    return dict(zip(OWN_OPTIONS, given, strict=True))


def declared_call(
    runtime: Runtime,
    task: Task,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    task_id: UUID | str | None,
    options: dict[str, Any],
) -> Call:
    """Describe the job that a call of the task is to be. Takes its own out of the `options`.

    Raises:
        OwnerRequired: There is no owner.
        InvalidValueError: The id is no UUID.
    """
    given = {name: options.pop(name, None) for name in OWN_OPTIONS}
    owner = owner_of(runtime, given["user_id"], f"The job of task {task.name}")
    task_id = new_id() if task_id is None else new_id_of(task_id)
    freeze_callbacks(task.app, options, user_id=owner, parent_job=str(task_id))
    return Call(
        message=declared_message(task, args, kwargs, options),
        job_type=given["job_type"] or task.job_type or task.name,
        user_id=owner,
        body=task.run,
        redact=task.job_redact,
        task_id=task_id,
        idempotency_key=given["idempotency_key"],
        parent_id=given["parent_job"],
        deadline=task.job_deadline if given["deadline"] is None else given["deadline"],
    )


def declared_message(
    task: Task, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> Message:
    """Return the message of a call: with the task's own options, where the call gives none."""
    said = {name: value for name, value in options.items() if value is not None}
    if task.job_redact:
        said = {**shown_by_celery(task.run, args, kwargs, task.job_redact), **said}
    declared = task._get_exec_options()  # noqa: SLF001 - nothing else in Celery says them all
    return Message(task.name, args, kwargs, {**declared, **said})


def refuse(task: type[Task], app: Celery) -> None:
    """Refuse a task whose jobs could not go by what it declares.

    Raises:
        ConfigurationError: It has its runs end past their jobs, or limits that are none.
    """
    _refuse_what_ends_past_jobs(task, app)
    _refuse_what_no_row_can_have(task)


def _refuse_what_ends_past_jobs(task: type[Task], app: Celery) -> None:
    """Refuse options of Celery's with which the end of a run says nothing to its job."""
    # Where the app has it on for all tasks, `install` refuses it.
    if task.retry_on_worker_lost and not app.conf.task_retry_on_worker_lost:
        raise ConfigurationError(
            f"Task {task.name} has retry_on_worker_lost on: Celery would publish a lost job past "
            "its row. Turn it off; acks_late=True declares that a task may run again."
        )
    if task.Request != JOB_REQUEST and not issubclass(
        symbol_by_name(task.Request), symbol_by_name(JOB_REQUEST)
    ):
        raise ConfigurationError(
            f"Task {task.name} has the Request {task.Request}: its jobs would not hear of a time "
            f"limit, a revocation or a lost process. Derive it from {JOB_REQUEST}."
        )


def _refuse_what_no_row_can_have(task: type[Task]) -> None:
    """Refuse limits of a task that cannot be stored: its jobs could not be taken."""
    for name, read in (
        ("job_no_progress", seconds),
        ("job_deadline", seconds),
        ("job_max_rescues", count),
    ):
        value = getattr(task, name)
        try:
            if value is not None:
                read(value)
        except ValueError as error:
            raise ConfigurationError(
                f"Task {task.name} has {name}={value!r}, but {error}. Correct it, or leave it out."
            ) from error


def declared_policy(runtime: Runtime, task: Task) -> Policy:
    """Return how the task's jobs are run again; what it leaves open is in the settings."""
    no_progress, rescues = task.job_no_progress, task.job_max_rescues
    if isinstance(no_progress, timedelta):
        no_progress = no_progress.total_seconds()
    return Policy(
        idempotent=bool(task.acks_late),
        max_rescues=runtime.settings.max_rescues if rescues is None else rescues,
        keep_partial=bool(task.job_keep_partial),
        no_progress=no_progress,
    )
