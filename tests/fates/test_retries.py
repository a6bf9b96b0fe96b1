"""A job that is given back by its body: it stays in processing until its next attempt lands."""

from jobstate import Job, JobStatus
from tests.fates.fate import fate
from tests.fates.site import FateSite, Lands

STEPS = ["queued", "processing", "retry", "completed"]


def errors_of(site: FateSite, job: Job) -> list[str]:
    """Return what the history says about each attempt that was retried."""
    retried = [event for event in site.history(job) if event.event == "retry"]
    assert {event.error_code for event in retried} == {"exception"}
    return [(event.detail or {})["error"] for event in retried]


@fate()
def test_retries(shared: FateSite, lands: Lands) -> None:
    job = lands(shared, shared.enqueue("retries", 2), JobStatus.COMPLETED)
    assert (job.result, job.attempt, job.retries) == ([3, 2], 3, 2)
    assert errors_of(shared, job) == [
        "ConnectionError: attempt 1 failed",
        "ConnectionError: attempt 2 failed",
    ]


@fate()
def test_autoretries(shared: FateSite, lands: Lands) -> None:
    job = lands(shared, shared.enqueue("autoretries", 1), JobStatus.COMPLETED)
    assert job.result == 2
    assert errors_of(shared, job) == ["KeyError: 1"]


@fate()
def test_retries_without_raising(shared: FateSite, lands: Lands) -> None:
    """What the body returns afterwards counts for nothing."""
    job = lands(shared, shared.enqueue("retries_quietly"), JobStatus.COMPLETED)
    assert (job.result, job.attempt) == ("the second attempt's", 2)


@fate()
def test_uses_up_its_retries(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("retries", 9)
    job = lands(shared, job, JobStatus.FAILED, "retries_exhausted", "attempt 4 failed")
    assert (job.attempt, job.retries) == (4, 3)
    assert len(errors_of(shared, job)) == 3


@fate()
def test_uses_up_its_autoretries(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("autoretries", 9)
    job = lands(shared, job, JobStatus.FAILED, "retries_exhausted", "2")
    assert job.attempt == 2


@fate()
def test_raises_reject_and_requeue(shared: FateSite, lands: Lands) -> None:
    job = lands(shared, shared.enqueue("rejects", requeue=True), JobStatus.COMPLETED)
    assert job.result == 2
    assert shared.steps(job) == STEPS


@fate()
def test_raises_reject_and_requeue_late(shared: FateSite, lands: Lands) -> None:
    """The broker's own redelivery is stale, and dropped."""
    job = lands(shared, shared.enqueue("rejects_late", requeue=True), JobStatus.COMPLETED)
    assert job.result == 2
    assert shared.steps(job) == STEPS


@fate()
def test_replaced_by_a_task(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("is_replaced", "the replacement's")
    job = lands(shared, job, JobStatus.COMPLETED)
    assert (job.result, job.attempt) == ("the replacement's", 2)
    assert job.job_type == shared.task("is_replaced").name


@fate()
def test_replaced_by_a_chain(shared: FateSite, lands: Lands) -> None:
    job = lands(shared, shared.enqueue("becomes_a_chain"), JobStatus.COMPLETED)
    assert job.result == 112


@fate()
def test_replaced_by_a_group(shared: FateSite, lands: Lands) -> None:
    job = lands(shared, shared.enqueue("becomes_a_group"), JobStatus.COMPLETED)
    assert job.result == [2, 4]
