"""One app with its database and its broker, as a test uses it."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Self
from uuid import UUID, uuid4

import redis
from celery import Celery

import jobstate
from jobstate import Job, JobEvent, JobNotFound, JobStatus, JobTask
from jobstate.celery.publish import TICKET
from jobstate.celery.runtime import runtime_of
from tests.worker.apps import TASKS, make_app
from tests.worker.gates import Gates
from tests.worker.process import PATIENCE, WorkerProcess, eventually

OpenSite = Callable[..., AbstractContextManager["Site"]]


class Site:
    """Enqueues jobs, and looks at what has become of them.

    Args:
        database_url: The database of the jobs.
        broker_url: A Redis database of this site's own; or another broker, with `gates_url`.
        conf: More of Celery's configuration.
    """

    def __init__(self, database_url: str, broker_url: str, **conf: Any) -> None:
        self.conf = {"database_url": database_url, "broker_url": broker_url, **conf}
        self.app: Celery = make_app(**self.conf)
        self.jobs = jobstate.install(self.app)
        self.service = self.jobs.service
        self.user_id = uuid4()
        self.gates = Gates.of(self.app)
        self.gates = Gates.of(self.app)
        is_redis = broker_url.startswith("redis:")
        self.redis = redis.Redis.from_url(broker_url if is_redis else self.app.conf.gates_url)
        self.worker: WorkerProcess | None = None

    def __enter__(self) -> Self:
        """Nothing is opened before it is used."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection."""
        self.service.close()
        self.app.close()
        self.gates.close()
        self.redis.close()

    def task(self, name: str) -> JobTask:
        """Return a task of the tests' own."""
        names = (f"{module}.{name}" for module in TASKS)
        found: JobTask = next(self.app.tasks[full] for full in names if full in self.app.tasks)
        return found

    def enqueue(self, name: str, *args: Any, **kwargs: Any) -> Job:
        """Enqueue a task of the tests' own for this site's user."""
        return self.task(name).enqueue(*args, user_id=self.user_id, **kwargs)

    def enqueue_with(self, name: str, *args: Any, **options: Any) -> Job:
        """The same, with options of Celery and of jobstate."""
        return self.task(name).enqueue_with(args, user_id=self.user_id, **options)

    def store(self, name: str, *args: Any, **options: Any) -> Job:
        """Create the row of a job without publishing it."""
        with self.service.store.engine.connect() as connection, connection.begin():
            job = self.enqueue_with(name, *args, connection=connection, **options)
            # What would publish it once the connection is closed.
            connection.info.clear()
            return job

    def publish(self, job: Job | UUID | str, name: str, *args: Any, **options: Any) -> None:
        """Publish a message by hand, past jobstate; `ticket` is its header."""
        ticket = options.pop("ticket", None)
        headers = {} if ticket is None else {TICKET: ticket}
        self.app.send_task(
            self.task(name).name,
            args,
            task_id=str(job.id if isinstance(job, Job) else job),
            headers={**headers, **options.pop("headers", {})},
            **options,
        )

    def revoke(self, job: Job, **options: Any) -> None:
        """Revoke a job past jobstate, and wait until the worker has done it."""
        options = {"reply": True, "limit": 1, "timeout": PATIENCE, **options}
        answers = self.app.control.revoke(str(job.id), **options)
        assert answers, "the worker did not answer"

    def waiting(self, queue: str = "celery") -> list[Mapping[str, Any]]:
        """Return the headers of the messages in a queue, the first to be delivered first."""
        return [json.loads(text)["headers"] for text in reversed(self.redis.lrange(queue, 0, -1))]

    def read(self, job: Job | UUID | str) -> Job:
        """Read a job, whoever owns it."""
        return self.service.get_job_internal(job.id if isinstance(job, Job) else job)

    def noted(self) -> None:
        """Have written that jobs were published, and wait for it."""
        notes = runtime_of(self.app).notes
        notes.finish()
        eventually(lambda: not len(notes), "the notes")

    def history(self, job: Job) -> list[JobEvent]:
        """Read a job's history."""
        return self.service.get_job_events(job.id, job.user_id)

    def landed(self, job: Job | UUID | str) -> Job:
        """Wait until a job has landed; check that it did so once, and that nobody holds it."""

        def found() -> Job | None:
            # A callback's id is known before its row is there.
            with suppress(JobNotFound):
                now = self.read(job)
                return now if now.is_terminal else None
            return None

        def instead() -> str:
            with suppress(JobNotFound):
                return f"{self.read(job)} {self.worker and self.worker.log[-9000:]}"
            return "no row"

        landed: Job = eventually(found, "the landing of a job", instead)
        assert landed.worker_id is None
        assert landed.pid is None
        assert landed.completed_at is not None
        endings = [event for event in self.history(landed) if event.to_status == landed.status]
        assert len(endings) == 1
        assert endings[0].error_code == landed.error_code
        return landed

    def completed(self, job: Job | UUID | str) -> Job:
        """Wait until a job has completed, and return it."""
        landed = self.landed(job)
        assert (landed.status, landed.error_code) == (JobStatus.COMPLETED, None), landed
        assert landed.error_message is None
        assert landed.progress == 100
        return landed

    def failed(self, job: Job | UUID | str, code: str, message: str) -> Job:
        """Wait until a job has failed like this; the owner's message begins with `message`."""
        landed = self.landed(job)
        assert (landed.status, landed.error_code) == (JobStatus.FAILED, code), landed
        assert landed.error_message is not None
        assert landed.error_message.startswith(message)
        assert landed.result is None
        return landed

    def logged(self, *words: str) -> str:
        """Wait for a line of the worker's log with all these words, and return it."""
        assert self.worker is not None, "this site has no worker"
        return self.worker.says(*words)


def published(site: Site) -> list[str]:
    """Return the ids of the jobs whose messages wait in the broker."""
    return [message["id"] for message in site.waiting()]


def publishes(site: Site) -> list[int]:
    """Return how often each job was published, as far as it is noted."""
    return [job.publishes for job in site.service.list_jobs(site.user_id).items]
