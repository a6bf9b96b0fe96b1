"""A whole worker is gone, or seems to be: another one sees to its jobs."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from jobstate import Job, JobStatus
from tests.fates.conftest import OpenFates
from tests.fates.fate import fate
from tests.fates.site import LOST, FateSite, Lands
from tests.proxy import Link, Proxy
from tests.worker.process import WorkerProcess, eventually


@dataclass(frozen=True)
class Struck:
    """A site whose workers are gone or silent, what they ran, and another worker."""

    site: FateSite
    late: Job
    early: Job


@pytest.fixture(scope="module")
def killed(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers that were killed."""
    with open_fates(column) as site:
        late, early = site.run("waits_late", "waits")
        site.strikes()
        for worker in site.workers:
            worker.kill()
        yield rescued(site, late, early)


@pytest.fixture(scope="module")
def stopped(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers that were stopped for longer than their lease, and go on afterwards."""
    with open_fates(column) as site:
        late, early = site.run("waits_late", "waits")
        zombies = list(site.workers)
        site.strikes()
        for worker in zombies:
            os.killpg(worker.pid, signal.SIGSTOP)
        try:
            struck = rescued(site, late, early)
        finally:
            for worker in zombies:
                os.killpg(worker.pid, signal.SIGCONT)
        returning(struck, zombies)
        yield struck


@pytest.fixture(scope="module")
def cut_off(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers whose network was silent for longer than their lease, and comes back."""
    with (
        open_fates(column) as site,
        Proxy(site.conf["database_url"]) as database,
        Proxy(site.conf["broker_url"]) as broker,
    ):
        links = {"database_url": database.url, "broker_url": broker.url}
        late, early = site.run("waits_late", "waits", **links)
        zombies = list(site.workers)
        site.strikes()
        for link in (database, broker):
            link.go_down(Link.FROZEN)
        try:
            struck = rescued(site, late, early)
        finally:
            for link in (database, broker):
                link.heal()
        returning(struck, zombies)
        yield struck


@fate()
def test_worker_killed(killed: Struck, lands: Lands) -> None:
    failed_once(killed, lands)


@fate()
def test_worker_killed_late(killed: Struck, lands: Lands) -> None:
    ran_again(killed, lands)


@fate()
def test_worker_stopped(stopped: Struck, lands: Lands) -> None:
    failed_once(stopped, lands)


@fate()
def test_worker_stopped_late(stopped: Struck, lands: Lands) -> None:
    ran_again(stopped, lands)


@fate()
def test_network_partition(cut_off: Struck, lands: Lands) -> None:
    failed_once(cut_off, lands)


@fate()
def test_network_partition_late(cut_off: Struck, lands: Lands) -> None:
    ran_again(cut_off, lands)


def rescued(site: FateSite, late: Job, early: Job) -> Struck:
    """Start another worker, and wait until it has rescued what the others held."""
    site.boot()
    site.running(late, 2)
    site.let(late, 2)
    site.landed(early)
    site.completed(late)
    return Struck(site, late, early)


def returning(struck: Struck, zombies: list[WorkerProcess]) -> None:
    """Have the bodies go on that were thought to be lost; what they return is refused."""
    for job in (struck.early, struck.late):
        struck.site.let(job)
    for job in (struck.early, struck.late):
        eventually(lambda job=job: "stale_write" in struck.site.events(job), "a refused landing")
    for worker in zombies:
        worker.kill()


def failed_once(struck: Struck, lands: Lands) -> None:
    job = lands(struck.site, struck.early, JobStatus.FAILED, "worker_lost", LOST)
    assert job.attempt == 1
    assert struck.site.runs(job) == [1]


def ran_again(struck: Struck, lands: Lands) -> None:
    job = lands(struck.site, struck.late, JobStatus.COMPLETED)
    assert (job.result, job.attempt, job.rescues) == (2, 2, 1)
    assert struck.site.runs(job) == [1, 2]
