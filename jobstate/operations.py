"""What the writing methods of the services ask the store, and how they read the answer.

The blocking and the asyncio service share everything here: checks, statements and errors.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from jobstate.amounts import check_amount, check_progress
from jobstate.answers import about, log_transition, read_answer
from jobstate.errors import (
    InvalidStateTransitionError,
    InvalidValueError,
    JobNotFound,
    NotOwner,
    check_code,
)
from jobstate.ids import new_id
from jobstate.records import Asset, Job
from jobstate.states import (
    ErrorCode,
    JobStatus,
    is_terminal_state,
    sources_of,
)
from jobstate.store import Operation, Row
from jobstate.values import (
    check_span,
    check_status,
    check_text,
    job_id_of,
    optional_text,
    owner_text,
    to_json,
)

logger = logging.getLogger("jobstate")

_WHOLE = frozenset({JobStatus.COMPLETED, JobStatus.PARTIAL})


def transition(
    job_id: UUID | str,
    target_status: JobStatus | str,
    *,
    progress: float | None = None,
    error_message: str | None = None,
    error_code: str | None = None,
    result: object = None,
    max_result_bytes: int,
) -> Operation[Job]:
    """Move a job, if its status allows it."""
    key = job_id_of(job_id)
    target = check_status(target_status)
    params = {
        "id": key,
        "target": target,
        "sources": sources_of(target),
        "terminal": is_terminal_state(target),
        "whole": target in _WHOLE,
        "progress": None if progress is None else check_progress(progress),
        "result": None if result is None else to_json(result, "result", max_result_bytes),
        "error_code": _code(error_code, target),
        "error_message": optional_text(error_message, "error message"),
    }

    answer = read_answer(key)

    def read(rows: list[Row]) -> Job:
        done, job = answer(rows)
        if not done:
            raise InvalidStateTransitionError(key, job.status, target)
        log_transition(job)
        return job

    return Operation("transition", params, read)


def update_progress(
    job_id: UUID | str,
    progress: float,
    *,
    current: float | None,
    total: float | None,
    message: str | None,
) -> Operation[Job]:
    """Report progress of a processing job; another one is left alone, with a warning."""
    key = job_id_of(job_id)
    params = {
        "id": key,
        "progress": check_progress(progress),
        "current": check_amount(current, "current amount"),
        "total": check_amount(total, "total amount"),
        "message": optional_text(message, "progress message"),
    }

    answer = read_answer(key)

    def read(rows: list[Row]) -> Job:
        done, job = answer(rows)
        if not done:
            logger.warning(
                "Job %s is %s, so its progress was not updated: only a processing job has any.",
                key,
                job.status,
                extra=about(job),
            )
        return job

    return Operation("update_progress", params, read)


def create_asset(
    job_id: UUID | str,
    user_id: object,
    asset_type: str,
    url: str,
    storage_path: str,
    file_size: int,
    *,
    content_type: str | None,
    sha256: str | None,
) -> Operation[Asset]:
    """Link a file to its owner's job."""
    key = job_id_of(job_id)
    params = asset_params(asset_type, url, storage_path, file_size, content_type, sha256)
    params |= {"id": key, "user_id": owner_text(user_id, f"The asset of job {key}")}

    def read(rows: list[Row]) -> Asset:
        if not rows:
            raise JobNotFound(key)
        if rows[0][0] is None:
            raise NotOwner(key, user_id)
        return Asset.from_row(rows[0])

    return Operation("create_asset", params, read)


def asset_params(
    asset_type: str,
    url: str,
    storage_path: str,
    file_size: int,
    content_type: str | None,
    sha256: str | None,
) -> dict[str, Any]:
    """Check what describes an asset, and give it an id."""
    if isinstance(file_size, bool) or not isinstance(file_size, int) or file_size < 0:
        raise InvalidValueError(
            f"The file size {file_size!r} is wrong: it is a whole number of bytes, 0 or more. "
            "Pass path.stat().st_size."
        )
    return {
        "asset_id": new_id(),
        "asset_type": check_text(asset_type, "asset type"),
        "url": check_text(url, "asset's URL"),
        "storage_path": check_text(storage_path, "storage path"),
        "file_size": file_size,
        "content_type": optional_text(content_type, "content type"),
        "sha256": optional_text(sha256, "sha256"),
    }


def ages_of(
    older_than: float | timedelta, statuses: Iterable[JobStatus | str]
) -> dict[JobStatus, float]:
    """Return for each status the age in seconds from which its jobs are purged.

    Raises:
        InvalidValueError: The age is no number or negative, or a status is not terminal.
    """
    seconds = check_span(older_than, "age")
    wanted = [check_status(status) for status in statuses]
    if live := [status for status in wanted if not is_terminal_state(status)]:
        raise InvalidValueError(
            f"A job that is {live[0]} cannot be purged: only one that has landed can. "
            "Leave this status out."
        )
    return dict.fromkeys(wanted, seconds)


def request_cancel(job_id: UUID | str, user_id: object, grace: float) -> Operation[bool]:
    """Remember that the owner wants a job cancelled. True: no attempt holds it."""
    key = job_id_of(job_id)
    owner = owner_text(user_id, f"The cancellation of job {key}")

    def read(rows: list[Row]) -> bool:
        if not rows:
            raise JobNotFound(key)
        owned, unheld = rows[0]
        if not owned:
            raise NotOwner(key, user_id)
        return bool(unheld)

    return Operation("request_cancel", {"id": key, "user_id": owner, "grace": grace}, read)


def _code(error_code: str | None, target: JobStatus) -> str | None:
    if error_code is None:
        return ErrorCode.EXCEPTION if target is JobStatus.FAILED else None
    # A driver of its own jobs may give the library's reasons too: it is in the library's place.
    return error_code if error_code in list(ErrorCode) else check_code(error_code)
