"""What a body returns or raises, and where its job lands then."""

from jobstate import JobStatus
from tests.fates.fate import fate
from tests.fates.site import FateSite, Lands


@fate()
def test_returns_a_value(shared: FateSite, lands: Lands) -> None:
    job = lands(shared, shared.enqueue("returns", {"rows": [1, "ü"]}), JobStatus.COMPLETED)
    assert job.result == {"rows": [1, "ü"]}
    assert job.progress == 100
    assert shared.events(job) == ["queued", "processing", "completed"]


@fate()
def test_returns_partial(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("returns_partial", {"rows": 7}, "Three rows were unreadable.")
    job = lands(shared, job, JobStatus.PARTIAL, None, "Three rows were unreadable.")
    assert job.result == {"rows": 7}


@fate()
def test_some_items_fail(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("works_on_items", 1, 2)
    job = lands(shared, job, JobStatus.PARTIAL, None, "2 of 3 items failed.")
    assert (job.items_succeeded, job.items_failed) == (1, 2)


@fate()
def test_every_item_fails(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("works_on_items", 0, 3)
    lands(shared, job, JobStatus.FAILED, "exception", "All 3 items failed.")


@fate()
def test_raises(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("raises", "no such file")
    job = lands(shared, job, JobStatus.FAILED, "exception", "no such file")
    assert (job.error_detail or {})["type"] == "builtins.ValueError"


@fate()
def test_wrong_arguments(shared: FateSite, lands: Lands) -> None:
    """The task has typing=False, or enqueue would refuse them."""
    job = shared.enqueue("takes_two", 1, third=3)
    message = "takes_two() got an unexpected keyword argument 'third'"
    lands(shared, job, JobStatus.FAILED, "exception", message)


@fate()
def test_raises_job_failed(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("fails", "Too poor.")
    lands(shared, job, JobStatus.FAILED, "exception", "Too poor.")


@fate()
def test_raises_job_failed_with_a_code(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("fails", "Too poor.", "out_of_credit")
    lands(shared, job, JobStatus.FAILED, "out_of_credit", "Too poor.")


@fate()
def test_result_is_not_json(shared: FateSite, lands: Lands) -> None:
    callback = shared.task("returns").si("called back")
    callback_id = callback.freeze().id
    job = shared.enqueue_with("returns_object", link=callback)
    message = "The result at page is a object: it is not JSON."
    said = shared.landed(job).error_message or ""
    lands(shared, job, JobStatus.FAILED, "exception", said)
    assert said.startswith(message.rstrip(".")), said
    assert shared.is_unknown(callback_id)


@fate()
def test_result_is_too_large(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("returns_text", "large")
    said = shared.landed(job).error_message or ""
    lands(shared, job, JobStatus.FAILED, "exception", said)
    assert said.startswith("Too large: 2,000,002 bytes of JSON in the result"), said


@fate()
def test_raises_ignore(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("ignores")
    lands(shared, job, JobStatus.FAILED, "rejected", "The task gave the job up.")


@fate()
def test_raises_reject(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("rejects", requeue=False)
    lands(shared, job, JobStatus.FAILED, "rejected", "The task gave the job up.")


@fate()
def test_raises_reject_late(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("rejects_late", requeue=False)
    lands(shared, job, JobStatus.FAILED, "rejected", "The task gave the job up.")


@fate()
def test_raises_memory_error(own: FateSite, lands: Lands) -> None:
    """On prefork and solo, Celery stops the worker then."""
    runs_out_of_memory(own, lands, "runs_out_of_memory")


@fate()
def test_raises_memory_error_late(own: FateSite, lands: Lands) -> None:
    """Celery gives the message back to the broker: the next worker drops it."""
    runs_out_of_memory(own, lands, "runs_out_of_memory_late")


def runs_out_of_memory(site: FateSite, lands: Lands, task: str) -> None:
    worker = site.boot()
    job = site.enqueue(task)
    lands(site, job, JobStatus.FAILED, "exception", "no room")
    if site.pool in ("prefork", "solo"):
        worker.ended()
        site.boot()
    assert site.completed(site.enqueue("returns", "a worker lives")).result
    assert site.read(job).attempt == 1
