"""What each method of the service asks the store, and how it reads the answer.

The blocking and the asyncio service share everything here: checks, statements and errors.
"""

import base64
import binascii
import json
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from jobstate.errors import (
    AssetNotFound,
    InvalidStateTransitionError,
    InvalidValueError,
    JobNotFound,
    NotOwner,
    check_code,
)
from jobstate.records import Asset, Job, JobEvent, JobItem, JobLog, Page, Stats
from jobstate.states import (
    ErrorCode,
    ItemStatus,
    JobStatus,
    is_terminal_state,
    sources_of,
)
from jobstate.store import Operation, Row
from jobstate.values import (
    check_amount,
    check_number,
    check_progress,
    check_status,
    check_text,
    job_id_of,
    optional_text,
    owner_text,
    to_json,
)

T = TypeVar("T")

logger = logging.getLogger("jobstate")

MAX_PAGE = 1000
_WHOLE = frozenset({JobStatus.COMPLETED, JobStatus.PARTIAL})


def get_job(job_id: UUID | str, user_id: object) -> Operation[Job]:
    """Read a job for its owner."""
    key = job_id_of(job_id)
    owner = owner_text(user_id, f"The reader of job {key}")

    def read(rows: list[Row]) -> Job:
        if not rows:
            raise JobNotFound(key)
        owned, *columns = rows[0]
        if not owned:
            raise NotOwner(key, user_id)
        return Job.from_row(tuple(columns))

    return Operation("get_job", {"id": key, "user_id": owner}, read)


def get_job_internal(job_id: UUID | str) -> Operation[Job]:
    """Read a job, whoever owns it."""
    key = job_id_of(job_id)

    def read(rows: list[Row]) -> Job:
        if not rows:
            raise JobNotFound(key)
        return Job.from_row(rows[0])

    return Operation("get_job_internal", {"id": key}, read)


def list_jobs(
    user_id: object,
    *,
    status: JobStatus | str | None,
    job_type: str | None,
    limit: int,
    cursor: str | None,
) -> Operation[Page[Job]]:
    """Read one page of an owner's jobs, newest first."""
    _check_limit(limit)
    before_at, before_id = (None, None) if cursor is None else _read_cursor(cursor)

    def read(rows: list[Row]) -> Page[Job]:
        items = [Job.from_row(row) for row in rows[:limit]]
        return Page(items, _write_cursor(items[-1]) if len(rows) > limit else None)

    return Operation(
        "list_jobs",
        {
            "user_id": owner_text(user_id, "The list of jobs"),
            "status": None if status is None else check_status(status),
            "job_type": optional_text(job_type, "job type"),
            "before_at": before_at,
            "before_id": before_id,
            # One more than the page tells whether another page follows.
            "limit": limit + 1,
        },
        read,
    )


def list_all_jobs(
    *, status: JobStatus | str | None, job_type: str | None, limit: int
) -> Operation[list[Job]]:
    """Read the newest jobs of everybody."""
    params = {
        "status": None if status is None else check_status(status),
        "job_type": optional_text(job_type, "job type"),
        "limit": limit,
    }
    return Operation("list_all_jobs", params, lambda rows: [Job.from_row(row) for row in rows])


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

    def read(rows: list[Row]) -> Job:
        done, job = _answer(rows, key)
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

    def read(rows: list[Row]) -> Job:
        done, job = _answer(rows, key)
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
        "asset_id": uuid4(),
        "asset_type": check_text(asset_type, "asset type"),
        "url": check_text(url, "asset's URL"),
        "storage_path": check_text(storage_path, "storage path"),
        "file_size": file_size,
        "content_type": optional_text(content_type, "content type"),
        "sha256": optional_text(sha256, "sha256"),
    }


def get_job_assets(job_id: UUID | str, user_id: object) -> Operation[list[Asset]]:
    """Read the files of a job, for its owner."""
    return _owned_rows("get_assets", job_id, user_id, Asset.from_row)


def get_asset(asset: Asset | UUID | str, user_id: object) -> Operation[tuple[Asset, bool]]:
    """Read a stored file for its owner, and whether jobstate has stored it."""
    try:
        key = asset.id if isinstance(asset, Asset) else job_id_of(asset)
    except JobNotFound:
        raise AssetNotFound(asset) from None

    def read(rows: list[Row]) -> tuple[Asset, bool]:
        if not rows:
            raise AssetNotFound(key)
        owned, managed, *columns = rows[0]
        found = Asset.from_row(tuple(columns))
        if not owned:
            raise NotOwner(found.job_id, user_id)
        return found, managed

    owner = owner_text(user_id, f"The reader of asset {key}")
    return Operation("get_asset", {"asset_id": key, "user_id": owner}, read)


def managed_path(asset: Asset, *, managed: bool) -> str:
    """Return where an asset is in the storage.

    Raises:
        InvalidValueError: It is elsewhere: its task has stored it itself.
    """
    if not managed:
        raise InvalidValueError(
            f"Asset {asset.id} was stored by its task: jobstate opens what save_asset() has "
            f"stored. Open {asset.url} yourself."
        )
    return asset.storage_path


def ages_of(
    older_than: float | timedelta, statuses: Iterable[JobStatus | str]
) -> dict[JobStatus, float]:
    """Return for each status the age in seconds from which its jobs are purged.

    Raises:
        InvalidValueError: The age is no number or negative, or a status is not terminal.
    """
    seconds = older_than.total_seconds() if isinstance(older_than, timedelta) else older_than
    if check_number(seconds, "age") < 0:
        raise InvalidValueError(
            f"The age {older_than!r} is negative: jobs are purged that landed longer ago. "
            "Pass seconds or a timedelta."
        )
    wanted = [check_status(status) for status in statuses]
    if live := [status for status in wanted if not is_terminal_state(status)]:
        raise InvalidValueError(
            f"A job that is {live[0]} cannot be purged: only one that has landed can. "
            "Leave this status out."
        )
    return dict.fromkeys(wanted, seconds)


def get_job_events(job_id: UUID | str, user_id: object) -> Operation[list[JobEvent]]:
    """Read the history of a job, for its owner."""
    return _owned_rows("get_events", job_id, user_id, JobEvent.from_row)


def get_job_items(
    job_id: UUID | str, user_id: object, status: ItemStatus | str | None
) -> Operation[list[JobItem]]:
    """Read the item ledger of a job, for its owner."""
    try:
        wanted = None if status is None else ItemStatus(status)
    except ValueError:
        raise InvalidValueError(
            f"Item status {status!r} is unknown: an item is {', '.join(ItemStatus)}. "
            "Use one of these, or leave it out."
        ) from None
    return _owned_rows("get_items", job_id, user_id, JobItem.from_row, status=wanted)


def get_job_logs(job_id: UUID | str, user_id: object) -> Operation[list[JobLog]]:
    """Read what a job has logged, for its owner."""
    return _owned_rows("get_logs", job_id, user_id, JobLog.from_row)


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


def stats(user_id: object) -> Operation[Stats]:
    """Count jobs, of one owner or of everybody."""
    everybody = user_id is None
    owner = None if everybody else owner_text(user_id, "The statistics")

    def read(rows: list[Row]) -> Stats:
        by_status = dict.fromkeys(JobStatus, 0)
        by_type: dict[str, dict[JobStatus, int]] = {}
        oldest: list[datetime] = []
        for job_type, name, count, first in rows:
            status = JobStatus(name)
            by_status[status] += count
            by_type.setdefault(job_type, {})[status] = count
            if status is JobStatus.QUEUED:
                oldest.append(first)
        return Stats(by_status, by_type, min(oldest, default=None))

    return Operation("stats", {"user_id": owner, "everybody": everybody}, read)


def about(job: Job) -> dict[str, object]:
    """Return what a log record carries about a job."""
    return {"job_id": str(job.id), "user_id": str(job.user_id), "attempt": job.attempt}


def log_transition(job: Job) -> None:
    """Log a transition that was done: one line each."""
    logger.info(
        "Job %s (%s) is %s%s",
        job.id,
        job.job_type,
        job.status,
        f": {job.error_code}" if job.error_code else "",
        extra=about(job),
    )


def read_answer(job_id: UUID) -> Callable[[list[Row]], tuple[bool, Job]]:
    """Read a guarded write: whether it was done, and the job after it or as it is."""
    return lambda rows: _answer(rows, job_id)


def _answer(rows: list[Row], key: UUID) -> tuple[bool, Job]:
    if not rows:
        raise JobNotFound(key)
    done, *columns = rows[0]
    return done, Job.from_row(tuple(columns))


def _owned_rows(
    statement: str,
    job_id: UUID | str,
    user_id: object,
    build: Callable[[Row], T],
    **params: object,
) -> Operation[list[T]]:
    key = job_id_of(job_id)
    owner = owner_text(user_id, f"The reader of job {key}")

    def read(rows: list[Row]) -> list[T]:
        if not rows:
            raise JobNotFound(key)
        if not rows[0][0]:
            raise NotOwner(key, user_id)
        # A job with none of them answers with one row that has no id.
        return [build(row[1:]) for row in rows if row[1] is not None]

    return Operation(statement, {"job_id": key, "user_id": owner, **params}, read)


def _check_limit(limit: int) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise InvalidValueError(
            f"The limit {limit!r} is wrong: a page has 1 to {MAX_PAGE} jobs. "
            "Pass a whole number, and ask for the next page with its cursor."
        )


def _code(error_code: str | None, target: JobStatus) -> str | None:
    if error_code is None:
        return ErrorCode.EXCEPTION if target is JobStatus.FAILED else None
    # A driver of its own jobs may give the library's reasons too: it is in the library's place.
    return error_code if error_code in set(ErrorCode) else check_code(error_code)


def _write_cursor(job: Job) -> str:
    plain = json.dumps([job.created_at.isoformat(), str(job.id)])
    return base64.urlsafe_b64encode(plain.encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, job_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return datetime.fromisoformat(at), UUID(job_id)
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise InvalidValueError(
            f"The cursor {cursor!r} is malformed: it must be a next_cursor as it was given. "
            "Start again without one."
        ) from None
