"""What an app with jobstate installed has in every process: settings, service, seat."""

import logging
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from celery import Celery

from jobstate import attempts
from jobstate.celery.publish import Message, send
from jobstate.celery.seat import Seat
from jobstate.creation import When
from jobstate.errors import ConfigurationError, JobStateError
from jobstate.records import Job
from jobstate.service import JobService
from jobstate.settings import Settings
from jobstate.values import job_id_of

logger = logging.getLogger("jobstate")


class Keeping(Protocol):
    """The keeper, as the signal handlers of a worker's main process know it."""

    def hand_over(self, run: Any) -> None:
        """Leave a landing to the keeper; returns at once."""

    def end(self) -> None:
        """Land what is left, and end."""


class Runtime:
    """The parts that the task, the signals and the keeper of one app share."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.service = JobService.from_settings(settings)
        self.seat = Seat()
        self.keeper: Keeping | None = None

    def publish(
        self,
        job_id: UUID,
        ticket: int,
        message: Message,
        *,
        eta: When | None = None,
        expires: When | None = None,
    ) -> bool:
        """Publish a job's message and note it in the row; return whether the broker took it."""
        if not send(self.app, job_id, ticket, message, eta=eta, expires=expires):
            return False
        noted = attempts.note_published(job_id, ticket, self.settings.republish_after)
        try:
            self.service.store.run(noted)
        except JobStateError as error:
            # The message is out. Without the note it goes out once more, and that one is dropped.
            logger.warning(
                "The publication of job %s was not noted: %s",
                job_id,
                error,
                extra={"job_id": str(job_id)},
            )
        return True

    def publish_stored(self, job: Job | UUID | str) -> bool:
        """Publish a job from its row, if it still waits for that; return whether it was."""
        job_id = job.id if isinstance(job, Job) else job_id_of(job)
        row = self.service.store.run(attempts.message_of(job_id))
        if row is None:
            return False
        task_name, stored, ticket, eta, expires = row
        message = Message.decode(task_name, stored)
        return self.publish(job_id, ticket, message, eta=eta, expires=expires)


_installed: WeakKeyDictionary[Celery, Runtime] = WeakKeyDictionary()


def installed(app: Celery) -> Runtime | None:
    """Return the app's runtime, or None when jobstate was not installed on it."""
    return _installed.get(app)


def runtime_of(app: Celery) -> Runtime:
    """Return the app's runtime.

    Raises:
        ConfigurationError: jobstate was not installed on it.
    """
    if (found := _installed.get(app)) is None:
        raise ConfigurationError(
            f"The Celery app {app.main!r} has JobTasks, but jobstate is not installed on it: "
            "jobs need a database. Call jobstate.install(app) where the app is made."
        )
    return found


def remember(app: Celery, runtime: Runtime) -> None:
    """Keep the runtime for as long as its app lives."""
    _installed[app] = runtime
