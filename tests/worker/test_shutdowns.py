"""How whole workers end, and what becomes of the jobs that they run: each has one of its own."""

from signal import SIGTERM

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


def assert_signed_off(site: Site) -> None:
    """The worker's lease is given up, without anybody having to wait until it runs out."""
    with execute_on(site) as execute:
        assert execute("select count(*), count(dead_at) from jobstate.workers") == [(1, 1)]
