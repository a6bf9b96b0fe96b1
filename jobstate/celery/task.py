"""The base of every task that runs as a job."""

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import Celery, Task
from celery.canvas import Signature
from celery.exceptions import Ignore
from celery.result import AsyncResult

from jobstate.celery import delegation
from jobstate.celery.attempt import current_attempt
from jobstate.celery.current import CurrentJob, current_job
from jobstate.celery.declared import JOB_REQUEST, OWN_OPTIONS, declared_call, own_options, refuse
from jobstate.celery.eager import run_eagerly
from jobstate.celery.enqueue import Call, submit, submit_here
from jobstate.celery.habits import report_meta
from jobstate.celery.options import checked_args
from jobstate.celery.run import is_of_a_function, retrying, run_again, run_job
from jobstate.celery.runtime import runtime_of
from jobstate.creation import When
from jobstate.errors import ConfigurationError, JobCancelled, JobFailed, LeaseLost, OwnerRequired
from jobstate.records import Job

_ENDINGS = (JobCancelled, JobFailed, LeaseLost)


class JobTask(Task):  # type: ignore[misc]  # Celery ships no types
    """A task whose every call is a job: a row in Postgres that always lands.

    Use it as ``base=`` of a task, or as ``task_cls=`` of an app. With `job_track` off, the task
    is a plain Celery task.
    """

    abstract = True

    Request = JOB_REQUEST

    job_track: bool = True
    """Whether calls of this task are jobs."""

    job_type: str | None = None
    """What its jobs are called; the task's name unless given."""

    job_keep_partial: bool = False
    """Whether an interrupted job keeps what it has done, and lands in partial.

    If it has items that succeeded, or files: at a time limit, its deadline, after too long without
    progress, and when its worker is lost and it is not run again. Not when it is cancelled.
    """

    job_no_progress: float | timedelta | None = None
    """How long a running job may go without progress before it fails, in seconds."""

    job_deadline: float | timedelta | None = None
    """How long after enqueueing a job must have landed, in seconds."""

    job_max_rescues: int | None = None
    """How often a job is run again after its worker was lost; None: `jobstate_max_rescues`."""

    job_redact: Sequence[str] = ()
    """Names of arguments that are not recorded in `parameters`, nor in Celery's logs and events.

    The stored message has them until the job lands, so that it can be published again. After that
    nobody knows them, so that a job that was given one cannot be retried.
    """

    job_resume: bool = False
    """Whether a further attempt counts the items that an earlier one has done; see `item`."""

    job_logs: bool = False
    """Whether what the body logs is kept with the job; see `JobService.get_job_logs`."""

    @classmethod
    def on_bound(cls, app: Celery) -> None:
        """Leave a lost run of an idempotent task to the rescue.

        Otherwise Celery would call its errbacks while the job is run again.

        Raises:
            ConfigurationError: The task declares what has its runs end past their jobs, or limits
                that are none.
        """
        super().on_bound(app)
        if cls.job_track:
            refuse(cls, app)
            if cls.acks_late:
                cls.reject_on_worker_lost = True

    @property
    def job(self) -> CurrentJob:
        """The job whose body runs here.

        Raises:
            RuntimeError: No body of a job runs here.
        """
        if (job := current_job()) is None:
            raise RuntimeError(
                f"Task {self.name} has no job here: it was called directly, or is not tracked. "
                "Enqueue it, or run it with apply()."
            )
        return job

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take the job, run the body, land the job: before Celery dispatches what follows."""
        if not self.runs_as_job or is_of_a_function(self.request):
            return super().__call__(*args, **kwargs)
        return run_job(self, args, kwargs)

    def enqueue(self, *args: Any, user_id: object, connection: object = None, **kwargs: Any) -> Job:
        """Create a queued job that calls the task with these arguments, and publish it.

        See `enqueue_with` for what is guaranteed and raised.
        """
        return self.enqueue_with(args, kwargs, user_id=user_id, connection=connection)

    def enqueue_with(
        self,
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
        """Create a queued job and publish it after its commit.

        Args:
            args: The task's positional arguments.
            kwargs: The task's keyword arguments.
            user_id: The owner.
            connection: A Session or Connection of SQLAlchemy, ``django.db.connection`` or another
                of Django, or a psycopg Connection: the job is created in its transaction. It is
                published after the commit of a Session or of Django, or once a SQLAlchemy
                Connection is closed or begins its next transaction. Nobody hears of the commit of
                a psycopg Connection: call `publish` after it, or the sweeper does a little later.
            idempotency_key: The same key of the same user and job type returns the first job.
            parent_id: The job that this one belongs to; the surrounding job unless given.
            deadline: When the job must have landed: a time, or seconds from now.
            task_id: The id of the job; a new one unless given.
            job_type: What the job is called, in place of the task's own `job_type`.
            celery_options: Celery's own: ``queue``, ``countdown``, ``priority``, ``link``...

        Raises:
            OwnerRequired: `user_id` is None.
            InvalidValueError: Something cannot be stored; nothing was.
            StoreUnavailable: The database cannot be reached; nothing was stored.
            TypeError: The arguments do not fit the task.
            ConfigurationError: The task has `job_track` off: its calls are no jobs.
        """
        own = own_options(user_id, idempotency_key, parent_id, deadline, job_type)
        call = self.call_for(args, kwargs or {}, task_id, {**own, **celery_options})
        return submit(runtime_of(self.app), call, connection)

    def call_for(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        task_id: UUID | str | None,
        options: dict[str, Any],
    ) -> Call:
        """Check a call that somebody enqueues, and describe the job that it is to be."""
        if not self.runs_as_job:
            raise ConfigurationError(
                f"Task {self.name} is not tracked: nobody would run its job. Call apply_async(), "
                "or turn job_track on."
            )
        if options["user_id"] is None:
            raise OwnerRequired(f"The job of task {self.name}")
        return self.checked_call(args, kwargs, task_id, options)

    def checked_call(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        task_id: UUID | str | None,
        options: dict[str, Any],
    ) -> Call:
        """Describe the job that a call is to be; the owner may be the surrounding job's."""
        args = checked_args(args, kwargs, options)
        if self.typing:
            self.__header__(*args, **kwargs)
        return declared_call(runtime_of(self.app), self, args, kwargs, task_id, options)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        producer: Any = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        **options: Any,
    ) -> AsyncResult:
        """Create a queued job and publish it: Celery's call, with ``user_id`` as an option.

        Without one, the owner is the surrounding job's, else `jobstate_system_user_id`. Called
        with the running job's own id, as by a retry, it releases the job for its next attempt.

        Raises:
            OwnerRequired: There is no owner.
            InvalidValueError: Something cannot be stored; nothing was.
            StoreUnavailable: The database cannot be reached; nothing was stored.
        """
        options |= {"link": link, "link_error": link_error, "shadow": shadow}
        if not self.runs_as_job:
            plain = {name: value for name, value in options.items() if name not in OWN_OPTIONS}
            return super().apply_async(args, kwargs, task_id, producer, **plain)
        if self.app.conf.task_always_eager:
            return super().apply_async(args, kwargs, task_id, producer, **options)
        attempt = current_attempt()
        if attempt is not None and task_id is not None and attempt.is_at(task_id):
            run_again(self, attempt, args or (), kwargs or {}, options)
        else:
            call = self.checked_call(args or (), kwargs or {}, task_id, options)
            task_id = str(submit_here(runtime_of(self.app), call).id)
        return self.AsyncResult(task_id)

    def apply(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        user_id: object = None,
        **options: Any,
    ) -> Any:
        """Run the task here and now, as a job like in a worker."""
        if not self.runs_as_job:
            return super().apply(args, kwargs, task_id=task_id, **options)
        return run_eagerly(self, super().apply, args or (), kwargs or {}, task_id, user_id, options)

    def update_state(
        self,
        task_id: str | None = None,
        state: str | None = None,
        meta: Any = None,
        **kwargs: Any,
    ) -> None:
        """Do what Celery does, unless results are ignored; and report progress.

        Of `meta`: ``current`` and ``total``, ``percent`` or ``progress``, ``message`` or
        ``description``. What makes no sense there is left out.

        Raises:
            JobCancelled: The job was cancelled.
            LeaseLost: The job was taken away.
        """
        attempt = current_attempt()
        if attempt is not None and task_id in (None, str(attempt.job.id)):
            report_meta(attempt.reports, meta)
        if not (self.ignore_result or self.request.ignore_result):
            super().update_state(task_id, state, meta, **kwargs)

    def retry(self, *args: Any, exc: BaseException | None = None, **options: Any) -> Any:
        """Release the job, and have it run again later; see Celery's ``Task.retry``."""
        if isinstance(exc, _ENDINGS):
            raise exc
        attempt = current_attempt()
        if attempt is None or self.request.called_directly:
            return super().retry(*args, exc=exc, **options)
        with retrying(attempt, exc or sys.exception()):
            return super().retry(*args, exc=exc, **options)

    def on_replace(self, sig: Signature) -> Any:
        """Have other tasks take the job over; see Celery's ``Task.replace``.

        One job task goes on with the job itself. Anything else is delegated to: the job lands
        with the task that has its id, or fails with one that fails.

        Raises:
            InvalidValueError: The tasks cannot be written as JSON.
            LeaseLost: The job is no longer this attempt's; nothing is published.
        """
        attempt = current_attempt()
        eager = self.request.is_eager
        if attempt is None or eager or delegation.is_one(self.app, sig, self.request.id):
            return super().on_replace(sig)
        if not attempt.release(canvas=delegation.prepare(self.app, sig, attempt.job)):
            raise LeaseLost(attempt.job.id, attempt.hold.attempt)
        attempt.runtime.publish_committed(attempt.job.id)
        raise Ignore("Replaced by other tasks.")

    @property
    def runs_as_job(self) -> bool:
        """Whether a call of the task is a job."""
        # `task_cls=JobTask` makes the base of Celery's own tasks this class too.
        return self.job_track and not self.name.startswith("celery.")
