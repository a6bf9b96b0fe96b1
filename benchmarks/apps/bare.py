"""The least that a durable row of a job can cost: its take and its landing, one statement each.

By the driver, prepared, on a table with no index but its key. No lease, no fence, no history, no
owner: what jobstate needs more than this is what these cost.
"""

import os
from functools import cache
from typing import Any
from uuid import uuid4

import psycopg
from bare_rows import INSERT, LAND, TABLE, TAKE
from celery import Celery
from filling import serve
from psycopg.types.json import Json

app = Celery("bare", broker=os.environ.get("BENCH_BROKER"))
app.conf.task_default_queue = "bench"
app.conf.task_ignore_result = True


@cache
def connection(_process: int) -> psycopg.Connection[Any]:
    """Return the connection of a process."""
    url = os.environ["BENCH_DATABASE"].replace("+psycopg", "")
    return psycopg.connect(url, autocommit=True)


@app.task(name="nothing")
def nothing(job_id: str, number: int) -> None:
    """Do nothing, and keep the row up to date."""
    database = connection(os.getpid())
    database.execute(TAKE, (job_id,), prepare=True)
    database.execute(LAND, (Json(number), job_id), prepare=True)


def fill(_: str, number: int) -> None:
    """Enqueue so many jobs."""
    database = connection(os.getpid())
    for index in range(number):
        job_id = uuid4()
        parameters = Json({"number": index})
        database.execute(INSERT, (job_id, parameters), prepare=True)
        nothing.delay(str(job_id), index)
    database.close()
    connection.cache_clear()


if __name__ == "__main__":
    connection(os.getpid()).execute(TABLE)
    serve(fill)
