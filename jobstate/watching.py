"""What has changed among the jobs that somebody watches, in one question for all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from jobstate.errors import InvalidValueError, JobNotFound
from jobstate.reading import get_job
from jobstate.records import Job
from jobstate.store import Operation, Row, Script
from jobstate.values import job_id_of


@dataclass(frozen=True, slots=True)
class Change:
    """A job that is no longer as it was known; None: it is gone."""

    job_id: UUID
    job: Job | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed, in the order in which it did, and the time to ask from the next time.

    `owner` is the one that was asked for, if one alone, as `Job.user_id` has it: ``07`` is ``7``.
    """

    at: datetime
    owner: str | None
    found: list[Change]


def changes(
    known: Mapping[UUID, datetime],
    owners: Sequence[str],
    since: datetime | None,
    overlap: float,
    limit: int | None = None,
) -> Operation[Changes]:
    """Read what has changed.

    Args:
        known: The watched jobs, each with its `updated_at` as it is known.
        owners: Who is watched for their other jobs: those that are processing, and those that were
            created or have landed since.
        since: The time of the answer before; None: now.
        overlap: How much further back to look, in seconds: what was committed late has an
            earlier time.
        limit: How much is read at most: what has changed last. None: all.
    """
    params = {
        "ids": list(known),
        "versions": list(known.values()),
        "owners": list(owners),
        "since": since,
        "overlap": overlap,
        "limit": limit,
    }

    def read(rows: list[Row]) -> Changes:
        at, owner = rows[0][:2]
        found = [
            Change(job_id, None if columns[0] is None else Job.from_row(tuple(columns)))
            for _, _, job_id, *columns in rows
            if job_id is not None
        ]
        return Changes(at.astimezone(UTC), None if owner is None else str(owner), found)

    return Operation("changes", params, read)


def first_look(job_ids: Iterable[UUID | str], user_id: object) -> Script[list[Job]]:
    """Read the jobs that their owner is to watch, each once."""
    if isinstance(job_ids, UUID | str):
        raise InvalidValueError(
            f"What is to be watched is {job_ids!r}: it must be a list of ids. Pass [job_id]."
        )
    jobs: list[Job] = []
    for key in dict.fromkeys(map(job_id_of, job_ids)):
        jobs += [(yield get_job(key, user_id))]
    return jobs


def next_look(live: Mapping[UUID, datetime]) -> Operation[list[Job]]:
    """Read which of these jobs are no longer as they are known."""
    asked = changes(live, [], None, 0.0)

    def read(rows: list[Row]) -> list[Job]:
        found = asked.read(rows).found
        if gone := [change.job_id for change in found if change.job is None]:
            raise JobNotFound(gone[0])
        return [change.job for change in found if change.job is not None]

    return Operation(asked.statement, asked.params, read)


def remember(live: dict[UUID, datetime], job: Job) -> None:
    """Have a job looked at again, as long as it has not landed."""
    live.pop(job.id, None)
    if not job.is_terminal:
        live[job.id] = job.updated_at
