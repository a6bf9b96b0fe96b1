"""A pool process dies, and its worker lives: what follows the job, and what its message may do."""

import pytest

from jobstate import JobNotFound
from tests.faults.site import FaultySite


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


def test_a_message_that_expired_too_early_is_published_again(lasting: FaultySite) -> None:
    """As where a clock is wrong: the database's clock is the one that counts."""
    job = lasting.store("adds", 1, expires=600)
    lasting.publish(job, "adds", 1, ticket=0, expires=-60)
    assert lasting.completed(job).result == 1
