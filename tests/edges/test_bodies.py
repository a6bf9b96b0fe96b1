"""Bodies, hooks and calls that do what the library does not expect."""

from uuid import uuid4

import pytest

from jobstate import InvalidValueError
from tests.edges.site import EdgeSite
from tests.worker.process import eventually

GIVEN_UP = "The task gave the job up."
SHOUTING = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"


def test_retry_raised_by_hand_ends_the_job(edge: EdgeSite) -> None:
    """Nothing was published for it."""
    edge.start()
    job = edge.enqueue("raises_retry")
    edge.failed(job, "rejected", GIVEN_UP)
    assert edge.runs(job) == [1]


def test_what_asyncio_cancels_has_failed_and_no_worker_was_lost(edge: EdgeSite) -> None:
    """Although its task may run again, it does not: the body has ended by itself."""
    edge.start()
    job = edge.enqueue("cancels_itself")
    edge.failed(job, "exception", "CancelledError")
    assert edge.runs(job) == [1]


def test_a_job_that_a_hook_ignores_before_its_body_has_failed(edge: EdgeSite) -> None:
    edge.start()
    job = edge.enqueue("is_ignored_before_it_starts")
    edge.failed(job, "rejected", GIVEN_UP)
    assert edge.runs(job) == []


def test_an_eager_job_that_a_hook_ignores_has_failed(edge: EdgeSite) -> None:
    result = edge.task("is_ignored_before_it_starts").apply(user_id=edge.user_id)
    edge.failed(result.id, "rejected", GIVEN_UP)


def test_a_task_whose_class_runs_it_past_its_job_fails_once_and_says_why(edge: EdgeSite) -> None:
    edge.start()
    job = edge.enqueue("is_called_by_its_base")
    edge.failed(job, "rejected", "The task ran past its job: its class has a __call__")
    assert edge.runs(job) == [1]


def test_a_job_that_can_never_be_published_is_refused_and_has_failed(edge: EdgeSite) -> None:
    with pytest.raises(InvalidValueError, match="cannot be published: soft_time_limit"):
        edge.enqueue("has_limits_in_the_wrong_order")
    ((job_id,),) = edge.sql("select id from jobstate.jobs")
    edge.failed(job_id, "never_delivered", f"Job {job_id} cannot be published")


def test_one_job_that_cannot_be_published_does_not_keep_others_from_it(edge: EdgeSite) -> None:
    for _ in range(3):
        with pytest.raises(InvalidValueError, match="bogus"):
            edge.enqueue_with("runs", serializer="bogus")
    job = edge.enqueue("runs")
    edge.noted()
    assert edge.read(job).published_at is not None


def test_errbacks_are_told_once_by_a_task_whose_hook_raises(edge: EdgeSite) -> None:
    """Celery then sends no signal that they were dispatched."""
    edge.start()
    errback = edge.task("runs").si()
    told = errback.freeze().id
    job = edge.enqueue_with("stumbles_when_it_fails", "in its body", link_error=errback)
    edge.failed(job, "exception", "in its body")
    edge.completed(told)
    edge.quiet(job)
    assert (edge.runs(job), edge.runs(told)) == ([1], [1])
    unstarted = edge.enqueue("stumbles_when_it_fails", "before")
    edge.failed(unstarted, "exception", "The hook is broken.")


def test_errbacks_are_not_told_of_a_retry_whose_hook_raises(edge: EdgeSite) -> None:
    """To Celery, the task has failed then."""
    edge.start()
    errback = edge.task("runs").si()
    told = errback.freeze().id
    job = edge.enqueue_with("stumbles_when_it_retries", link_error=errback)
    assert edge.completed(job).attempt == 2
    edge.logged("The hook is broken.")
    assert (edge.runs(job), edge.counts(told)) == ([1, 2], 0)


def test_retries_are_counted_for_an_id_in_capital_letters(edge: EdgeSite) -> None:
    edge.start()
    edge.publish(SHOUTING, "retries_for_ever")
    eventually(lambda: edge.counts(SHOUTING), "the job")
    assert edge.landed(SHOUTING).error_code == "retries_exhausted"
    assert edge.runs(SHOUTING.lower()) == [1, 2, 3]


def test_a_task_called_as_a_function_that_asks_for_a_retry_uses_up_none(edge: EdgeSite) -> None:
    edge.start()
    edge.failed(edge.enqueue("calls_what_retries"), "exception", "No answer.")


def test_an_eager_job_may_call_the_task_around_it_as_a_function(edge: EdgeSite) -> None:
    edge.start()
    assert edge.completed(edge.enqueue("called_back")).result == 2


def test_the_callbacks_of_a_message_that_comes_again_are_not_doubled(edge: EdgeSite) -> None:
    """It was published past jobstate: only the row knows the ids of its callbacks."""
    edge.start()
    job_id = uuid4()
    edge.publish(job_id, "dispatches_and_dies_late", link=[edge.task("runs").s()])
    eventually(lambda: edge.counts(job_id), "the job")
    edge.quiet(job_id)
    ((called,),) = edge.sql("select id from jobstate.jobs where id <> %s", job_id)
    assert edge.completed(called).parent_id == job_id
    assert edge.runs(called) == [1]
