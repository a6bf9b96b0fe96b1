"""How whole workers end, and what becomes of the jobs that they run: each has one of its own."""

from signal import SIGTERM

import pytest

from tests.worker.database import execute_on
from tests.worker.site import OpenSite, Site


def test_a_warm_shutdown_lands_what_runs_and_gives_up_the_lease(
    open_site: OpenSite,
) -> None:
    with open_site("prefork") as site:
        assert site.worker is not None
        job = site.enqueue("waits", "finished")
        site.gates.reached(job.id)
        site.worker.send(SIGTERM)
        site.logged("Warm shutdown")
        site.gates.open(job.id)
        assert site.worker.ended() == 0
        assert site.completed(job).result == "finished"
        assert_signed_off(site)


def test_children_that_are_replaced_after_each_task_land_every_job(open_site: OpenSite) -> None:
    with open_site("prefork", "--max-tasks-per-child=1", "--concurrency=8") as site:
        jobs = [site.enqueue("returns", number) for number in range(50)]
        assert [site.completed(job).result for job in jobs] == list(range(50))


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_memory_error_fails_its_job_before_celery_stops_the_worker(
    open_site: OpenSite, pool: str
) -> None:
    with open_site(pool) as site:
        assert site.worker is not None
        job = site.enqueue("runs_out_of_memory")
        site.failed(job, "exception", "no room")
        assert site.worker.ended() != 0
        assert_signed_off(site)


def test_a_solo_worker_that_its_body_ends_lands_the_job(open_site: OpenSite) -> None:
    with open_site("solo") as site:
        assert site.worker is not None
        job = site.enqueue("ends_its_process", "exit")
        site.failed(job, "exception", "3")
        site.worker.ended()
        assert_signed_off(site)


def assert_signed_off(site: Site) -> None:
    """The worker's lease is given up, without anybody having to wait until it runs out."""
    with execute_on(site) as execute:
        assert execute("select count(*), count(dead_at) from jobstate.workers") == [(1, 1)]
