"""What monitors ask the store about everybody's jobs: summaries of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from jobstate.states import JobStatus, is_terminal_state
from jobstate.store import Operation, Row

OVERLAP = timedelta(seconds=10)
"""How much later than it says a landing may be seen: its commit was slow."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A job as monitors show it. Large values are cut off; `hostname` is the last worker's."""

    id: UUID
    task_name: str | None
    job_type: str
    owner: str
    queue: str | None
    status: JobStatus
    held: bool
    progress: int
    progress_message: str | None
    attempt: int
    retries: int
    parameters: str
    result: str | None
    error_code: str | None
    error_message: str | None
    traceback: str | None
    parent_id: UUID | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime
    hostname: str | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build it from a row whose columns come in the order of the fields."""
        columns = list(row)
        columns[5] = JobStatus(columns[5])
        return cls(*columns)

    @property
    def is_terminal(self) -> bool:
        """Whether the job has landed."""
        return is_terminal_state(self.status)


def newest_jobs(limit: int) -> Operation[list[Summary]]:
    """Read the jobs that run, that wait and that landed last, so many of each, oldest first."""
    return Operation("newest_jobs", {"limit": limit}, _summaries)


def changed_jobs(
    job_ids: Collection[UUID], since: datetime | None, limit: int
) -> Operation[list[Summary]]:
    """Read these jobs, those that run, and those that have landed since then."""
    params = {"ids": list(job_ids), "since": since, "limit": limit}
    return Operation("changed_jobs", params, _summaries)


def look_again_from(
    since: datetime | None, summaries: Collection[Summary], limit: int
) -> datetime | None:
    """Return from when on to ask for landings the next time, after these were read."""
    later = sorted(
        at
        for summary in summaries
        if (at := summary.completed_at) is not None and (since is None or at > since)
    )
    if not later:
        return since
    # A page that was full would be read again and again if it overlapped with itself.
    return later[-1] if len(later) >= limit else max(since or later[0], later[-1] - OVERLAP)


def _summaries(rows: list[Row]) -> list[Summary]:
    return [Summary.from_row(row) for row in rows]
