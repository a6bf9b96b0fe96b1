"""Runs of a task where it is called: the caller's process is a worker for as long as it takes."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from uuid import UUID, uuid4

from celery import Task
from celery.app.task import Context

from jobstate import sweeping
from jobstate.celery.declared import OWN_OPTIONS, declared_call
from jobstate.celery.enqueue import new_job
from jobstate.celery.publish import TICKET
from jobstate.celery.runtime import Runtime, runtime_of
from jobstate.errors import JobNotFound, JobStateError
from jobstate.records import Job

logger = logging.getLogger("jobstate")

_here: ContextVar[UUID | None] = ContextVar("jobstate_eager_worker", default=None)


def run_eagerly(
    task: Task,
    apply: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    task_id: str | None,
    user_id: object,
    options: dict[str, Any],
) -> Any:
    """Run the task here and now with Celery's own `apply`, as a job like in a worker."""
    runtime = runtime_of(task.app)
    own = {name: options.pop(name, None) for name in OWN_OPTIONS}
    job = eager_job(runtime, task, args, kwargs, task_id, {**own, "user_id": user_id})
    headers = {**(options.pop("headers", None) or {}), TICKET: job.attempt}
    with eager_worker(runtime):
        return apply(args, kwargs, task_id=str(job.id), headers=headers, **options)


def eager_job(
    runtime: Runtime,
    task: Task,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    task_id: str | None,
    own: dict[str, Any],
) -> Job:
    """Create the job of an eager run, or find the one that an eager retry goes on with.

    Args:
        runtime: That of the app.
        task: The task.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        task_id: The id of the job; a new one unless given.
        own: Options of the call that are jobstate's.
    """
    with suppress(JobNotFound):
        if task_id is not None:
            return runtime.service.get_job_internal(task_id)
    call = declared_call(runtime, task, args, kwargs, task_id, own)
    return runtime.service.create(new_job(runtime, call, publishable=False))


@contextmanager
def eager_worker(runtime: Runtime) -> Iterator[None]:
    """Be a worker of one's own, for an eager run."""
    worker_id, store, lease = uuid4(), runtime.service.store, runtime.settings.lease
    store.run(sweeping.register_worker(worker_id, socket.gethostname(), os.getpid(), [], lease))
    ended = threading.Event()

    def keep_lease() -> None:
        while not ended.wait(runtime.settings.heartbeat):
            try:
                store.run(sweeping.renew_lease(worker_id, lease))
            except JobStateError as error:
                logger.warning("An eager run could not renew its lease: %s", error)

    keeper = threading.Thread(target=keep_lease, name="jobstate-lease", daemon=True)
    token = _here.set(worker_id)
    try:
        # A signal may raise while it starts: it would keep the lease of a run that never was.
        keeper.start()
        yield
    finally:
        ended.set()
        _here.reset(token)
        try:
            store.run(sweeping.end_worker(worker_id))
        except JobStateError as error:
            logger.warning("An eager run could not sign off: %s", error)


def taker_of(runtime: Runtime, request: Context) -> UUID | None:
    """Return the worker under whose id a request runs, if it has one."""
    return _here.get() if request.is_eager else runtime.seat.worker_id
