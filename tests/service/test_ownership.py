"""Only its owner sees a job, and what belongs to it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from jobstate import InvalidValueError, Job, JobNotFound, JobService, NotOwner, OwnerRequired
from tests.factories import everything

Call = Callable[[JobService, Any, Any], object]

READS: dict[str, Call] = {
    "get_job": lambda jobs, job_id, user: jobs.get_job(job_id, user),
    "get_job_assets": lambda jobs, job_id, user: jobs.get_job_assets(job_id, user),
    "get_job_events": lambda jobs, job_id, user: jobs.get_job_events(job_id, user),
    "get_job_items": lambda jobs, job_id, user: jobs.get_job_items(job_id, user),
    "wait": lambda jobs, job_id, user: jobs.wait(job_id, user, 0),
}

CALLS: dict[str, Call] = {
    **READS,
    "create_asset": lambda jobs, job_id, user: jobs.create_asset(job_id, user, "csv", "u", "p", 9),
}


@pytest.fixture
def job(job_in: Callable[[str], Job]) -> Job:
    """A job that is processing."""
    return job_in("processing")


@pytest.fixture
def unchanged(job: Job, connect: Callable[[], psycopg.Connection]) -> Callable[[], bool]:
    """Tell whether the job and all that belongs to it is as it was."""
    connection = connect()
    before = everything(connection, job.id)
    return lambda: everything(connection, job.id) == before


@pytest.mark.parametrize("call", CALLS)
def test_the_owner_is_served_by_id_or_text(
    jobs: JobService, job: Job, user_id: UUID, call: str
) -> None:
    for job_id in (job.id, str(job.id), str(job.id).upper()):
        for owner in (user_id, str(user_id), str(user_id).upper()):
            CALLS[call](jobs, job_id, owner)


@pytest.mark.parametrize("call", CALLS)
def test_a_stranger_is_refused(
    jobs: JobService, job: Job, unchanged: Callable[[], bool], call: str
) -> None:
    stranger = uuid4()
    with pytest.raises(NotOwner) as refused:
        CALLS[call](jobs, job.id, stranger)
    assert (refused.value.job_id, refused.value.user_id) == (job.id, stranger)
    assert f"Job {job.id} does not belong to user {stranger}" in str(refused.value)
    assert unchanged()


@pytest.mark.parametrize("call", CALLS)
def test_an_unknown_job_is_nobodys(jobs: JobService, user_id: UUID, call: str) -> None:
    job_id = uuid4()
    with pytest.raises(JobNotFound, match=f"Job {job_id} does not exist") as unknown:
        CALLS[call](jobs, job_id, user_id)
    assert unknown.value.job_id == job_id


@pytest.mark.parametrize("call", CALLS)
def test_a_malformed_id_is_an_unknown_job(jobs: JobService, user_id: UUID, call: str) -> None:
    for job_id in ("", "7f3e", "x" * 36, 5, None, "'; drop table jobs"):
        with pytest.raises(JobNotFound):
            CALLS[call](jobs, job_id, user_id)


@pytest.mark.parametrize("call", CALLS)
def test_nobody_is_refused(
    jobs: JobService, job: Job, unchanged: Callable[[], bool], call: str
) -> None:
    with pytest.raises(OwnerRequired):
        CALLS[call](jobs, job.id, None)
    assert unchanged()


@pytest.mark.parametrize("call", CALLS)
def test_a_user_id_of_another_type_is_an_invalid_value(
    jobs: JobService, job: Job, unchanged: Callable[[], bool], call: str
) -> None:
    for user in (True, 5.0, b"5", "somebody", 5, "", "\0"):
        with pytest.raises(InvalidValueError):
            CALLS[call](jobs, job.id, user)
    assert unchanged()


def test_an_operator_reads_a_job_whoever_owns_it(jobs: JobService, job: Job) -> None:
    assert jobs.get_job_internal(job.id) == job
    assert jobs.get_job_internal(str(job.id)) == job
    for unknown in (uuid4(), "7f3e"):
        with pytest.raises(JobNotFound, match=f"Job {unknown} does not exist"):
            jobs.get_job_internal(unknown)


def test_a_list_and_its_counts_are_the_owners_alone(
    jobs: JobService, job: Job, user_id: UUID
) -> None:
    stranger = uuid4()
    assert jobs.list_jobs(user_id).items == [job]
    assert jobs.list_jobs(stranger).items == []
    assert sum(jobs.stats(user_id).by_status.values()) == 1
    assert sum(jobs.stats(stranger).by_status.values()) == 0


def test_a_cursor_of_somebody_else_shows_nothing_of_theirs(jobs: JobService) -> None:
    ada, bob = uuid4(), uuid4()
    theirs = [jobs.create_job(ada, "report") for _ in range(3)]
    mine = jobs.create_job(bob, "report")
    cursor = jobs.list_jobs(ada, limit=1).next_cursor
    assert cursor is not None
    found = jobs.list_jobs(bob, cursor=cursor).items
    assert not {job.id for job in found} & {job.id for job in theirs}
    assert jobs.list_jobs(bob).items == [mine]


def test_an_asset_belongs_to_the_jobs_owner(jobs: JobService, job: Job, user_id: UUID) -> None:
    asset = jobs.create_asset(
        job.id, user_id, "csv", "/f/1", "a/b", 9, content_type="text/csv", sha256="00ff"
    )
    assert (asset.job_id, asset.user_id, asset.attempt) == (job.id, user_id, job.attempt)
    assert (asset.asset_type, asset.url, asset.storage_path) == ("csv", "/f/1", "a/b")
    assert (asset.file_size, asset.content_type, asset.sha256) == (9, "text/csv", "00ff")
    assert asset.stored_at is not None
    assert jobs.get_job_assets(job.id, user_id) == [asset]


def test_assets_come_in_the_order_they_were_linked(
    jobs: JobService, job: Job, user_id: UUID
) -> None:
    made = [jobs.create_asset(job.id, user_id, "csv", "u", str(n), n) for n in range(5)]
    assert jobs.get_job_assets(job.id, user_id) == made
