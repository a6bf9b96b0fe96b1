"""The same tasks as jobs; with BENCH_LATE they may run again."""

import os
from typing import Any

from celery import Celery
from filling import serve

import jobstate

app = Celery("tracked", broker=os.environ["BENCH_BROKER"])
app.conf.task_default_queue = "bench"
app.conf.task_ignore_result = True
app.conf.jobstate_database_url = os.environ["BENCH_DATABASE"]
app.conf.jobstate_system_user_id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
jobs = jobstate.install(app)
LATE = "BENCH_LATE" in os.environ


@app.task(name="nothing", base=jobstate.JobTask, acks_late=LATE)
def nothing(number: int) -> int:
    """Do nothing."""
    return number


@app.task(name="reports", base=jobstate.JobTask, bind=True)
def reports(self: Any, number: int) -> int:
    """Report a hundred times."""
    for done in range(100):
        self.job.progress(current=done, total=100)
    return number


def fill(task: str, number: int) -> None:
    """Enqueue so many jobs."""
    for index in range(number):
        app.tasks[task].delay(index)
    jobs.service.close()


if __name__ == "__main__":
    serve(fill)
