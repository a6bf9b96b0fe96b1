"""A worker whose clock is wrong by an hour, beside one whose clock is right."""

from collections.abc import Iterator

import pytest

from tests.faults.clocks import clock_off_by
from tests.faults.site import FaultySite
from tests.worker.conftest import new_database
from tests.worker.process import eventually

HOUR = 3600


@pytest.fixture(scope="module", params=[HOUR, -HOUR], ids=["ahead", "behind"])
def site(
    request: pytest.FixtureRequest,
    postgres_url: str,
    _template: str,
    faulty_broker_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FaultySite]:
    """Two workers that share a queue, and do not agree on the time."""
    broker_url = f"{faulty_broker_url.rpartition('/')[0]}/4"
    with (
        new_database(postgres_url, _template) as database_url,
        FaultySite(tmp_path_factory.mktemp("worker"), database_url, broker_url) as site,
    ):
        with clock_off_by(request.param):
            wrong = site.start()
        right = site.start()
        yield site
        for worker in (wrong, right):
            assert worker.shut_down() == 0, worker.log
            assert "stumbled" not in worker.log
            assert "was given up" not in worker.log


def test_leases_hold(site: FaultySite) -> None:
    """The database's clock alone says when one has run out."""
    # Late-acking: no worker reserves one while it runs two.
    jobs = [site.enqueue("waits_late") for _ in range(4)]
    for job in jobs:
        site.running(job)
    workers = site.service.workers()
    assert len(workers) == 2
    past_the_leases = max(worker.lease_until for worker in workers)
    eventually(
        lambda: all(worker.heartbeat_at > past_the_leases for worker in site.service.workers()),
        "the renewal of each lease, for longer than one lasts",
    )
    for job in jobs:
        site.let(job)
        landed = site.completed(job)
        assert (landed.attempt, landed.rescues) == (1, 0)
        assert site.runs(job) == [1]


def test_no_job_expires_early(site: FaultySite) -> None:
    """A worker that is ahead throws its message away, and it goes out again."""
    jobs = [site.enqueue_with("adds", number, expires=600) for number in range(4)]
    for number, job in enumerate(jobs):
        assert site.completed(job).result == number
        assert site.runs(job) == [1]


def test_a_job_expires_by_the_clock_of_the_database(site: FaultySite) -> None:
    job = site.enqueue_with("adds", 1, countdown=30, expires=1)
    site.failed(job, "expired", "")
    assert site.runs(job) == []


def test_retries_run(site: FaultySite) -> None:
    jobs = [site.enqueue("retries", 1) for _ in range(4)]
    for job in jobs:
        assert site.completed(job).attempt == 2
        assert site.runs(job) == [1, 2]


def test_countdowns_end(site: FaultySite) -> None:
    """A worker that is behind sits on its messages; they go out again without a time."""
    jobs = [site.enqueue_with("adds", number, countdown=2) for number in range(4)]
    for number, job in enumerate(jobs):
        assert site.completed(job).result == number
        assert site.runs(job) == [1]


def test_a_job_does_not_expire_where_every_worker_is_ahead(faulty: FaultySite) -> None:
    with clock_off_by(HOUR):
        faulty.start()
    job = faulty.enqueue_with("adds", 1, expires=600)
    assert faulty.completed(job).result == 1
    assert faulty.runs(job) == [1]
