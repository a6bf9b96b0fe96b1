"""What an attempt asks the store: the take, the fenced writes, the landing, the release.

Every write names the attempt that makes it; the database refuses one that no longer holds the job.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from jobstate.answers import first_value, log_transition, logged, nothing, read_answer
from jobstate.progress import Report
from jobstate.records import Job
from jobstate.states import ErrorCode, JobStatus
from jobstate.store import Operation, Row


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to run a job: every write of an attempt is fenced on all of it."""

    job_id: UUID
    attempt: int
    worker_id: UUID
    pid: int | None = field(default=None, compare=False)
    """The process of the worker that took the job; None: whichever did."""

    def params(self) -> dict[str, object]:
        """Return the hold as the statements bind it."""
        return {
            "id": self.job_id,
            "attempt": self.attempt,
            "worker_id": self.worker_id,
            "pid": self.pid,
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """What a task declares about being run again; written into the row at each take."""

    idempotent: bool
    max_rescues: int
    keep_partial: bool
    no_progress: float | None


@dataclass(frozen=True, slots=True)
class Taking:
    """The answer to a take: whether it was done, and the job after it or as it is."""

    done: bool
    lease_alive: bool
    followups: bool
    job: Job


@dataclass(frozen=True, slots=True)
class Landing:
    """How a job ends."""

    status: JobStatus
    result: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_detail: str | None = None

    def reason(self) -> dict[str, object]:
        """Return the columns that say why a job failed, each None for one that did not."""
        return {
            "error_code": self.error_code,
            "error_message": self.error_message,
            "error_detail": self.error_detail,
        }

    def is_of(self, job: Job, hold: Hold) -> bool:
        """Tell whether the job has landed like this, at this attempt: nobody else lands it so."""
        said = (job.attempt, job.status, job.error_code, job.error_message)
        return (
            said == (hold.attempt, self.status, self.error_code, self.error_message)
            and job.result == _loaded(self.result)
            and job.error_detail == _loaded(self.error_detail)
        )


def take(
    job_id: UUID,
    ticket: int,
    worker_id: UUID | None,
    pid: int,
    policy: Policy,
    *,
    adopting: bool = False,
) -> Operation[Taking | None]:
    """Take the job after the attempt that the ticket names. None: there is no such job.

    A job that may run again may be queued again if the database dies within a second of its take:
    nobody waits for the disk. Unless it is `adopting`: then the take is all that there is of it.
    """

    def read(rows: list[Row]) -> Taking | None:
        if not rows:
            return None
        done, lease_alive, followups, *columns = rows[0]
        job = Job.from_row(tuple(columns))
        if done:
            log_transition(job)
        return Taking(done, lease_alive, followups, job)

    params = {
        "id": job_id,
        "ticket": ticket,
        "worker_id": worker_id,
        "pid": pid,
        "idempotent": policy.idempotent,
        "max_rescues": policy.max_rescues,
        "keep_partial": policy.keep_partial,
        "no_progress": policy.no_progress,
        "relaxed": policy.idempotent and not adopting,
    }
    return Operation("take_again" if ticket else "take", params, read, "not_taken")


def land(
    hold: Hold,
    landing: Landing,
    report: Report | None,
    *,
    followups: bool,
    publish_grace: float = 0.0,
) -> Operation[tuple[bool, Job]]:
    """Land the held job, with the last progress. Refused: the job as it is.

    With `followups`, the attempt has `publish_grace` seconds to dispatch them.
    """
    last = report or Report()
    return Operation(
        "land",
        {
            **hold.params(),
            **landing.reason(),
            "status": landing.status,
            "whole": landing.status is not JobStatus.FAILED,
            "result": landing.result,
            "progress": last.percent,
            "current": last.current,
            "total": last.total,
            "progress_message": last.message,
            "followups": followups,
            "publish_grace": publish_grace,
        },
        logged(hold.job_id),
        "refused",
    )


def release(
    hold: Hold,
    *,
    message: str | None,
    task_name: str | None,
    queue: str | None,
    retries: int | None,
    when: Mapping[str, object],
    publish_grace: float,
    error_code: ErrorCode | None,
    detail: str,
    canvas: str | None = None,
) -> Operation[tuple[bool, Job]]:
    """Give up the held job for a later attempt. Refused: the job as it is.

    With `canvas`, for the tasks of which the last takes the job over.
    """
    params: Mapping[str, Any] = {
        **hold.params(),
        "message": message,
        "task_name": task_name,
        "queue": queue,
        "retries": retries,
        **when,
        "publish_grace": publish_grace,
        "error_code": error_code,
        "detail": detail,
        "canvas": canvas,
    }
    return Operation("release", params, read_answer(hold.job_id))


def check_held(hold: Hold) -> Operation[bool | None]:
    """Ask about the job. True: it is to be cancelled. None: it is held no more."""
    return Operation("check_held", hold.params(), first_value)


def note(job_id: UUID, event: str, attempt: int) -> Operation[None]:
    """Add something that was refused to the history, at most three times for a job."""
    return Operation("note", {"id": job_id, "event": event, "attempt": attempt}, nothing)


def clear_followups(job_id: UUID) -> Operation[None]:
    """Forget what a landed job had still to dispatch."""
    return Operation("clear_followups", {"id": job_id}, nothing)


def join(hold: Hold) -> Operation[str | None]:
    """Lock the held job in the caller's transaction, and name that. None: it is held no more."""
    return Operation("join", hold.params(), first_value)


def bound_idleness(seconds: float) -> Operation[None]:
    """Have the server end the caller's transaction if its client falls silent for so long."""
    return Operation("bound_idleness", {"timeout": math.ceil(seconds * 1000)}, nothing)


def claim_followups(hold: Hold, publish_grace: float) -> Operation[tuple[bool, Job]]:
    """Leave it to the attempt to dispatch what follows. Refused: the job as it is."""
    params = {**hold.params(), "publish_grace": publish_grace}
    return Operation("claim_followups", params, read_answer(hold.job_id))


def ending(code: ErrorCode, message: str | None = None) -> Landing:
    """Return a failure whose reason says all, by the code's own message unless there is one."""
    return Landing(JobStatus.FAILED, error_code=code, error_message=message or code.message)


def _loaded(stored: str | None) -> object:
    return None if stored is None else json.loads(stored)
