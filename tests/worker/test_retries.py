"""More about retries: what lies between two attempts, and errors of every kind."""

from jobstate import JobStatus
from tests.worker.process import eventually
from tests.worker.site import Site


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


def test_retries_used_up_without_an_error_fail_the_job_too(site: Site) -> None:
    job = site.failed(site.enqueue("retries_without_a_cause"), "retries_exhausted", "Can't retry")
    assert job.attempt == 2


def test_retries_used_up_by_an_error_that_pickle_cannot_carry(site: Site) -> None:
    job = site.enqueue("retries_stubbornly")
    landed = site.failed(job, "retries_exhausted", "will not go")
    assert (landed.error_detail or {})["type"] == "tests.worker.endings.StubbornError"


def test_after_a_retry_that_does_not_raise_the_rest_of_the_body_counts_for_nothing(
    site: Site,
) -> None:
    callback = site.task("returns").s()
    callback_id = callback.freeze().id
    job = site.completed(site.enqueue_with("retries_quietly", link=callback))
    assert job.result == "the second attempt's"
    assert job.attempt == 2
    assert site.completed(callback_id).result == "the second attempt's"
