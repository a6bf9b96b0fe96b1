"""What the reading methods of the services ask the store, and how they read the answer."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from jobstate.errors import AssetNotFound, InvalidValueError, JobNotFound, NotOwner
from jobstate.paging import (
    check_first,
    check_limit,
    item_cursor,
    job_cursor,
    log_cursor,
    read_item_cursor,
    read_job_cursor,
    read_log_cursor,
)
from jobstate.records import Asset, Job, JobEvent, JobItem, JobLog, Page
from jobstate.states import ItemStatus, JobStatus
from jobstate.store import Operation, Row
from jobstate.values import check_status, job_id_of, optional_text, owner_text

T = TypeVar("T")


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
    check_limit(limit, "jobs")
    _, before_at, before_id = read_job_cursor(cursor)

    def read(rows: list[Row]) -> Page[Job]:
        items = [Job.from_row(row) for row in rows[:limit]]
        return Page(items, job_cursor(None, items[-1]) if len(rows) > limit else None)

    return Operation(
        "list_jobs",
        {
            "user_id": owner_text(user_id, "The list of jobs"),
            "statuses": list(JobStatus) if status is None else [check_status(status)],
            "job_type": optional_text(job_type, "job type"),
            "before_at": before_at,
            "before_id": before_id,
            # One more than the page tells whether another page follows.
            "limit": limit + 1,
        },
        read,
    )


def list_all_jobs(
    *,
    status: JobStatus | str | None,
    job_type: str | None,
    limit: int,
    cursor: str | None = None,
) -> Operation[Page[Job]]:
    """Read one page of everybody's jobs: the live ones first, and then those that landed last."""
    landed_before, before_at, before_id = read_job_cursor(cursor)

    def read(rows: list[Row]) -> Page[Job]:
        items = [Job.from_row(row) for row in rows[:limit]]
        last = items[-1] if len(rows) > limit else None
        return Page(items, None if last is None else job_cursor(last.completed_at, last))

    params = {
        "statuses": list(JobStatus) if status is None else [check_status(status)],
        "job_type": optional_text(job_type, "job type"),
        "landed_before": landed_before,
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit + 1,
    }
    return Operation("list_all_jobs", params, read)


def orphans(job_id: UUID) -> Operation[int]:
    """Count the files of a job that no attempt will ever show."""
    return Operation("orphans", {"id": job_id}, lambda rows: int(rows[0][0]))


def watched(seen: Iterable[UUID], limit: int, landed_within: float) -> Operation[list[Job]]:
    """Read the jobs that run or wait, have landed within so many seconds, or were seen before.

    Oldest first; of each kind at most `limit`.
    """
    params = {"seen": list(seen), "limit": limit, "landed_within": landed_within}
    return Operation("watched", params, lambda rows: [Job.from_row(row) for row in rows])


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


def get_job_events(job_id: UUID | str, user_id: object) -> Operation[list[JobEvent]]:
    """Read the history of a job, for its owner."""
    return _owned_rows("get_events", job_id, user_id, JobEvent.from_row)


def get_job_items(
    job_id: UUID | str,
    user_id: object,
    status: ItemStatus | str | None,
    limit: int | None = None,
    after: JobItem | None = None,
) -> Operation[list[JobItem]]:
    """Read the item ledger of a job, or the first of it, for its owner."""
    check_first(limit, "item")
    place = (None, None) if after is None else (after.at, after.key)
    return _items(job_id, user_id, status, limit, place)


def page_of_items(
    job_id: UUID | str,
    user_id: object,
    *,
    status: ItemStatus | str | None,
    limit: int,
    cursor: str | None,
) -> Operation[Page[JobItem]]:
    """Read one page of the item ledger of a job, for its owner, in the order of recording."""
    check_limit(limit, "items")
    asked = _items(job_id, user_id, status, limit + 1, read_item_cursor(cursor))
    return _page(asked, limit, item_cursor)


def get_job_logs(
    job_id: UUID | str,
    user_id: object,
    limit: int | None = None,
    after: JobLog | None = None,
) -> Operation[list[JobLog]]:
    """Read what a job has logged, or the first of it, for its owner."""
    check_first(limit, "line")
    return _logs(job_id, user_id, limit, None if after is None else after.id)


def page_of_logs(
    job_id: UUID | str, user_id: object, *, limit: int, cursor: str | None
) -> Operation[Page[JobLog]]:
    """Read one page of what a job has logged, for its owner, oldest first."""
    check_limit(limit, "lines")
    asked = _logs(job_id, user_id, limit + 1, read_log_cursor(cursor))
    return _page(asked, limit, log_cursor)


def count_logs(job_id: UUID) -> Operation[int]:
    """Count what a job has logged."""
    return Operation("count_logs", {"job_id": job_id}, lambda rows: int(rows[0][0]))


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


def _items(
    job_id: UUID | str,
    user_id: object,
    status: ItemStatus | str | None,
    limit: int | None,
    after: tuple[datetime | None, str | None],
) -> Operation[list[JobItem]]:
    try:
        statuses = list(ItemStatus) if status is None else [ItemStatus(status)]
    except ValueError:
        raise InvalidValueError(
            f"Item status {status!r} is unknown: an item is {', '.join(ItemStatus)}. "
            "Use one of these, or leave it out."
        ) from None
    params = {"statuses": statuses, "limit": limit, "after_at": after[0], "after_key": after[1]}
    return _owned_rows("get_items", job_id, user_id, JobItem.from_row, **params)


def _logs(
    job_id: UUID | str, user_id: object, limit: int | None, after: int | None
) -> Operation[list[JobLog]]:
    return _owned_rows("get_logs", job_id, user_id, JobLog.from_row, limit=limit, after=after)


def _page(
    asked: Operation[list[T]], limit: int, cursor_of: Callable[[T], str]
) -> Operation[Page[T]]:
    """Have what is read make a page; one more than that tells whether another page follows."""

    def read(rows: list[Row]) -> Page[T]:
        found = asked.read(rows)
        return Page(found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else None)

    return Operation(asked.statement, asked.params, read)
