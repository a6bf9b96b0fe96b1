"""Connects jobstate to a Celery app."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import worker_shutdown

from jobstate.aio import AsyncJobService
from jobstate.celery import signals
from jobstate.celery.enqueue import Call, submit
from jobstate.celery.keeper import KeeperStep, end_keeper
from jobstate.celery.publish import Message
from jobstate.celery.runtime import Runtime, installed, remember
from jobstate.celery.task import JobTask
from jobstate.creation import When
from jobstate.errors import ConfigurationError, OwnerRequired
from jobstate.records import Job
from jobstate.service import JobService
from jobstate.settings import Settings


class JobState:
    """An app's jobs: the services, and enqueueing by name. Made by `install`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def app(self) -> Celery:
        """The Celery app."""
        return self._runtime.app

    @property
    def settings(self) -> Settings:
        """The settings, as they were checked."""
        return self._runtime.settings

    @property
    def service(self) -> JobService:
        """The blocking service."""
        return self._runtime.service

    @cached_property
    def aio(self) -> AsyncJobService:
        """The asyncio service."""
        settings, publish = self._runtime.settings, self._runtime.publish_stored
        return AsyncJobService(settings.database_url, settings=settings, publish=publish)

    def enqueue(
        self,
        task: str | JobTask,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        user_id: object,
        connection: object = None,
        idempotency_key: str | None = None,
        parent_id: UUID | str | None = None,
        deadline: When | None = None,
        task_id: UUID | str | None = None,
        **celery_options: Any,
    ) -> Job:
        """Create a queued job for a task, or for the name of one whose code is not here.

        See `JobTask.enqueue_with` for the arguments, what is guaranteed and what is raised.

        Raises:
            ConfigurationError: The task is known here, and is no JobTask.
        """
        found = self.app.tasks.get(task, task) if isinstance(task, str) else task
        options: dict[str, Any] = {
            "user_id": user_id,
            "connection": connection,
            "idempotency_key": idempotency_key,
            "parent_id": parent_id,
            "deadline": deadline,
            "task_id": task_id,
        }
        if isinstance(found, JobTask):
            return found.enqueue_with(args, kwargs, **options, **celery_options)
        if not isinstance(found, str):
            raise ConfigurationError(
                f"Task {getattr(found, 'name', found)} is no JobTask: only those run as jobs. "
                "Declare it with base=jobstate.JobTask."
            )
        if user_id is None:
            raise OwnerRequired(f"The job of task {found}")
        call = Call(
            message=Message(found, args, kwargs or {}, celery_options),
            job_type=found,
            user_id=user_id,
            task_id=task_id,
            idempotency_key=idempotency_key,
            parent_id=parent_id,
            deadline=deadline,
        )
        return submit(self._runtime, call, connection)

    def publish(self, job: Job | UUID | str) -> bool:
        """Publish a job whose commit is done; return whether its message went out now.

        Repeatable: a job that was published, has started or is gone is left alone.

        Raises:
            JobNotFound: The id is no UUID.
            StoreUnavailable: The database cannot be reached.
        """
        return self._runtime.publish_stored(job)


def install(app: Celery) -> JobState:
    """Make an app's JobTasks run as jobs: connect the signals, add the worker's keeper.

    Repeatable; works in web processes and workers, before and after a fork. Reads the settings
    (``jobstate_*`` of the app's configuration, ``JOBSTATE_*`` of the environment) and opens no
    connection.

    Raises:
        ConfigurationError: A setting is wrong; the message lists all that are.
    """
    runtime = installed(app)
    if runtime is None:
        _refuse_retry_on_worker_lost(app)
        runtime = Runtime(app, Settings.load(app.conf, os.environ))
        remember(app, runtime)
        signals.connect()
        worker_shutdown.connect(end_keeper, dispatch_uid="jobstate.worker_shutdown", weak=False)
        app.steps["worker"].add(KeeperStep)
    return JobState(runtime)


def _refuse_retry_on_worker_lost(app: Celery) -> None:
    if app.conf.task_retry_on_worker_lost:
        raise ConfigurationError(
            "task_retry_on_worker_lost is on: Celery would publish a lost job past its row, "
            "and it would never land. Turn it off; acks_late=True declares that a task may run "
            "again."
        )
