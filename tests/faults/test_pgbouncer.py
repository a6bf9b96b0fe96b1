"""All of jobstate through a PgBouncer in transaction mode, with nothing prepared."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine

from jobstate import JobNotFound
from jobstate.doctor import Check, examine
from tests.faults.pgbouncer import PgBouncer
from tests.faults.site import FaultySite
from tests.worker.conftest import new_database
from tests.worker.process import eventually


@pytest.fixture(scope="module")
def pooled(
    postgres_url: str,
    _template: str,
    faulty_broker_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FaultySite]:
    """A site of which everything, the worker too, goes through the pooler."""
    broker_url = f"{faulty_broker_url.rpartition('/')[0]}/3"
    with (
        new_database(postgres_url, _template) as database_url,
        PgBouncer(tmp_path_factory.mktemp("pgbouncer"), postgres_url) as pooler,
        FaultySite(
            tmp_path_factory.mktemp("worker"),
            pooler.url(database_url),
            broker_url,
            jobstate_prepare_threshold=None,
        ) as site,
    ):
        worker = site.start()
        yield site
        assert worker.shut_down() == 0, worker.log
        assert "stumbled" not in worker.log
        assert "could not renew" not in worker.log
        assert "prepared statement" not in worker.log


def test_a_batch_of_jobs_lands(pooled: FaultySite) -> None:
    jobs = [pooled.enqueue("adds", number) for number in range(40)]
    for number, job in enumerate(jobs):
        assert pooled.completed(job).result == number
        assert pooled.runs(job) == [1]
        assert pooled.events(job) == ["queued", "processing", "completed"]


def test_progress_and_items_are_written(pooled: FaultySite) -> None:
    job = pooled.completed(pooled.enqueue("works_through_items", 20))
    assert (job.items_succeeded, job.progress_current, job.progress_total) == (20, 20, 20)
    assert len(pooled.service.get_job_items(job.id, job.user_id)) == 20


def test_a_retry_runs(pooled: FaultySite) -> None:
    job = pooled.completed(pooled.enqueue("retries", 0.2))
    assert (job.attempt, job.rescues) == (2, 0)
    assert pooled.runs(job) == [1, 2]


def test_a_job_of_a_killed_process_is_rescued(pooled: FaultySite) -> None:
    job = pooled.enqueue("waits_late")
    pooled.running(job)
    pid = pooled.read(job).pid
    assert pid is not None
    psutil.Process(pid).kill()
    pooled.let(job, 2)
    landed = pooled.completed(job)
    assert (landed.attempt, landed.rescues) == (2, 1)
    assert pooled.runs(job) == [1, 2]


def test_a_job_is_cancelled(pooled: FaultySite) -> None:
    job = pooled.enqueue("reports")
    pooled.gates.read(f"pid:{job.id}")
    pooled.service.cancel(job.id, job.user_id)
    pooled.failed(job, "cancelled", "")
    assert pooled.gates.read(f"heard:{job.id}") == "JobCancelled"


def test_a_callers_transaction_has_its_job(pooled: FaultySite) -> None:
    """The job is there with the commit, and not before."""
    engine = create_engine(pooled.conf["database_url"], connect_args={"prepare_threshold": None})
    with engine.begin() as connection:
        job = pooled.enqueue_with("adds", 1, connection=connection)
        with pytest.raises(JobNotFound):
            pooled.read(job)
    engine.dispose()
    assert pooled.completed(job).result == 1


def test_a_job_outlives_its_pooler(postgres_url: str, faulty: FaultySite, tmp_path: Path) -> None:
    """Every connection breaks at once, also one in the middle of a statement."""
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    with PgBouncer(folder, postgres_url) as pooler:
        url = pooler.url(faulty.conf["database_url"])
        worker = faulty.start(database_url=url, jobstate_prepare_threshold=None)
        job = faulty.enqueue("waits_late")
        faulty.running(job)
        pooler.crash()
        faulty.let(job)
        worker.says(f"Job {job.id} waits", "to be written")
        pooler.start()
        assert faulty.completed(job).attempt == 1
        assert faulty.runs(job) == [1]
        eventually(lambda: all(found.alive for found in faulty.service.workers()))


def test_the_doctor_finds_the_pooler_where_statements_are_prepared(pooled: FaultySite) -> None:
    unprepared = pooled.jobs.settings
    assert not unprepared.prepare_threshold
    assert Check.POOLER not in {found.check for found in examine(unprepared)}
    prepared = replace(unprepared, prepare_threshold=0)
    assert Check.POOLER in {found.check for found in examine(prepared)}
