"""The link between a worker and its database fails, in each way a link can, at each bad moment."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from jobstate import AsyncJobService, JobNotFound, JobService, Settings, StoreUnavailable
from jobstate.counters import DATABASE_ERRORS
from tests.faults.site import FaultySite
from tests.proxy import Link, Proxy
from tests.worker.conftest import new_database

THE_TAKE = b"attempt_started_at = now.at"
THE_LANDING = b"result = cast("

down = pytest.mark.parametrize("how", [Link.CUT, Link.BLACK_HOLE], ids=lambda how: how.name.lower())


@pytest.fixture(scope="module")
def broker_of_its_own(faulty_broker_url: str) -> str:
    return f"{faulty_broker_url.rpartition('/')[0]}/2"


@pytest.fixture(scope="module")
def linked(
    postgres_url: str,
    _template: str,
    broker_of_its_own: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[FaultySite, Proxy]]:
    """A site whose worker has nothing but the proxy."""
    folder = tmp_path_factory.mktemp("worker")
    with (
        new_database(postgres_url, _template) as database_url,
        Proxy(database_url) as proxy,
        FaultySite(folder, database_url, broker_of_its_own) as site,
    ):
        # Unprepared, a statement travels with each of its calls, where the proxy can see it.
        worker = site.start(database_url=proxy.url, jobstate_prepare_threshold=None)
        yield site, proxy
        proxy.heal()
        assert worker.shut_down() == 0, worker.log
        assert "stumbled" not in worker.log
        assert "was given up" not in worker.log


@pytest.fixture
def site(linked: tuple[FaultySite, Proxy]) -> FaultySite:
    return linked[0]


@pytest.fixture
def proxy(linked: tuple[FaultySite, Proxy]) -> Iterator[Proxy]:
    yield linked[1]
    linked[1].heal()


@down
def test_jobs_that_arrive_while_the_link_is_down_start_when_it_is_back(
    site: FaultySite, proxy: Proxy, how: Link
) -> None:
    proxy.go_down(how)
    jobs = [site.enqueue("adds", 1), site.enqueue("dies_late", 0)]
    for job in jobs:
        site.logged(f"Job {job.id} waits", "to start")
    proxy.heal()
    for job in jobs:
        assert site.completed(job).attempt == 1
        assert site.runs(job) == [1]


@down
def test_a_body_outlives_its_link(site: FaultySite, proxy: Proxy, how: Link) -> None:
    """Its report is not worth a failure."""
    job = site.enqueue("reports_at_the_gate")
    site.running(job)
    proxy.go_down(how)
    site.let(job)
    site.logged(f"Progress of job {job.id} was not written")
    site.gates.reached(f"{job.id}:1:end")
    proxy.heal()
    site.gates.open(f"{job.id}:1:end")
    landed = site.completed(job)
    assert (landed.attempt, landed.rescues) == (1, 0)
    assert site.runs(job) == [1]


@down
def test_a_landing_waits_for_its_link(site: FaultySite, proxy: Proxy, how: Link) -> None:
    job = site.enqueue("waits_late")
    site.running(job)
    proxy.go_down(how)
    site.let(job)
    site.logged(f"Job {job.id} waits", "to be written")
    proxy.heal()
    assert site.completed(job).attempt == 1
    assert site.runs(job) == [1]


@down
@pytest.mark.parametrize("task", ["waits", "waits_late"])
def test_a_landing_whose_answer_is_lost_was_done(
    site: FaultySite, proxy: Proxy, how: Link, task: str
) -> None:
    """It is repeated, refused, and known for one's own; callbacks run once."""
    callback = site.task("adds").s(5)
    called = callback.freeze().id
    job = site.enqueue_with(task, link=callback)
    site.running(job)
    proxy.lose_the_answer(THE_LANDING, by=how)
    site.let(job)
    proxy.has_lost_it()
    assert site.read(job).is_terminal
    proxy.heal()
    assert site.quiet(job).result == 1
    assert site.completed(called).result == 6
    assert site.runs(job) == site.runs(called) == [1]
    assert "stale_write" not in site.events(job)


@down
@pytest.mark.parametrize("task", ["adds", "dies_late"])
def test_a_take_whose_answer_is_lost_was_done(
    site: FaultySite, proxy: Proxy, how: Link, task: str
) -> None:
    """It is repeated, and the process knows itself in the row."""
    proxy.lose_the_answer(THE_TAKE, by=how)
    job = site.enqueue(task, 0)
    proxy.has_lost_it()
    assert site.read(job).pid is not None
    proxy.heal()
    landed = site.completed(job)
    assert (landed.attempt, landed.rescues) == (1, 0)
    assert site.runs(job) == [1]


def test_a_link_that_is_cut_anywhere_costs_no_job(site: FaultySite, proxy: Proxy) -> None:
    """In the middle of an answer too: to a take, a landing, a renewal, a sweep."""
    for size in range(1, 4000, 500):
        proxy.cut_after(size)
        jobs = [site.enqueue("adds", size), site.enqueue("dies_late", 0)]
        proxy.has_lost_it()
        proxy.heal()
        for job in jobs:
            assert site.completed(job).attempt == 1
            assert site.runs(job) == [1]


def test_a_slow_link_robs_no_worker(site: FaultySite, proxy: Proxy) -> None:
    proxy.delay(0.4)
    jobs = [site.enqueue("adds", 1), site.enqueue("dies_late", 0)]
    for job in jobs:
        assert site.completed(job).attempt == 1
        assert site.runs(job) == [1]
        assert "rescue" not in site.events(job)


async def test_no_statement_waits_for_ever(jobs_url: str) -> None:
    """The kernel on the other side acknowledges all that is sent: no socket option notices."""
    with Proxy(jobs_url) as proxy:
        conf = {"lease": 3, "heartbeat": 1, "sweep_interval": 1, "database_url": proxy.url}
        settings = Settings.load({f"jobstate_{name}": value for name, value in conf.items()})
        service, aio = JobService.from_settings(settings), AsyncJobService.from_settings(settings)
        unanswered = DATABASE_ERRORS.read()["unanswered"]
        proxy.lose_the_answer(b"user_id, job_type", by=Link.BLACK_HOLE)
        with pytest.raises(StoreUnavailable, match=r"no answer came in 1\.5 s"):
            service.get_job_internal(uuid4())
        proxy.heal()
        proxy.lose_the_answer(b"user_id, job_type", by=Link.BLACK_HOLE)
        with pytest.raises(StoreUnavailable, match=r"no answer came in 1\.5 s"):
            await aio.get_job_internal(uuid4())
        assert DATABASE_ERRORS.read()["unanswered"] == unanswered + 2
        proxy.heal()
        with pytest.raises(JobNotFound):
            service.get_job_internal(uuid4())
        with pytest.raises(JobNotFound):
            await aio.get_job_internal(uuid4())
        await aio.close()
        service.close()


def test_a_lost_transaction_does_not_keep_a_job_locked(faulty: FaultySite) -> None:
    """The server does not hear that the client has given up; it must end the session itself."""
    with Proxy(faulty.conf["database_url"]) as proxy:
        faulty.start(database_url=proxy.url, jobstate_prepare_threshold=None)
        proxy.lose_the_answer(b"returning jobs.attempt", by=Link.BLACK_HOLE)
        job = faulty.enqueue_with("adds", 1, countdown=30, expires=1)
        proxy.has_lost_it()
        proxy.heal()
        faulty.failed(job, "expired", "")
