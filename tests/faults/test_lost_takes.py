"""Postgres dies right after a take, whose commit has not waited for the disk."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from jobstate import JobService, JobStatus, Settings, attempts, sweeping
from jobstate.attempts import Policy
from jobstate.embedded import Postgres
from jobstate.store.migrations import apply
from tests.faults.site import FaultySite
from tests.worker.process import eventually


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Postgres]:
    """A Postgres that writes no log of its own accord before a commit asks for it."""
    settings = {"wal_writer_delay": "10s", "fsync": "off", "autovacuum": "off"}
    with Postgres(tmp_path / "postgres", settings=settings) as server:
        apply(Settings.for_database(server.url))
        yield server


@pytest.mark.parametrize("ticket", [0, 1])
@pytest.mark.parametrize("idempotent", [False, True])
def test_only_the_take_of_a_job_that_may_run_again_is_lost_with_the_server(
    mortal: Postgres, user_id: UUID, ticket: int, *, idempotent: bool
) -> None:
    service = JobService(mortal.url)
    worker_id, policy = uuid4(), Policy(idempotent, 3, keep_partial=False, no_progress=None)
    service.store.run(sweeping.register_worker(worker_id, "here", 1, [], 60))
    job = service.create_job(user_id, "report")
    if ticket:
        # What moves it for a caller counts as an attempt, and holds nothing.
        job = service.transition_status(job.id, JobStatus.PROCESSING)
    taking = service.store.run(attempts.take(job.id, ticket, worker_id, os.getpid(), policy))
    assert taking is not None
    assert taking.done
    mortal.stop(immediate=True)
    mortal.start()
    found = service.get_job_internal(job.id)
    expected = job.attempt if idempotent else job.attempt + 1
    assert (found.attempt, found.worker_id is None) == (expected, idempotent)
    service.close()


def test_a_job_whose_take_was_lost_runs_again_and_lands_once(
    mortal: Postgres, faulty_broker_url: str, tmp_path: Path
) -> None:
    broker_url = f"{faulty_broker_url.rpartition('/')[0]}/6"
    with FaultySite(tmp_path, mortal.url, broker_url) as site:
        worker = site.start()
        job = site.enqueue("waits_late")
        site.running(job)
        # As if the database had died before the take was on the disk.
        site.sql("alter table jobstate.jobs disable trigger jobs_moved")
        site.sql(
            "update jobstate.jobs set status = 'queued', attempt = 0, worker_id = null, pid = null "
            "where id = %s",
            job.id,
        )
        site.sql("alter table jobstate.jobs enable trigger jobs_moved")
        site.let(job)
        eventually(lambda: site.runs(job) == [1, 1], "another run")
        site.let(job)
        assert site.completed(job).attempt == 1
        assert site.events(job).count("completed") == 1
        assert worker.shut_down() == 0, worker.log
