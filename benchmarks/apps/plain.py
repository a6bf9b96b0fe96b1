"""Celery without jobstate: results ignored, or kept as BENCH_BACKEND says."""

import os
from typing import Any

from celery import Celery
from filling import serve

app = Celery("plain", broker=os.environ["BENCH_BROKER"], backend=os.environ.get("BENCH_BACKEND"))
app.conf.task_default_queue = "bench"
app.conf.task_ignore_result = "BENCH_BACKEND" not in os.environ


@app.task(name="nothing")
def nothing(number: int) -> int:
    """Do nothing."""
    return number


@app.task(name="reports", bind=True)
def reports(self: Any, number: int) -> int:
    """Report a hundred times."""
    for done in range(100):
        self.update_state(state="PROGRESS", meta={"current": done, "total": 100})
    return number


def fill(task: str, number: int) -> None:
    """Enqueue so many jobs."""
    for index in range(number):
        app.tasks[task].delay(index)


if __name__ == "__main__":
    serve(fill)
