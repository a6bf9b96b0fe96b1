"""Tasks that complete in transactions of their own, and die around the commit."""

import os
import signal

import psycopg
from celery import Task, shared_task

from jobstate import JobTask
from tests.worker.gates import Gates


def _dies_at(self: JobTask, moment: str) -> int:
    """Write and complete; kill the process of the first attempt in one moment, or of its worker."""
    attempt = self.job.attempt
    Gates.of(self.app).note(f"ran:{self.job.id}", attempt)

    def come_to(now: str) -> None:
        if moment == now and attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    url = self.app.conf.jobstate_database_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("insert into orders values (1)")
        come_to("before the landing")
        self.job.complete_in(connection, attempt)
        come_to("before the commit")
        connection.commit()
        come_to("after the commit")
        if moment == "at the gate":
            Gates.of(self.app).stop(self.job.id)
        if moment == "with its worker":
            os.kill(os.getppid(), signal.SIGKILL)
            come_to(moment)
    return -1


@shared_task(base=JobTask, bind=True)
def dies_once(self: JobTask, moment: str) -> int:
    return _dies_at(self, moment)


@shared_task(base=JobTask, bind=True, acks_late=True)
def dies_late(self: JobTask, moment: str) -> int:
    return _dies_at(self, moment)


@shared_task(base=JobTask, bind=True)
def retries_inside(self: JobTask) -> None:
    """Ask for a retry where it would have to wait for the body's own transaction."""
    url = self.app.conf.jobstate_database_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("insert into orders values (1)")
        file = {"url": "/", "storage_path": "1", "file_size": 1}
        self.job.add_asset("csv", **file, connection=connection)
        raise self.retry(countdown=0)


@shared_task(bind=True)
def hears_plainly(self: Task, value: object) -> None:
    """Do the same, and be no job: dispatched twice, it would run twice."""
    Gates.of(self.app).note(f"heard:{self.request.parent_id}", value)


@shared_task(base=JobTask, bind=True)
def hears(self: JobTask, value: object) -> None:
    """Note of whom it was called, and with what."""
    Gates.of(self.app).note(f"heard:{self.job.parent_id}", value)
