"""How many jobs there are, by type and status."""

from datetime import UTC, datetime, timedelta

from jobstate.records import Stats
from jobstate.states import JobStatus
from jobstate.store import Operation, Row
from jobstate.values import check_span, owner_text

_REMEDY = (
    "To count the jobs of everybody takes 0.13 s for each million. Pass landed_within= (jobstate "
    "stats --landed-within) to count those that are live or have landed lately."
)


def stats(user_id: object, landed_within: float | timedelta | None = None) -> Operation[Stats]:
    """Count jobs, of one owner or of everybody; all, or the live ones and what landed lately."""
    owner = None if user_id is None else owner_text(user_id, "The statistics")
    if landed_within is not None:
        params = {
            "user_id": owner,
            "everybody": owner is None,
            "landed_within": check_span(landed_within, "time within which jobs have landed"),
        }
        return Operation("recent_stats", params, _counts)
    if owner is None:
        return Operation("stats", {}, _counts, remedy=_REMEDY)
    return Operation("owner_stats", {"user_id": owner}, _counts)


def _counts(rows: list[Row]) -> Stats:
    by_status = dict.fromkeys(JobStatus, 0)
    by_type: dict[str, dict[JobStatus, int]] = {}
    oldest: list[datetime] = []
    for job_type, name, count, first in rows:
        status = JobStatus(name)
        by_status[status] += count
        by_type.setdefault(job_type, {})[status] = count
        if status is JobStatus.QUEUED:
            oldest.append(first.astimezone(UTC))
    return Stats(by_status, by_type, min(oldest, default=None))
