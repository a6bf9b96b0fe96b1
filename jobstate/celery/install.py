"""Connects jobstate to a Celery app."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import after_setup_logger, after_setup_task_logger, worker_shutdown

from jobstate import tracing
from jobstate.aio import AsyncJobService
from jobstate.celery import signals
from jobstate.celery.bulk import asubmit_batch, batch_of, submit_batch
from jobstate.celery.calls import call_of
from jobstate.celery.declared import own_options
from jobstate.celery.enqueue import asubmit, submit
from jobstate.celery.keeper import KeeperStep, end_keeper
from jobstate.celery.logcontext import add_filter
from jobstate.celery.runtime import Runtime, installed, remember
from jobstate.celery.task import JobTask
from jobstate.creation import When
from jobstate.errors import ConfigurationError
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

    @property
    def aio(self) -> AsyncJobService:
        """The asyncio service."""
        return self._runtime.aio

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
        job_type: str | None = None,
        **celery_options: Any,
    ) -> Job:
        """Create a queued job for a task, or for the name of one whose code is not here.

        A task whose code is not here has its name for a job type, unless `job_type` is given, and
        none of the options of its decorator but those that are passed here.

        See `JobTask.enqueue_with` for the arguments, what is guaranteed and what is raised.

        Raises:
            ConfigurationError: The task is known here, and is no JobTask.
        """
        own = own_options(user_id, idempotency_key, parent_id, deadline, job_type)
        call = call_of(self.app, task, args, kwargs, task_id, {**own, **celery_options})
        return submit(self._runtime, call, connection)

    async def aenqueue(
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
        job_type: str | None = None,
        **celery_options: Any,
    ) -> Job:
        """Do the same without blocking the event loop.

        `connection` is an AsyncSession or AsyncConnection of SQLAlchemy, or an AsyncConnection of
        psycopg. Publishing, also that after a commit, happens in a thread.
        """
        own = own_options(user_id, idempotency_key, parent_id, deadline, job_type)
        call = call_of(self.app, task, args, kwargs, task_id, {**own, **celery_options})
        return await asubmit(self._runtime, self.aio.store, call, connection)

    def enqueue_many(
        self,
        task: str | JobTask,
        calls: Iterable[Mapping[str, Any]],
        *,
        connection: object = None,
        **common: Any,
    ) -> list[Job]:
        """Create queued jobs of one task, all or none, and publish them together.

        Args:
            task: The task, or its name.
            calls: What is passed to `enqueue` for each job, by name: ``args``, ``kwargs``,
                ``user_id``, ``idempotency_key``...
            connection: The jobs are created in its transaction, as by `enqueue`.
            common: What is passed for all jobs, unless the job's own mapping says it.

        Returns:
            The jobs in the order of `calls`; where an idempotency key was there already, the first
            job that has it.

        Raises:
            InvalidValueError: One cannot be stored; the message says which. Nothing was stored.
            OwnerRequired: One has no ``user_id``. Nothing was stored.
            ConfigurationError: The task is known here, and is no JobTask.
            StoreUnavailable: The database cannot be reached; nothing was stored.
        """
        with tracing.enqueueing(str(getattr(task, "name", task))):
            batch = batch_of(self._runtime, task, calls, common)
            return submit_batch(self._runtime, batch, connection)

    async def aenqueue_many(
        self,
        task: str | JobTask,
        calls: Iterable[Mapping[str, Any]],
        *,
        connection: object = None,
        **common: Any,
    ) -> list[Job]:
        """Do the same without waiting in the event loop, with a connection as for `aenqueue`.

        The calls are checked and encoded in a thread.
        """
        with tracing.enqueueing(str(getattr(task, "name", task))):
            batch = await asyncio.to_thread(batch_of, self._runtime, task, calls, common)
            return await asubmit_batch(self._runtime, self.aio.store, batch, connection)

    async def apublish(self, job: Job | UUID | str) -> bool:
        """Do what `publish` does without blocking the event loop."""
        return await asyncio.to_thread(self.publish, job)

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
        for setup in (after_setup_logger, after_setup_task_logger):
            setup.connect(add_filter, dispatch_uid="jobstate.after_setup_logger", weak=False)
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
