"""A job whose task is replaced by several: they take it over, and the one with its id lands it."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from celery import Celery
from celery.canvas import Signature, _chain, _chord, group, maybe_signature
from kombu.exceptions import EncodeError
from kombu.utils import json

from jobstate.celery.publish import TICKET
from jobstate.errors import InvalidValueError
from jobstate.records import Job
from jobstate.values import job_id_of

LANDS = "jobstate-lands"
"""The header of a plain task among those that a job was delegated to: the job's id.

It lands the job when it has the job's id itself, and fails it when it fails.
"""


def is_one(app: Celery, canvas: Signature, heir_id: str) -> bool:
    """Tell whether a single job task replaces the one with this id, and goes on with its job."""
    first = _first_of(canvas)
    return first.get("options", {}).get("task_id") == heir_id and _is_tracked(app, first)


def prepare(app: Celery, canvas: Signature, job: Job) -> str:
    """Have the tasks of a canvas know the job that is delegated to them; return them as JSON.

    A second publication of the canvas makes no second job: its ids are settled.

    Raises:
        InvalidValueError: It cannot be written as JSON.
    """
    for member in _members_until(canvas, str(job.id)):
        headers: dict[str, str | int] = {}
        if not _is_tracked(app, member):
            headers = {LANDS: str(job.id), TICKET: job.attempt}
        elif member.id == str(job.id):
            headers = {TICKET: job.attempt}
        else:
            member.set(user_id=job.user_id, parent_job=str(job.id))
        member.set(headers={**(member.options.get("headers") or {}), **headers})
    try:
        return str(json.dumps(canvas))
    except (TypeError, ValueError, EncodeError) as error:
        raise InvalidValueError(
            f"What replaces job {job.id} cannot be stored: {error}. Arguments and options of its "
            "tasks must be JSON. Pass ids and plain values instead of objects."
        ) from error


def restored(app: Celery, stored: str) -> Signature:
    """Return a canvas as it was prepared."""
    return maybe_signature(json.loads(stored), app=app)


def delegated_by(headers: Mapping[str, Any] | None) -> tuple[UUID, int] | None:
    """Return the job, and the attempt, that delegated to the plain task of a message."""
    if headers is None or LANDS not in headers:
        return None
    return job_id_of(headers[LANDS]), headers[TICKET]


def _first_of(canvas: Signature) -> Signature:
    return _first_of(canvas.tasks[0]) if isinstance(canvas, _chain) else canvas


def _members_until(canvas: Signature, heir_id: str) -> Iterator[Signature]:
    """Yield the tasks of a canvas in their order, up to the one with this id."""
    for member in _tasks_of(canvas):
        yield member
        if member.id == heir_id:
            return


def _tasks_of(canvas: Signature) -> Iterator[Signature]:
    if isinstance(canvas, _chord):
        parts = [*_parts_of(canvas.tasks), canvas.body]
    elif isinstance(canvas, _chain | group):
        parts = _parts_of(canvas.tasks)
    else:
        yield canvas
        return
    for part in parts:
        yield from _tasks_of(part)


def _parts_of(tasks: object) -> list[Signature]:
    return list(tasks) if isinstance(tasks, list | tuple) else list(getattr(tasks, "tasks", ()))


def _is_tracked(app: Celery, signature: Signature) -> bool:
    task = app.tasks.get(signature.task)
    return getattr(task, "runs_as_job", False)
