"""The broker goes away, or comes back with nothing in it: the jobs table is the outbox."""

import pytest

from jobstate.embedded import Redis
from tests.faults.site import FaultySite


@pytest.mark.parametrize("worker_too", [False, True], ids=["broker", "broker and worker"])
def test_what_a_broker_forgot_lands_all_the_same(
    with_own_broker: FaultySite,
    broker: Redis,
    worker_too: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Queued, reserved, running and to be retried: one crash of a Redis that keeps nothing."""
    site = with_own_broker
    worker = site.start()
    retried = site.enqueue("retries", 3)
    site.supervised(lambda: "retry" in site.events(retried), "the retry")
    late, early = site.enqueue("waits_late"), site.enqueue("waits")
    site.running(late)
    site.running(early)
    waiting = [site.enqueue("adds", number) for number in range(4)]
    broker.restart(immediate=True)
    if worker_too:
        worker.kill()
    for attempt in (1, 2):
        site.let(late, attempt)
    site.let(early)
    # The evidence that what was published before it was lost.
    later = site.enqueue("waits")
    site.supervised(lambda: site.runs(later), "the start of a later job")
    jobs = [retried, late, early, *waiting, later]
    site.supervised(lambda: all(site.read(job).is_terminal for job in jobs[:-1]), "the landings")
    site.let(later)
    for job in jobs:
        landed = site.landed(job)
        # Celery may have ended the worker, and its supervisor may have started another.
        assert landed.error_code in (None, "worker_lost" if job is early else None)
        assert site.runs(job) == list(range(1, landed.attempt + 1))
    assert site.read(early).attempt == 1
    # Killed, it has lost the job; one that has ended by itself may have done so after the landing.
    if worker_too or worker.alive:
        assert site.read(early).error_code == ("worker_lost" if worker_too else None)
    assert site.read(retried).attempt == 2


def test_a_worker_that_outlives_its_broker_publishes_what_was_accepted_meanwhile(
    with_own_broker: FaultySite, broker: Redis
) -> None:
    site = with_own_broker
    worker = site.start()
    broker.stop(immediate=True)
    jobs = [site.enqueue("adds", 0), site.enqueue("dies_late", 0), site.enqueue("retries", 1)]
    for job in jobs:
        assert site.read(job).published_at is None
        worker.says("was not published", str(job.id))
    broker.start()
    for job in jobs:
        landed = site.completed(job)
        assert site.runs(job) == list(range(1, landed.attempt + 1))
    assert worker.alive
