"""What Flower shows of jobs that it has not seen run: the table says it."""

from collections.abc import Iterator

import pytest

from jobstate import Job
from tests.flower.conftest import OpenFlower
from tests.flower.server import FlowerProcess
from tests.proxy import Link, Proxy
from tests.worker.process import eventually
from tests.worker.site import OpenSite, Site


@pytest.fixture(scope="module")
def site(open_watched: OpenSite) -> Iterator[Site]:
    """A worker of short patience, which may be killed."""
    lease = {"jobstate_lease": 3, "jobstate_heartbeat": 1, "jobstate_sweep_interval": 0.5}
    with open_watched(**lease) as site:
        yield site


@pytest.fixture(scope="module")
def proxy(site: Site) -> Iterator[Proxy]:
    """What is between Flower and the database."""
    with Proxy(site.conf["database_url"]) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def done(site: Site) -> Job:
    """A job of which no event tells Flower: it has landed before."""
    return site.completed(site.enqueue("adds", 1, 2))


@pytest.fixture(scope="module")
def flower(site: Site, proxy: Proxy, open_flower: OpenFlower, done: Job) -> Iterator[FlowerProcess]:
    """A Flower that is started while the database is away."""
    assert done.is_terminal
    proxy.go_down(Link.CUT)
    url = proxy.url
    with open_flower(site, refresh=0.2, database_url=url) as flower:
        yield flower


def test_jobs_are_shown_that_ran_before_flower_once_the_database_can_be_reached(
    site: Site, proxy: Proxy, flower: FlowerProcess, done: Job
) -> None:
    eventually(lambda: "Flower cannot read the jobs" in flower.log, "a warning")
    assert str(done.id) not in flower.get("/api/tasks")
    proxy.heal()
    task = flower.shows(done.id, lambda task: task["state"] == "SUCCESS")
    assert flower.log.count("Flower cannot read the jobs") == 1
    assert (task["name"], task["result"]) == ("tests.worker.endings.adds", "3")
    assert "[1, 2]" in task["kwargs"]
    assert (task["owner"], task["attempt"], task["progress"]) == (str(site.user_id), 1, 100)
    assert done.completed_at is not None
    assert done.attempt_started_at is not None
    assert task["succeeded"] == done.completed_at.timestamp()
    assert task["runtime"] == (done.completed_at - done.attempt_started_at).total_seconds()
    assert task["worker"].startswith("prefork-")


def test_a_job_that_was_cancelled_while_it_waited_is_revoked(
    site: Site, flower: FlowerProcess
) -> None:
    job = site.store("returns")
    site.service.cancel(job.id, site.user_id)
    task = flower.shows(job.id, lambda task: task["state"] == "REVOKED")
    assert (task["job_status"], task["error_code"]) == ("failed", "cancelled")


def test_a_job_whose_worker_was_killed_does_not_stay_started(
    site: Site, flower: FlowerProcess
) -> None:
    job = site.enqueue("waits")
    site.gates.reached(job.id)
    flower.shows(job.id, lambda task: task["state"] == "STARTED")
    assert site.worker is not None
    site.worker.kill()
    eventually(lambda: site.service.sweep() and site.read(job).is_terminal, "the rescue")
    task = flower.shows(job.id, lambda task: task["state"] == "FAILURE")
    assert (task["job_status"], task["error_code"]) == ("failed", "worker_lost")
