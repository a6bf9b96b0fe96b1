"""Batches of calls, and what has become of them."""

from typing import Any

from jobstate import Job
from tests.worker.site import Site


def many(site: Site, count: int, **common: Any) -> list[Job]:
    """Enqueue some calls of a task."""
    calls = [{"args": (number,)} for number in range(count)]
    return site.jobs.enqueue_many(site.task("returns"), calls, user_id=site.user_id, **common)


def ids(jobs: list[Job]) -> list[str]:
    """Return ids as text."""
    return [str(job.id) for job in jobs]


def count(site: Site) -> int:
    """Count the jobs that are committed."""
    return sum(site.service.stats().by_status.values())
