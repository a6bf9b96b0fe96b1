"""Postgres is stopped, politely or not, at each moment of a job's life, and comes back."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest

from jobstate import Job, Settings
from jobstate.embedded import Postgres
from jobstate.store.migrations import apply
from tests.faults.site import FaultySite

Outage = AbstractContextManager[None]


@pytest.fixture(scope="module")
def stoppable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A Postgres whose data outlast its stops."""
    with Postgres(tmp_path_factory.mktemp("postgres"), settings={"fsync": "off"}) as server:
        apply(Settings.for_database(server.url))
        yield server


@pytest.fixture(scope="module")
def site(
    stoppable: Postgres, faulty_broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultySite]:
    """A worker that lives through all the outages."""
    broker_url = f"{faulty_broker_url.rpartition('/')[0]}/5"
    with FaultySite(tmp_path_factory.mktemp("worker"), stoppable.url, broker_url) as site:
        worker = site.start()
        yield site
        assert worker.shut_down() == 0, worker.log
        assert "stumbled" not in worker.log
        assert "was given up" not in worker.log


@pytest.fixture(params=[False, True], ids=["fast", "immediate"])
def outage(request: pytest.FixtureRequest, stoppable: Postgres) -> Outage:
    """Be without Postgres for a block; `with outage:`."""

    @contextmanager
    def block() -> Iterator[None]:
        # What a crash takes back of the last second has tests of its own: test_lost_takes.py.
        with psycopg.connect(stoppable.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("checkpoint")
        stoppable.stop(immediate=request.param)
        try:
            yield
        finally:
            stoppable.start()

    return block()


def landed_at_its_first_attempt(site: FaultySite, job: Job) -> Job:
    landed = site.completed(job)
    assert (landed.attempt, landed.rescues) == (1, 0)
    assert site.runs(job) == [1]
    # The message may go out twice; the second one is dropped.
    passing = {"republish", "duplicate_delivery"}
    events = [event for event in site.events(job) if event not in passing]
    assert events == ["queued", "processing", "completed"]
    return landed


def test_a_start_waits_for_the_database(site: FaultySite, outage: Outage) -> None:
    jobs = {"adds": site.store("adds", 0), "dies_late": site.store("dies_late", 0)}
    with outage:
        for name, job in jobs.items():
            site.publish(job, name, 0, ticket=0)
            site.logged(f"Job {job.id} waits", "to start")
    for job in jobs.values():
        landed_at_its_first_attempt(site, job)


def test_a_body_goes_on_without_the_database(site: FaultySite, outage: Outage) -> None:
    jobs = [site.enqueue("reports_at_the_gate"), site.enqueue("reports_at_the_gate_late")]
    for job in jobs:
        site.running(job)
    with outage:
        for job in jobs:
            site.let(job)
            site.logged(f"Progress of job {job.id} was not written")
            site.gates.reached(f"{job.id}:1:end")
    for job in jobs:
        site.gates.open(f"{job.id}:1:end")
        assert landed_at_its_first_attempt(site, job).progress_message == "still there"


def test_a_landing_waits_for_the_database(site: FaultySite, outage: Outage) -> None:
    jobs = [site.enqueue("waits"), site.enqueue("waits_late")]
    for job in jobs:
        site.running(job)
    with outage:
        for job in jobs:
            site.let(job)
            site.logged(f"Job {job.id} waits", "to be written")
    for job in jobs:
        landed_at_its_first_attempt(site, job)
