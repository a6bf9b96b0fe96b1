"""What a caller names, as a call that can be enqueued: a task, or the name of one."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from celery import Celery
from celery.canvas import Signature

from jobstate.celery.declared import OWN_OPTIONS
from jobstate.celery.enqueue import Call
from jobstate.celery.options import checked_args
from jobstate.celery.publish import Message
from jobstate.celery.task import JobTask
from jobstate.errors import ConfigurationError, OwnerRequired


def call_of(
    app: Celery,
    task: str | JobTask,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    task_id: UUID | str | None,
    options: dict[str, Any],
) -> Call:
    """Check the call of a task, or of the name of one whose code is not here.

    Args:
        app: The app that has the tasks.
        task: The task, or its name.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        task_id: The id of the job; a new one unless given.
        options: Those of `own_options`, and Celery's.

    Raises:
        ConfigurationError: The task is known here, and its calls are no jobs.
        InvalidValueError: Arguments or options have the wrong type.
        OwnerRequired: There is no `user_id`.
    """
    found = app.tasks.get(task, task) if isinstance(task, str) else task
    kwargs = {} if kwargs is None else kwargs
    if isinstance(found, JobTask):
        return found.call_for(args, kwargs, task_id, options)
    if isinstance(found, Signature):
        raise ConfigurationError(
            f"{found.task} is given as a signature: jobs are calls of a task. Pass the task and "
            "its args, or start a chain, group or chord by its own apply_async(user_id=...)."
        )
    if not isinstance(found, str):
        raise ConfigurationError(
            f"Task {getattr(found, 'name', found)} is no JobTask: only those run as jobs. "
            "Declare it with base=jobstate.JobTask."
        )
    args = checked_args(args, kwargs, options)
    celery_options = dict(options)
    own = {name: celery_options.pop(name, None) for name in OWN_OPTIONS}
    if own["user_id"] is None:
        raise OwnerRequired(f"The job of task {found}")
    return Call(
        message=Message(found, args, kwargs, celery_options),
        job_type=own["job_type"] or found,
        user_id=own["user_id"],
        task_id=task_id,
        idempotency_key=own["idempotency_key"],
        parent_id=own["parent_job"],
        deadline=own["deadline"],
    )
