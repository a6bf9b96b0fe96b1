"""Watching jobs until all of them have landed."""

import asyncio
from collections.abc import Callable
from itertools import islice
from uuid import UUID, uuid4

import psycopg
import pytest

from jobstate import (
    AsyncJobService,
    InvalidValueError,
    Job,
    JobNotFound,
    JobService,
    NotOwner,
)


def test_jobs_that_have_landed_are_seen_once(
    jobs: JobService, job_in: Callable[[str], Job], user_id: UUID
) -> None:
    landed = [job_in(status) for status in ("completed", "failed", "partial")]
    ids = [str(landed[0].id), *(job.id for job in landed)]
    assert list(jobs.watch(ids, user_id)) == landed


def test_nothing_to_watch_is_over_at_once(jobs: JobService, user_id: UUID) -> None:
    assert list(jobs.watch([], user_id)) == []


def test_a_job_is_seen_as_it_is_and_whenever_it_has_changed_until_it_has_landed(
    jobs: JobService, service: JobService, job_in: Callable[[str], Job], user_id: UUID
) -> None:
    job = job_in("queued")
    seen = jobs.watch([job.id], user_id)
    assert next(seen) == job
    started = service.transition_status(job.id, "processing")
    assert next(seen) == started
    reported = service.update_progress(job.id, 40)
    assert next(seen) == reported
    landed = service.mark_completed(job.id)
    assert list(seen) == [landed]


def test_of_several_jobs_each_is_watched_until_the_last_has_landed(
    jobs: JobService, service: JobService, job_in: Callable[[str], Job], user_id: UUID
) -> None:
    first, second = job_in("processing"), job_in("processing")
    seen = jobs.watch([first.id, second.id], user_id)
    assert list(islice(seen, 2)) == [first, second]
    assert service.mark_failed(second.id, "No") == next(seen)
    assert service.mark_completed(first.id) == next(seen)
    assert list(seen) == []


def test_what_happens_between_two_looks_ends_with_the_landing(
    jobs: JobService, service: JobService, job_in: Callable[[str], Job], user_id: UUID
) -> None:
    job = job_in("queued")
    seen = jobs.watch([job.id], user_id)
    next(seen)
    service.transition_status(job.id, "processing")
    landed = service.mark_partial(job.id)
    assert list(seen) == [landed]


def test_somebody_elses_job_is_not_watched_nor_one_that_is_not_there(
    jobs: JobService, job_in: Callable[[str], Job], user_id: UUID
) -> None:
    job = job_in("queued")
    with pytest.raises(NotOwner):
        list(jobs.watch([job.id], uuid4()))
    for unknown in (uuid4(), "7f3e"):
        with pytest.raises(JobNotFound):
            list(jobs.watch([job.id, unknown], user_id))


def test_a_single_id_is_no_list_of_them(
    jobs: JobService, job_in: Callable[[str], Job], user_id: UUID
) -> None:
    job = job_in("queued")
    for single in (job.id, str(job.id)):
        with pytest.raises(InvalidValueError, match=r"Pass \[job_id\]"):
            list(jobs.watch(single, user_id))  # type: ignore[arg-type]


def test_a_job_that_is_purged_meanwhile_is_not_found(
    jobs: JobService,
    job_in: Callable[[str], Job],
    user_id: UUID,
    connect: Callable[[], psycopg.Connection],
) -> None:
    job = job_in("processing")
    seen = jobs.watch([job.id], user_id)
    next(seen)
    connect().execute("delete from jobstate.jobs")
    with pytest.raises(JobNotFound):
        next(seen)


async def test_watching_lets_the_event_loop_go_on(
    aio: AsyncJobService, job_in: Callable[[str], Job], user_id: UUID
) -> None:
    """The same loop lands what it watches."""
    job = job_in("processing")

    async def watched() -> list[Job]:
        return [seen async for seen in aio.watch([job.id], user_id)]

    seen, landed = await asyncio.gather(watched(), aio.mark_completed(job.id))
    assert seen[-1] == landed
