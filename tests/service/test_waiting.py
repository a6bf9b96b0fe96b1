"""Waiting for a job to land."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from jobstate import AsyncJobService, Job, JobNotFound, JobService, NotOwner, waiting
from tests.factories import PATIENCE, eventually


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Note every look that waiting takes."""
    noted: list[float | None] = []
    looks = waiting.looks

    def noting(timeout: float) -> Iterator[float | None]:
        for pause in looks(timeout):
            noted.append(pause)
            yield pause

    monkeypatch.setattr("jobstate.service.looks", noting)
    monkeypatch.setattr("jobstate.aio.looks", noting)
    return noted


@pytest.mark.parametrize("status", ["completed", "failed", "partial"])
def test_a_job_that_has_landed_is_returned_at_once(
    jobs: JobService,
    job_in: Callable[[str], Job],
    user_id: UUID,
    looked: list[float | None],
    status: str,
) -> None:
    job = job_in(status)
    assert jobs.wait(job.id, user_id, PATIENCE) == job
    assert len(looked) == 1


@pytest.mark.parametrize("status", ["queued", "processing"])
@pytest.mark.parametrize("timeout", [0.2, 0, -1])
def test_a_job_that_does_not_land_is_returned_as_it_is_when_the_time_is_up(
    jobs: JobService,
    job_in: Callable[[str], Job],
    user_id: UUID,
    looked: list[float | None],
    status: str,
    timeout: float,
) -> None:
    job = job_in(status)
    assert jobs.wait(job.id, user_id, timeout) == job
    assert looked[-1] is None
    assert (len(looked) > 1) is (timeout > 0)


def test_a_job_that_lands_meanwhile_is_returned_then(
    jobs: JobService,
    service: JobService,
    job_in: Callable[[str], Job],
    user_id: UUID,
    looked: list[float | None],
) -> None:
    job = job_in("processing")

    def land() -> Job:
        eventually(lambda: len(looked) >= 2)
        return service.mark_completed(job.id)

    with ThreadPoolExecutor(1) as pool:
        landing = pool.submit(land)
        assert jobs.wait(job.id, user_id, PATIENCE) == landing.result(PATIENCE)
    assert looked[-1] is not None, "it did not wait until the end"


def test_a_job_that_is_purged_meanwhile_is_not_found(
    jobs: JobService,
    job_in: Callable[[str], Job],
    user_id: UUID,
    looked: list[float | None],
    connect: Callable[[], psycopg.Connection],
) -> None:
    job, connection = job_in("processing"), connect()

    def purge() -> None:
        eventually(lambda: len(looked) >= 2)
        connection.execute("delete from jobstate.jobs")

    with ThreadPoolExecutor(1) as pool:
        purged = pool.submit(purge)
        with pytest.raises(JobNotFound):
            jobs.wait(job.id, user_id, PATIENCE)
        purged.result(PATIENCE)


def test_nobody_waits_for_somebody_elses_job(
    jobs: JobService, job_in: Callable[[str], Job], looked: list[float | None]
) -> None:
    with pytest.raises(NotOwner):
        jobs.wait(job_in("queued").id, UUID(int=5), PATIENCE)
    assert len(looked) == 1


async def test_waiting_lets_the_event_loop_go_on(
    aio: AsyncJobService, job_in: Callable[[str], Job], user_id: UUID
) -> None:
    """The same loop lands what it waits for."""
    job = job_in("processing")
    waiting_for = aio.wait(job.id, user_id, PATIENCE)
    landing = aio.mark_completed(job.id)
    seen, landed = await asyncio.gather(waiting_for, landing)
    assert seen == landed
