"""The broker or the database goes away and comes back."""

from pathlib import Path

import pytest
import redis

from jobstate import JobStatus
from jobstate.embedded import Postgres, Redis
from tests.faults.site import FaultySite
from tests.worker.process import eventually


def test_jobs_whose_messages_the_broker_lost_are_published_again(faulty: FaultySite) -> None:
    """On evidence: a job that was published later runs."""
    lost = [faulty.enqueue("adds", number) for number in range(3)]
    faulty.noted()
    faulty.redis.flushall()
    faulty.start()
    later = faulty.enqueue("waits")
    faulty.running(later)
    for number, job in enumerate(lost):
        assert faulty.completed(job).result == number
        assert "republish" in faulty.events(job)
    faulty.let(later)
    faulty.completed(later)


def test_jobs_whose_messages_were_lost_with_all_others_are_published_again(
    faulty: FaultySite,
) -> None:
    """No later job tells of it: the mark that is gone does."""
    faulty.start()
    eventually(lambda: faulty.redis.keys("jobstate-beacon-*"), "a mark")
    job = faulty.enqueue_with("adds", 1, queue="idle")
    assert [message["id"] for message in faulty.waiting("idle")] == [str(job.id)]
    faulty.noted()
    faulty.redis.flushall()
    eventually(lambda: faulty.waiting("idle"), "another message")
    # The republication is noted once the broker has the message.
    eventually(lambda: faulty.events(job) == ["queued", "republish"], "the republication")
    eventually(lambda: faulty.redis.keys("jobstate-beacon-*"), "another mark")


def test_jobs_are_accepted_while_the_broker_is_down(
    with_own_broker: FaultySite, broker: Redis
) -> None:
    """Celery may end when its broker vanishes; something starts the worker again."""
    site = with_own_broker
    worker = site.start()
    broker.stop(immediate=True)
    jobs = [site.enqueue("adds", number) for number in range(3)]
    for job in jobs:
        assert (job.status, job.published_at) == (JobStatus.QUEUED, None)
    broker.start()
    worker.kill()
    site.start()
    for number, job in enumerate(jobs):
        assert site.completed(job).result == number


def test_a_body_that_outlives_the_database_lands_once(
    postgres: Postgres, faulty_broker_url: str, tmp_path: Path
) -> None:
    with FaultySite(tmp_path, postgres.url, faulty_broker_url) as site:
        site.start()
        job = site.enqueue("waits_late")
        site.running(job)
        site.sql("checkpoint")  # A crash may take back a take of the last second.
        postgres.restart(immediate=True)
        site.let(job)
        landed = site.completed(job)
        assert (landed.result, landed.attempt, landed.rescues) == (1, 1, 0)
        assert site.completed(site.enqueue("adds", 1)).result == 1


@pytest.mark.parametrize("task", ["waits", "waits_late"])
def test_an_outage_longer_than_the_lease_robs_no_worker(
    postgres: Postgres, faulty_broker_url: str, tmp_path: Path, task: str
) -> None:
    """Its lease has run out, by the row; it renews before anybody is given up."""
    with FaultySite(tmp_path, postgres.url, faulty_broker_url) as site:
        worker = site.start()
        job = site.enqueue(task)
        site.running(job)
        site.sql("update jobstate.workers set lease_until = now() - interval '1 hour'")
        site.sql("update jobstate.sweeps set last_seen_at = now() - interval '1 hour'")
        postgres.restart(immediate=True)
        eventually(lambda: all(found.alive for found in site.service.workers()))
        site.let(job)
        assert site.completed(job).attempt == 1
        assert "was given up" not in worker.log


def test_a_broker_that_was_flushed_costs_no_running_job(faulty: FaultySite) -> None:
    faulty.start()
    job = faulty.enqueue("waits_late")
    faulty.running(job)
    with redis.Redis.from_url(faulty.conf["broker_url"]) as client:
        client.flushall()
    faulty.let(job)
    assert faulty.completed(job).attempt == 1


def test_a_cancellation_outlives_everything_that_runs(
    postgres: Postgres, faulty_broker_url: str, tmp_path: Path
) -> None:
    """The worker, the broker and the database are gone right after the owner has asked."""
    with FaultySite(tmp_path, postgres.url, faulty_broker_url) as site:
        worker = site.start()
        late, early = site.enqueue("waits_late"), site.enqueue("waits")
        waiting = site.enqueue_with("adds", 1, countdown=600)
        for job in (late, early):
            site.running(job)
            site.service.cancel(job.id, job.user_id)
        site.service.cancel(waiting.id, waiting.user_id)
        worker.kill()
        site.redis.flushall()
        postgres.restart(immediate=True)
        site.start()
        for job in (late, early, waiting):
            site.failed(job, "cancelled", "The job was cancelled.")
        # What their first attempts have noted is gone with the broker.
        assert (site.runs(late), site.runs(early), site.runs(waiting)) == ([], [], [])
