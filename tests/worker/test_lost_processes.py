"""Bodies that end their process, or that Celery ends: only on prefork is that a child's death."""

import pytest

from jobstate import Job
from tests.worker.pools import on_pools
from tests.worker.site import Site

DEATHS = ("kill", "_exit", "exit", "segfault")


@pytest.fixture
def dying(shared_site: Site) -> dict[str, Job]:
    """A job for each way to die, all at work together, because Celery notices only in time."""
    return {how: shared_site.enqueue("ends_its_process", how) for how in DEATHS}


@on_pools("prefork")
def test_a_job_whose_process_died_failed_with_its_worker(site: Site, dying: dict[str, Job]) -> None:
    """By SIGKILL, as when memory runs out; by os._exit, sys.exit and a segmentation fault."""
    for job in dying.values():
        landed = site.failed(job, "worker_lost", "The worker that ran the job was lost.")
        assert landed.attempt == 1
    assert site.completed(site.enqueue("returns", "the worker lives")).result


@on_pools("prefork")
def test_a_soft_time_limit_fails_the_job(site: Site) -> None:
    job = site.enqueue("is_too_slow")
    site.failed(job, "time_limit", "The job ran longer than its time limit.")


@on_pools("prefork")
def test_a_hard_time_limit_fails_the_job(site: Site) -> None:
    """Celery announces it twice."""
    job = site.enqueue("is_far_too_slow")
    site.failed(job, "time_limit", "The job ran longer than its time limit.")


@on_pools("threads")
def test_a_body_that_wants_to_exit_fails_where_it_shares_its_process(site: Site) -> None:
    site.failed(site.enqueue("ends_its_process", "exit"), "exception", "3")
    assert site.completed(site.enqueue("returns", "the worker lives")).result


@on_pools("threads")
def test_a_memory_error_fails_the_job(site: Site) -> None:
    """Elsewhere it stops the worker; see test_keeper.py."""
    site.failed(site.enqueue("runs_out_of_memory"), "exception", "no room")
    assert site.completed(site.enqueue("returns", "the worker lives")).result
