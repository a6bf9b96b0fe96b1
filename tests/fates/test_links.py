"""The broker or the database is lost for a while: nothing else is."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from jobstate import Job, JobStatus
from tests.fates.conftest import OpenFates
from tests.fates.fate import fate
from tests.fates.site import FateSite, Lands
from tests.proxy import Link, Proxy


@dataclass(frozen=True)
class Linked:
    """A site whose workers have lost a link and found it again, and the jobs that they ran."""

    site: FateSite
    late: Job
    early: Job


@pytest.fixture(scope="module")
def without_broker(column: str, open_fates: OpenFates) -> Iterator[Linked]:
    """Workers that have lost their broker, and found it again, while they worked."""
    with open_fates(column) as site, Proxy(site.conf["broker_url"]) as link:
        late, early = site.run("waits_late", "waits", broker_url=link.url)
        site.strikes()
        link.go_down(Link.CUT)
        if site.pool != "solo":  # Its only thread is busy with the body.
            for worker in site.workers:
                worker.says("Connection to broker lost")
        link.heal()
        site.let(early)
        site.completed(early)
        site.let(late)
        yield Linked(site, late, early)
        kill_all(site)


@pytest.fixture(scope="module")
def without_database(column: str, open_fates: OpenFates) -> Iterator[Linked]:
    """Workers whose bodies ended while the database was away."""
    with open_fates(column) as site, Proxy(site.conf["database_url"]) as link:
        late, early = site.run("waits_late", "waits", database_url=link.url)
        site.strikes()
        link.go_down(Link.CUT)
        for job in (late, early):
            site.let(job)
        for worker, job in zip(site.workers * 2, (late, early), strict=False):
            worker.says(f"Job {job.id} waits", "to be written")
        link.heal()
        yield Linked(site, late, early)
        kill_all(site)


@fate()
def test_broker_lost_and_back(without_broker: Linked, lands: Lands) -> None:
    ran_once(without_broker, without_broker.early, lands)


@fate()
def test_broker_lost_and_back_late(without_broker: Linked, lands: Lands) -> None:
    """The broker gives the message out again while its job is held: a duplicate."""
    ran_once(without_broker, without_broker.late, lands)


@fate()
def test_database_lost_and_back(without_database: Linked, lands: Lands) -> None:
    ran_once(without_database, without_database.early, lands)


@fate()
def test_database_lost_and_back_late(without_database: Linked, lands: Lands) -> None:
    ran_once(without_database, without_database.late, lands)


def kill_all(site: FateSite) -> None:
    """End the workers before their link."""
    for worker in site.workers:
        worker.kill()


def ran_once(linked: Linked, job: Job, lands: Lands) -> None:
    landed = lands(linked.site, job, JobStatus.COMPLETED)
    assert (landed.attempt, landed.rescues) == (1, 0)
    assert linked.site.runs(job) == [1]
