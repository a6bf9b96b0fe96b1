"""What an app with jobstate installed has in every process: settings, service, seat."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from celery import Celery

from jobstate import publishing, sweeping
from jobstate.aio import AsyncJobService
from jobstate.attempts import Hold, ending
from jobstate.celery.announce import Announcer
from jobstate.celery.beacon import BrokerBeacon
from jobstate.celery.bench import Bench
from jobstate.celery.broker import BrokerDownError
from jobstate.celery.circuit import Circuit
from jobstate.celery.delegation import restored
from jobstate.celery.notes import Notes
from jobstate.celery.publish import Message, send, send_batch
from jobstate.celery.seat import Seat
from jobstate.counters import PUBLICATIONS
from jobstate.creation import When
from jobstate.errors import ConfigurationError, InvalidValueError, JobStateError
from jobstate.progress import Report
from jobstate.records import Job
from jobstate.service import JobService
from jobstate.settings import Settings
from jobstate.states import ErrorCode
from jobstate.store import Operation
from jobstate.values import job_id_of

logger = logging.getLogger("jobstate")

_SOON = 60.0
"""How far ahead a message may be published, in seconds; the `due` statement has the same figure."""


class Keeping(Protocol):
    """The keeper, as the signal handlers of a worker's main process know it."""

    def hand_over(self, event: Any) -> None:
        """Leave what has happened to the keeper; returns at once."""

    def end(self) -> None:
        """Settle what is left, give up the lease, and end."""


class Runtime:
    """The parts that the task, the signals and the keeper of one app share."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self.app = app
        self.seat = Seat()
        self.bench = Bench()
        self.keeper: Keeping | None = None
        self.point_at(settings)

    def point_at(self, settings: Settings, *, notes_wait: bool = True) -> None:
        """Use these settings from now on, in everything that has this runtime.

        Args:
            settings: The settings.
            notes_wait: Whether a thread may note what was published.
        """
        self.settings = settings
        self.beacon = BrokerBeacon(self.app, settings.publish_timeout)
        self.service = _Service(
            settings.database_url,
            settings=settings,
            publish=lambda job_id: self.publish_stored(job_id, again=True),
            beacon=self.beacon,
        )
        self.notes = self.service.notes
        self._notes_wait = notes_wait
        self._announcer = Announcer(self.app, settings.publish_timeout)
        self._circuit = Circuit()
        self.__dict__.pop("aio", None)

    @property
    def broker_is_down(self) -> bool:
        """Whether the last publication has failed that was tried."""
        return self._circuit.is_open

    @cached_property
    def aio(self) -> AsyncJobService:
        """The asyncio service, which opens nothing before it is used."""
        return AsyncJobService(
            self.settings.database_url,
            settings=self.settings,
            publish=self.publish_stored,
            blocking=self.service,
        )

    def publish(
        self,
        job_id: UUID,
        ticket: int,
        message: Message,
        *,
        eta: When | None = None,
        expires: When | None = None,
        first: bool = False,
    ) -> bool:
        """Publish a job's message and note it in the row; return whether the broker took it.

        One that is to start later than in a minute is left to the sweeper, which publishes it when
        it is due: brokers deliver a message that waits in a worker again and again.

        Args:
            job_id: The job.
            ticket: The attempt that the message follows.
            message: The message.
            eta: When it is to start.
            expires: When it is not to start any more.
            first: Whether it is the first one, from where the job was created: its note may wait.

        Raises:
            InvalidValueError: No broker would ever take it; the job has failed.
        """
        if is_far(eta):
            return False
        call = message.call(self.app, job_id, ticket, eta=eta, expires=expires)
        return self._publish(job_id, ticket, call, first=first)

    def announce(self, subject: str, job: Job, hold: Hold, report: Report | None = None) -> None:
        """Have monitors know how a job is that this worker holds, where one watches."""
        if self.seat.watched and self.seat.worker_id == hold.worker_id:
            self._announcer.announce(subject, job, self.seat.hostname, report)

    def _publish_canvas(self, job_id: UUID, ticket: int, stored: str) -> bool:
        canvas = restored(self.app, stored)
        return self._publish(job_id, ticket, canvas.apply_async, first=False)

    def _publish(
        self, job_id: UUID, ticket: int, call: Callable[..., object], *, first: bool
    ) -> bool:
        if not self._circuit.admits():
            PUBLICATIONS.add("not_tried")
            logger.warning(
                "Job %s was not published: the broker has just failed. Its row keeps the message.",
                job_id,
                extra={"job_id": str(job_id)},
            )
            return False
        try:
            if not send(self.app, job_id, call, self.settings.publish_timeout):
                PUBLICATIONS.add("failed")
                self._circuit.learnt_nothing()
                return False
        except BrokerDownError:
            PUBLICATIONS.add("failed")
            self._circuit.failed()
            return False
        except InvalidValueError as error:
            PUBLICATIONS.add("refused")
            self._circuit.learnt_nothing()
            self._end(job_id, ticket, error)
            raise
        PUBLICATIONS.add("published")
        self._circuit.worked()
        if not (first and self._leave_notes([job_id])):
            grace = self.settings.publish_grace
            self._note([publishing.note_published(job_id, ticket, grace)])
        return True

    def publish_together(self, calls: Mapping[UUID, Callable[..., object]]) -> bool:
        """Publish the first messages of several jobs; return whether the broker took them all.

        Raises:
            InvalidValueError: No broker would ever take one; that job has failed.
        """
        if not self._circuit.admits():
            PUBLICATIONS.add("not_tried", len(calls))
            logger.warning("%d jobs were not published: the broker has just failed.", len(calls))
            return False
        try:
            refused = send_batch(self.app, calls, self.settings.publish_timeout)
        except BrokerDownError:
            PUBLICATIONS.add("failed", len(calls))
            self._circuit.failed()
            return False
        PUBLICATIONS.add("published", len(calls) - len(refused))
        PUBLICATIONS.add("refused", len(refused))
        self._circuit.worked()
        noted = [job_id for job_id in calls if job_id not in refused]
        if not self._leave_notes(noted):
            self._note(publishing.note_first_published(dict.fromkeys(noted, 0.0)))
        for job_id, error in refused.items():
            self._end(job_id, 0, error)
        for error in refused.values():
            raise error
        return True

    def _leave_notes(self, ids: Collection[UUID]) -> bool:
        # A process of a worker's pool is not asked before it ends.
        return self._notes_wait and self.seat.main_pid is None and self.notes.leave(ids)

    def _note(self, noted: Iterable[Operation[None]]) -> None:
        try:
            for operation in noted:
                self.service.store.run(operation)
        except JobStateError as error:
            # The messages are out. Without the note they go out once more, and are dropped then.
            logger.warning("A publication was not noted: %s", error)

    def _end(self, job_id: UUID, ticket: int, error: InvalidValueError) -> None:
        landing = ending(ErrorCode.NEVER_DELIVERED, str(error))
        self.service.store.run_all(sweeping.end_unheld(job_id, ticket, landing))

    def publish_committed(self, job_id: UUID, *, again: bool = False, first: bool = False) -> None:
        """Publish a job whose commit is done; what goes wrong now is no error of the commit."""
        try:
            self.publish_stored(job_id, again=again, first=first)
        except JobStateError as error:
            logger.warning(
                "Job %s was not published: %s", job_id, error, extra={"job_id": str(job_id)}
            )

    def publish_stored(
        self, job: Job | UUID | str, *, again: bool = False, first: bool = False
    ) -> bool:
        """Publish a job from its row, if it still waits for that; return whether it was.

        Args:
            job: The job, or its id.
            again: Publish it also when its message went out before.
            first: Whether it is where the job was created that publishes it; see `publish`.
        """
        job_id = job.id if isinstance(job, Job) else job_id_of(job)
        if not again and job_id in self.notes:
            return False
        row = self.service.store.run(publishing.message_of(job_id, again=again))
        if row is None:
            return False
        task_name, stored, ticket, eta, expires = row
        if "canvas" in stored:
            return self._publish_canvas(job_id, ticket, stored["canvas"])
        message = Message.decode(task_name, stored)
        return self.publish(job_id, ticket, message, eta=eta, expires=expires, first=first)


class _Service(JobService):
    """The service of an app's jobs, and what waits to be noted in them."""

    @cached_property
    def notes(self) -> Notes:
        """The notes, in the service's own store."""
        return Notes(self.store, self.settings.publish_grace)

    def close(self) -> None:
        """Have everything noted, then close this process's connections."""
        self.notes.finish()
        super().close()


def is_far(eta: When | None) -> bool:
    """Tell whether a job starts so late that its message is left to the sweeper."""
    if isinstance(eta, datetime):
        eta = eta - datetime.now(UTC)
    if isinstance(eta, timedelta):
        eta = eta.total_seconds()
    return eta is not None and eta > _SOON


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


def is_a_broker_down() -> bool:
    """Tell whether an app of this process has last found its broker down."""
    return any(runtime.broker_is_down for runtime in list(_installed.values()))


def remember(app: Celery, runtime: Runtime) -> None:
    """Keep the runtime for as long as its app lives."""
    _installed[app] = runtime
