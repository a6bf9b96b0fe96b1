"""The database goes away and comes back: jobs wait for it, and nothing is lost."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from jobstate import Job, Settings
from jobstate.embedded import Postgres
from jobstate.store.migrations import apply
from tests.worker.process import WorkerProcess, eventually
from tests.worker.site import OpenSite, Site


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of these tests' own, whose data outlast its stops."""
    directory = tmp_path_factory.mktemp("postgres")
    with Postgres(directory, settings={"fsync": "off"}) as server:
        apply(Settings.for_database(server.url))
        yield server


@contextmanager
def outage(postgres: Postgres) -> Iterator[None]:
    """Crash the server, and bring it back at the end of the block."""
    postgres.stop(immediate=True)
    try:
        yield
    finally:
        postgres.start()


@pytest.fixture(scope="module")
def early(
    postgres: Postgres, open_site: OpenSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Job]]:
    """A worker that was started while the database was away, and a job that waited for both."""
    with open_site(database_url=postgres.url) as site:
        job = site.enqueue("returns", "late")
        log = tmp_path_factory.mktemp("worker") / "worker.log"
        with ExitStack() as running:
            with outage(postgres):
                site.worker = running.enter_context(WorkerProcess(log, "prefork", site.conf))
                site.worker.ready()
                site.logged("keeper of worker", "tries again")
                site.logged(f"Job {job.id} waits", "to start")
            yield site, job


@pytest.fixture
def site(early: tuple[Site, Job]) -> Site:
    """The site with the worker that was there before its database."""
    return early[0]


def test_a_worker_that_was_there_before_its_database_takes_jobs_once_it_comes(
    early: tuple[Site, Job],
) -> None:
    site, job = early
    assert site.completed(job).result == "late"


def test_the_pool_of_such_a_worker_knows_that_it_is_a_pool(site: Site) -> None:
    """Its children were forked before there was a lease."""
    site.failed(site.enqueue("never_starts"), "exception", "not today")
    site.failed(site.enqueue("ends_its_process", "exit"), "worker_lost", "The worker that ran")


def test_a_body_outlives_its_database_and_its_job_lands_once(
    site: Site, postgres: Postgres
) -> None:
    """Neither progress nor items are worth the body; the landing waits."""
    job = site.enqueue("works_through_an_outage")
    site.gates.reached(job.id)
    with outage(postgres):
        site.gates.open(job.id)
        site.gates.reached(job.id)
        site.gates.open(job.id)
        site.logged(f"Job {job.id} waits", "to be written")
    landed = site.completed(job)
    assert landed.result == 20
    assert (landed.progress_current, landed.items_succeeded) == (20, 20)
    assert len(site.service.get_job_items(job.id, site.user_id)) == 20


def test_a_retry_waits_for_the_database(site: Site, postgres: Postgres) -> None:
    job = site.enqueue("waits_and_retries")
    site.gates.reached(job.id)
    with outage(postgres):
        site.gates.open(job.id)
        site.logged(f"Job {job.id} waits", "to be written")
    assert site.completed(job).attempt == 2


def test_a_lost_process_is_landed_when_the_database_is_back(site: Site, postgres: Postgres) -> None:
    job = site.enqueue("waits_and_dies")
    site.gates.reached(job.id)
    pid = site.read(job).pid
    assert pid is not None
    with outage(postgres):
        site.gates.open(job.id)
        eventually(lambda: not psutil.pid_exists(pid), "the end of the process")
    site.failed(job, "worker_lost", "The worker that ran the job was lost.")


def test_the_worker_signs_off_after_all_this(site: Site) -> None:
    assert site.worker is not None
    assert site.worker.shut_down() == 0
    statement = "select count(*), count(dead_at) from jobstate.workers"

    def signed_off() -> bool:
        with site.service.store.engine.connect() as connection:
            return tuple(connection.exec_driver_sql(statement).one()) == (1, 1)

    eventually(signed_off, "one worker, dead")
