"""A retry stays in processing: the row is released, then the message goes out with its ticket."""

from jobstate import Job, JobStatus
from tests.worker.process import eventually
from tests.worker.site import Site


def errors_of(site: Site, job: Job) -> list[str]:
    """Return what the history says about each attempt that was retried."""
    retried = [event for event in site.history(job) if event.event == "retry"]
    assert [event.attempt for event in retried] == list(range(1, len(retried) + 1))
    assert {event.error_code for event in retried} <= {"exception"}
    return [(event.detail or {}).get("error", "") for event in retried]


def test_each_retry_is_an_attempt_whose_message_has_its_ticket(site: Site) -> None:
    job = site.completed(site.enqueue("retries", 2))
    assert job.result == [3, 2]
    assert (job.attempt, job.retries) == (3, 2)
    assert errors_of(site, job) == [
        "ConnectionError: attempt 1 failed",
        "ConnectionError: attempt 2 failed",
    ]
    moves = [event.to_status for event in site.history(job) if event.event == "transition"]
    assert moves == ["queued", "processing", "completed"]


def test_between_two_attempts_the_job_is_processing_and_nobody_holds_it(site: Site) -> None:
    """The retry goes to a queue that no worker reads, so that the job can be looked at."""
    queue = f"nobody-{site.app.main}"
    job = site.enqueue("retries", 1, queue)
    eventually(lambda: site.waiting(queue), "the retry's message")
    released = site.read(job)
    assert released.status is JobStatus.PROCESSING
    assert (released.worker_id, released.pid) == (None, None)
    assert (released.attempt, released.retries, released.queue) == (1, 1, queue)
    assert released.retry_at is not None
    (message,) = site.waiting(queue)
    assert (message["id"], message["jobstate-after"], message["retries"]) == (str(job.id), 1, 1)
    site.redis.delete(queue)
    site.publish(job, "retries", 1, ticket=1, retries=1)
    assert site.completed(job).result == [2, 1]


def test_retries_used_up_fail_the_job_with_the_last_error(site: Site) -> None:
    job = site.failed(site.enqueue("retries", 9), "retries_exhausted", "attempt 4 failed")
    assert (job.attempt, job.retries) == (4, 3)
    assert len(errors_of(site, job)) == 3
    assert (job.error_detail or {})["type"] == "builtins.ConnectionError"


def test_retries_used_up_without_an_error_fail_the_job_too(site: Site) -> None:
    job = site.failed(site.enqueue("retries_without_a_cause"), "retries_exhausted", "Can't retry")
    assert job.attempt == 2


def test_retries_used_up_by_an_error_that_pickle_cannot_carry(site: Site) -> None:
    job = site.enqueue("retries_stubbornly")
    landed = site.failed(job, "retries_exhausted", "will not go")
    assert (landed.error_detail or {})["type"] == "tests.worker.endings.StubbornError"


def test_autoretry_is_a_retry(site: Site) -> None:
    job = site.completed(site.enqueue("autoretries", 1))
    assert job.result == 2
    assert errors_of(site, job) == ["KeyError: 1"]


def test_autoretries_used_up_fail_the_job_with_the_last_error(site: Site) -> None:
    job = site.failed(site.enqueue("autoretries", 9), "retries_exhausted", "2")
    assert job.attempt == 2


def test_after_a_retry_that_does_not_raise_the_rest_of_the_body_counts_for_nothing(
    site: Site,
) -> None:
    callback = site.task("returns").s()
    callback_id = callback.freeze().id
    job = site.completed(site.enqueue_with("retries_quietly", link=callback))
    assert job.result == "the second attempt's"
    assert job.attempt == 2
    assert site.completed(callback_id).result == "the second attempt's"
