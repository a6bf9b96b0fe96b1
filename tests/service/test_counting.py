"""Jobs are counted by status and type, all of them or what landed lately."""

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from jobstate import InvalidValueError, JobService, JobStatus


def test_statistics_count_by_status_and_type(jobs: JobService) -> None:
    ada, bob = uuid4(), uuid4()
    first = jobs.create_job(ada, "report")
    jobs.create_job(ada, "report")
    jobs.transition_status(jobs.create_job(ada, "export").id, "processing")
    other = jobs.create_job(bob, "report")
    jobs.mark_failed(jobs.transition_status(other.id, "processing").id, "No")
    everybody = jobs.stats()
    assert everybody.by_status == {
        "queued": 2,
        "processing": 1,
        "completed": 0,
        "failed": 1,
        "partial": 0,
    }
    assert everybody.by_type == {
        "report": {"queued": 2, "failed": 1},
        "export": {"processing": 1},
    }
    assert everybody.oldest_queued_at == first.created_at
    hers = jobs.stats(ada)
    assert hers.by_status["queued"] == 2
    assert hers.by_type == {"report": {"queued": 2}, "export": {"processing": 1}}
    assert jobs.stats(bob).oldest_queued_at is None


def test_recent_statistics_count_live_jobs_and_what_landed_lately(
    jobs: JobService, connect: Callable[[], psycopg.Connection]
) -> None:
    ada, bob = uuid4(), uuid4()
    first, *others = (jobs.create_job(owner, "report") for owner in (ada, ada, bob, bob))
    for job in others:
        jobs.transition_status(job.id, "processing")
    old, late, failed = others
    for job in (old, late):
        jobs.mark_completed(job.id)
    jobs.mark_failed(failed.id, "No")
    connect().execute(
        "update jobstate.jobs set completed_at = completed_at - interval '2 hours' where id = %s",
        [old.id],
    )
    everybody = jobs.stats(landed_within=3600)
    assert everybody.by_type == {"report": {"queued": 1, "completed": 1, "failed": 1}}
    assert everybody.oldest_queued_at == first.created_at
    assert jobs.stats(landed_within=timedelta(hours=3)) == jobs.stats()
    assert jobs.stats(ada, landed_within=3600).by_type == {"report": {"queued": 1}}
    assert jobs.stats(ada, landed_within=3 * 3600) == jobs.stats(ada)


@pytest.mark.parametrize("span", [-1, float("nan"), "hour", timedelta(seconds=-1)])
def test_recent_statistics_want_a_span_of_time(jobs: JobService, span: Any) -> None:
    with pytest.raises(InvalidValueError, match="time within which jobs have landed"):
        jobs.stats(landed_within=span)


@pytest.mark.parametrize("setting", ["timezone%3DAsia/Tokyo", "datestyle%3DGerman"])
def test_times_are_in_utc_whatever_zone_the_server_is_in_and_however_it_writes_them(
    open_jobs: Callable[..., JobService], jobs_url: str, user_id: UUID, setting: str
) -> None:
    jobs = open_jobs(f"{jobs_url}?options=-c%20{setting}")
    job = jobs.create_job(user_id, "report")
    (event,) = jobs.get_job_events(job.id, user_id)
    oldest = jobs.stats(user_id).oldest_queued_at
    assert oldest == job.created_at
    assert {at and at.tzinfo for at in (job.updated_at, event.at, oldest)} == {UTC}


def test_statistics_of_nothing_are_zero(jobs: JobService) -> None:
    stats = jobs.stats()
    assert stats.by_status == dict.fromkeys(JobStatus, 0)
    assert (stats.by_type, stats.oldest_queued_at) == ({}, None)
