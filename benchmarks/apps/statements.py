"""jobstate's own take and landing, by the driver alone, in a plain task.

The same rows, indexes, triggers and lines of history as the library's, and nothing of the library
around them: what its Python needs is the difference.
"""

import os
from functools import cache
from typing import Any
from uuid import UUID

import psycopg
from celery import Celery
from filling import serve

from benchmarks.written import written
from jobstate.attempts import Hold, Landing, Policy, land, take
from jobstate.creation import NewJob, create_job
from jobstate.ids import new_id
from jobstate.publishing import note_first_published
from jobstate.settings import Settings
from jobstate.states import JobStatus
from jobstate.store import Store
from jobstate.sweeping import register_worker

app = Celery("statements", broker=os.environ["BENCH_BROKER"])
app.conf.task_default_queue = "bench"
app.conf.task_ignore_result = True

LATE = "BENCH_LATE" in os.environ
WORKER = UUID(int=1)
OWNER = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
BODY = '{{"body": "[[{0}], {{}}, {{\\"ignore_result\\": true}}]", '
MESSAGE = BODY + '"followups": false, "errbacks": false}}'

POLICY = Policy(idempotent=LATE, max_rescues=3, keep_partial=False, no_progress=None)
HOLD = Hold(UUID(int=0), 1, WORKER, 1)
LANDING = Landing(JobStatus.COMPLETED, result="0")
TAKE = written(take(HOLD.job_id, 0, WORKER, 1, POLICY), {"id": "%s"}).encode()
LAND = written(land(HOLD, LANDING, None, followups=False), {"id": "%s", "result": "%s"}).encode()


@cache
def connection(_process: int) -> psycopg.Connection[Any]:
    """Return the connection of a process."""
    url = os.environ["BENCH_DATABASE"].replace("+psycopg", "")
    return psycopg.connect(url, autocommit=True)


@app.task(name="nothing")
def nothing(number: int) -> int:
    """Do nothing, and keep the row up to date."""
    database, job_id = connection(os.getpid()), nothing.request.id
    assert database.execute(TAKE, (job_id,), prepare=True).fetchall()
    assert database.execute(LAND, (str(number), job_id), prepare=True).fetchall()
    return number


def fill(_: str, number: int) -> None:
    """Enqueue so many jobs."""
    settings = Settings.for_database(os.environ["BENCH_DATABASE"])
    store = Store.open(settings)
    store.run(register_worker(WORKER, "statements", 1, [], 86_400))
    ages: dict[UUID, float] = {}
    for index in range(number):
        message = MESSAGE.format(index)
        new = NewJob(
            user_id=OWNER, job_type="nothing", message=message, call=message, job_id=new_id()
        )
        job = store.run(create_job(new, settings))
        nothing.apply_async((index,), task_id=str(job.id))
        ages[job.id] = 0.0
    for noted in note_first_published(ages):
        store.run(noted)
    store.close()


if __name__ == "__main__":
    serve(fill)
