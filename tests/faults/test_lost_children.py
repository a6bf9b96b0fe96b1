"""A pool process dies, and its worker lives: the job runs again, or fails, and lands once."""

import pytest

from jobstate import JobNotFound
from tests.faults.site import FaultySite
from tests.worker.process import eventually


def test_an_idempotent_job_whose_process_is_killed_runs_again(lasting: FaultySite) -> None:
    job = lasting.completed(lasting.enqueue("dies_late", 1))
    assert (job.result, job.attempt, job.rescues) == (2, 2, 1)
    # The broker brings the lost message again as well, now or later: a duplicate.
    passing = {"republish", "duplicate_delivery"}
    events = [event for event in lasting.events(job) if event not in passing]
    assert events == ["queued", "processing", "rescue", "completed"]
    assert lasting.runs(job) == [1, 2]


def test_a_job_that_always_kills_its_process_is_given_up(lasting: FaultySite) -> None:
    job = lasting.failed(
        lasting.enqueue("dies_late", 99), "rescues_exhausted", "The job lost its worker"
    )
    assert (job.attempt, job.rescues) == (4, 3)
    assert lasting.runs(job) == [1, 2, 3, 4]
    assert lasting.events(job).count("rescue") == 3


def test_a_job_that_may_run_only_once_failed_with_its_process(lasting: FaultySite) -> None:
    job = lasting.failed(lasting.enqueue("dies"), "worker_lost", "The worker that ran the job")
    assert lasting.runs(job) == [1]
    assert "rescue" not in lasting.events(job)


def test_errbacks_hear_of_a_lost_process_once(lasting: FaultySite) -> None:
    errback = lasting.task("is_told").si()
    told = errback.freeze().id
    job = lasting.enqueue_with("dies", link_error=errback)
    lasting.quiet(job)
    lasting.completed(told)
    assert lasting.runs(told) == [1]
    assert lasting.read(job).error_code == "worker_lost"


def test_callbacks_of_a_rescued_job_run_once(lasting: FaultySite) -> None:
    callback = lasting.task("adds").s(5)
    called = callback.freeze().id
    job = lasting.enqueue_with("dies_late", 1, link=callback)
    lasting.quiet(job)
    assert lasting.completed(called).result == 7
    assert lasting.runs(called) == [1]


def test_after_a_crash_between_landing_and_dispatch_the_next_step_runs_once(
    lasting: FaultySite,
) -> None:
    """With early acks and late ones; no body runs twice."""
    for task in ("lands_and_dies", "lands_and_dies_late"):
        first, second = lasting.task(task).s(1), lasting.task("adds").s(2)
        chain = (first.set(user_id=lasting.user_id) | second).apply_async()
        before, after = chain.parent.id, chain.id
        assert lasting.completed(after).result == 4
        landed = lasting.quiet(before)
        assert (landed.result, landed.attempt, landed.rescues) == (2, 1, 0)
        assert lasting.runs(before) == [1]
        assert lasting.runs(after) == [1]


def test_a_job_that_completed_before_its_process_died_tells_its_callbacks_alone(
    lasting: FaultySite,
) -> None:
    """Celery would call the errbacks too: to it, the process was lost."""
    for task in ("lands_and_dies", "lands_and_dies_late"):
        callback, errback = lasting.task("adds").s(5), lasting.task("is_told").si()
        called, told = callback.freeze().id, errback.freeze().id
        job = lasting.enqueue_with(task, 1, link=callback, link_error=errback)
        assert lasting.completed(called).result == 7
        assert lasting.quiet(job).result == 2
        assert lasting.runs(called) == [1]
        with pytest.raises(JobNotFound):
            lasting.read(told)


def test_a_job_of_a_task_that_no_worker_knows_waits_and_then_fails(lasting: FaultySite) -> None:
    """A worker with the task may be started later; ten publications are its chance."""
    job = lasting.jobs.enqueue("shop.exports", user_id=lasting.user_id)
    eventually(lambda: lasting.read(job).error_code == "unknown_task")
    assert lasting.read(job).status == "queued"
    assert lasting.read(job).attempt == 0
    lasting.sql(
        "update jobstate.jobs set publishes = 10, published_at = null, next_check_at = now() "
        "where id = %s and status = 'queued'",
        job.id,
    )
    lasting.failed(job, "unknown_task", "")


def test_a_job_that_expired_in_its_worker_has_expired(lasting: FaultySite) -> None:
    job = lasting.enqueue_with("adds", 1, countdown=2, expires=1)
    lasting.failed(job, "expired", "")
    assert lasting.runs(job) == []


def test_a_message_that_expired_too_early_is_published_again(lasting: FaultySite) -> None:
    """As where a clock is wrong: the database's clock is the one that counts."""
    job = lasting.store("adds", 1, expires=600)
    lasting.publish(job, "adds", 1, ticket=0, expires=-60)
    assert lasting.completed(job).result == 1
