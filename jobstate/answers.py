"""How the answers of the database are read, and what the log says of a job that has moved.

A guarded write has three: done, refused (with the job as it is), and unknown, which is an error.
"""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from jobstate.errors import JobNotFound
from jobstate.records import Job
from jobstate.store import Row

logger = logging.getLogger("jobstate")


def nothing(_: list[Row]) -> None:
    """Read no answer."""


def first_value(rows: list[Row]) -> Any:
    """Read an answer of one value; None where there is no row."""
    return rows[0][0] if rows else None


def one_job(rows: list[Row]) -> Job | None:
    """Read a job; None where there is no row."""
    return Job.from_row(rows[0]) if rows else None


def read_answer(job_id: UUID) -> Callable[[list[Row]], tuple[bool, Job]]:
    """Read a guarded write: whether it was done, and the job after it or as it is.

    Raises:
        JobNotFound: There is no such job; raised by the reader.
    """

    def read(rows: list[Row]) -> tuple[bool, Job]:
        if not rows:
            raise JobNotFound(job_id)
        done, *columns = rows[0]
        return done, Job.from_row(tuple(columns))

    return read


def logged(job_id: UUID) -> Callable[[list[Row]], tuple[bool, Job]]:
    """Read a guarded write, and log the transition if it was done."""
    answer = read_answer(job_id)

    def read(rows: list[Row]) -> tuple[bool, Job]:
        done, job = answer(rows)
        if done:
            log_transition(job)
        return done, job

    return read


def moved(rows: list[Row]) -> Job | None:
    """Read a guarded write, and log the transition; None where it was refused, or had no job."""
    if not rows or not rows[0][0]:
        return None
    job = Job.from_row(rows[0][1:])
    log_transition(job)
    return job


def log_transition(job: Job) -> None:
    """Log a transition that was done: one line each."""
    if not logger.isEnabledFor(logging.INFO):
        return
    logger.info(
        "Job %s (%s) is %s%s",
        job.id,
        job.job_type,
        job.status,
        f": {job.error_code}" if job.error_code else "",
        extra=about(job),
    )


def about(job: Job) -> dict[str, object]:
    """Return what a log record carries about a job."""
    return {"job_id": str(job.id), "user_id": str(job.user_id), "attempt": job.attempt}
