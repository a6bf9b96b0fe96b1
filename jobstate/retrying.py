"""Running a job again that has landed: as a new job, since a terminal one never moves."""

import json
from typing import Literal
from uuid import UUID

from jobstate.answers import nothing, one_job
from jobstate.creation import NewJob, create_job
from jobstate.errors import (
    InvalidStateTransitionError,
    InvalidValueError,
    JobNotFound,
    NotOwner,
    NotRetryable,
)
from jobstate.records import Job
from jobstate.settings import Settings
from jobstate.states import JobStatus
from jobstate.store import Operation, Row, Script
from jobstate.values import job_id_of, owner_text

Which = Literal["all", "failed"]


def retry(job_id: UUID | str, user_id: object, only: Which, settings: Settings) -> Script[Job]:
    """Create a job that makes the same call again for the same owner, unless one is live."""
    if only not in ("all", "failed"):
        raise InvalidValueError(
            f"Items {only!r} cannot be retried: a retry does all of them, or those that failed. "
            'Pass only="all" or only="failed".'
        )
    new: NewJob = yield _find_original(job_id, user_id, only)
    while True:
        created: Job | None = yield create_job(new, settings)
        if created is not None:
            yield _narrow(created.id, only)
            return created
        live: Job | None = yield _live_retry(new.retry_of)
        if live is not None:
            return live
        # The one that was in the way has landed since.


def _live_retry(job_id: UUID | str | None) -> Operation[Job | None]:
    return Operation("live_retry", {"id": job_id}, one_job)


def _find_original(job_id: UUID | str, user_id: object, only: Which) -> Operation[NewJob]:
    key = job_id_of(job_id)
    owner = owner_text(user_id, f"The retry of job {key}")

    def read(rows: list[Row]) -> NewJob:
        if not rows:
            raise JobNotFound(key)
        owned, call, deadline, has_failed_items, *columns = rows[0]
        if not owned:
            raise NotOwner(key, user_id)
        job = Job.from_row(tuple(columns))
        if not job.is_terminal:
            raise InvalidStateTransitionError(key, job.status, JobStatus.QUEUED)
        if (reason := _obstacle(job, call)) is not None:
            raise NotRetryable(f"Job {key} cannot be retried: {reason}")
        if only == "failed" and not has_failed_items:
            raise NotRetryable(
                f"Job {key} cannot be retried for its failed items: it has none. Retry all of it."
            )
        return NewJob(
            user_id=user_id,
            job_type=job.job_type,
            parameters=job.parameters,
            task_name=call["task_name"],
            queue=call["queue"],
            message=json.dumps(call["message"]),
            deadline=deadline,
            parent_id=job.parent_id,
            retry_of=key,
            call=json.dumps(call),
        )

    return Operation("find_original", {"id": key, "user_id": owner}, read)


def _narrow(job_id: UUID, only: Which) -> Operation[None]:
    params = {"id": job_id, "only_failed": only == "failed"}
    return Operation("narrow", params, nothing)


def _obstacle(job: Job, call: object) -> str | None:
    if job.task_name is None:
        return "no Celery task runs it. Create a new job, and drive it."
    if call is None:
        return (
            "some of its arguments are not recorded (job_redact), and were forgotten when it "
            "landed. Enqueue it anew with all of them."
        )
    return None
