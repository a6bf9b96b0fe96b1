"""The database is away for longer than a message waits for it: its job starts later, and once."""

from collections.abc import Iterator

import pytest

from jobstate import Job
from tests.faults.site import FaultySite
from tests.proxy import Link, Proxy
from tests.worker.database import new_database

THE_TAKE = b"attempt_started_at = now.at"


@pytest.fixture(scope="module")
def linked(
    postgres_url: str,
    _template: str,
    faulty_broker_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[FaultySite, Proxy]]:
    """A site whose worker has nothing but the proxy, and waits for a second."""
    broker_url = f"{faulty_broker_url.rpartition('/')[0]}/7"
    with (
        new_database(postgres_url, _template) as database_url,
        Proxy(database_url) as proxy,
        FaultySite(tmp_path_factory.mktemp("worker"), database_url, broker_url) as site,
    ):
        # Unprepared, a statement travels with each of its calls, where the proxy can see it.
        worker = site.start(
            database_url=proxy.url, jobstate_prepare_threshold=None, jobstate_start_patience=1
        )
        yield site, proxy
        proxy.heal()
        assert worker.shut_down() == 0, worker.log
        assert "stumbled" not in worker.log


@pytest.mark.parametrize("task", ["adds", "adds_late"])
def test_a_job_that_could_not_be_started_starts_when_the_database_is_back(
    linked: tuple[FaultySite, Proxy], task: str
) -> None:
    """Late-acking, the broker brings its message again; else the row does."""
    site, proxy = linked
    proxy.go_down(Link.CUT)
    job = site.enqueue(task, 1)
    site.logged(f"Job {job.id} was not started and stays queued")
    proxy.heal()
    assert site.completed(job).attempt == 1
    assert site.runs(job) == [1]


def taken_unheard(linked: tuple[FaultySite, Proxy], task: str) -> Job:
    """Let a job be taken by a worker that does not hear of it, and gives up."""
    site, proxy = linked
    proxy.lose_the_answer(THE_TAKE, by=Link.CUT)
    job = site.enqueue(task, 1)
    proxy.has_lost_it()
    site.logged(f"Job {job.id} was not started")
    assert site.read(job).attempt == 1
    proxy.heal()
    return job


def test_a_job_that_was_taken_unheard_is_not_held_for_ever(
    linked: tuple[FaultySite, Proxy],
) -> None:
    """Its process lives, and runs nothing."""
    job = taken_unheard(linked, "adds")
    site = linked[0]
    site.failed(job, "worker_lost", "The worker that ran the job was lost.")
    assert site.runs(job) == []


def test_an_idempotent_job_that_was_taken_unheard_runs_once(
    linked: tuple[FaultySite, Proxy],
) -> None:
    """By the message that the broker brings again to the same process, or after a rescue."""
    job = taken_unheard(linked, "adds_late")
    site = linked[0]
    landed = site.completed(job)
    assert site.runs(job) == [landed.attempt]


def test_the_worker_answers_while_its_database_is_away(linked: tuple[FaultySite, Proxy]) -> None:
    """Celery's event loop hands over the lost process, and goes on."""
    site, proxy = linked
    job = site.enqueue("dies_at_the_gate")
    site.running(job)
    proxy.go_down(Link.BLACK_HOLE)
    site.let(job)
    site.logged("WorkerLostError")
    assert site.app.control.ping(timeout=60, limit=1)
    assert not site.read(job).is_terminal
    proxy.heal()
    site.failed(job, "worker_lost", "The worker that ran the job was lost.")
