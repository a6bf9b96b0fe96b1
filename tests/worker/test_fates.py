"""Every way a body can end, and where its job lands then."""

from uuid import uuid4

import pytest

from jobstate import ItemStatus, JobNotFound, JobStatus
from tests.worker.site import Site


def test_a_returned_value_is_the_result_of_a_completed_job(site: Site) -> None:
    job = site.completed(site.enqueue("returns", {"rows": [1, None, "ü"]}))
    assert job.result == {"rows": [1, None, "ü"]}
    assert [event.to_status for event in site.history(job)] == ["queued", "processing", "completed"]


def test_nothing_returned_is_a_completed_job_without_a_result(site: Site) -> None:
    assert site.completed(site.enqueue("returns")).result is None


def test_partial_returned_is_a_partial_job(site: Site) -> None:
    job = site.landed(site.enqueue("returns_partial", {"rows": 7}, "Three rows were unreadable."))
    assert job.status is JobStatus.PARTIAL
    assert job.result == {"rows": 7}
    assert job.error_message == "Three rows were unreadable."
    assert job.error_code is None
    assert job.progress == 100


def test_a_job_whose_items_all_succeed_completes(site: Site) -> None:
    job = site.completed(site.enqueue("works_on_items", 3, 0, skipped=1))
    assert job.result == {"succeeded": 3, "failed": 0, "skipped": 1}
    assert (job.items_succeeded, job.items_failed, job.items_skipped) == (3, 0, 1)


def test_a_job_with_some_failed_items_is_partial(site: Site) -> None:
    job = site.landed(site.enqueue("works_on_items", 1, 2))
    assert job.status is JobStatus.PARTIAL
    assert job.error_message == "2 of 3 items failed."
    assert job.result == {"succeeded": 1, "failed": 2, "skipped": 0}
    assert (job.items_succeeded, job.items_failed) == (1, 2)
    failed = site.service.get_job_items(job.id, site.user_id, ItemStatus.FAILED)
    assert [(item.key, item.label, item.error_message) for item in failed] == [
        ("1", "number 1", "1 is broken"),
        ("2", "number 2", "2 is broken"),
    ]


def test_a_job_whose_items_all_fail_has_failed(site: Site) -> None:
    job = site.failed(site.enqueue("works_on_items", 0, 3), "exception", "All 3 items failed.")
    assert job.progress == 0
    assert job.items_failed == 3


def test_an_exception_fails_the_job_and_its_text_is_the_owners(site: Site) -> None:
    job = site.failed(site.enqueue("raises", "no such|file", "|"), "exception", "no such\ufffdfile")
    assert job.error_detail is not None
    assert job.error_detail["type"] == "builtins.ValueError"
    assert "in raises" in job.error_detail["traceback"]


def test_an_exception_without_a_text_fails_the_job_by_its_name(site: Site) -> None:
    site.failed(site.enqueue("raises", ""), "exception", "ValueError")
    site.failed(site.enqueue("raises_mute"), "exception", "MuteError")


def test_wrong_arguments_fail_the_job(site: Site) -> None:
    """The task has typing=False, or enqueue would refuse them."""
    job = site.failed(site.enqueue("takes_two", 1, third=3), "exception", "")
    assert "unexpected keyword argument 'third'" in (job.error_message or "")
    assert job.parameters == {"args": [1], "third": 3}


def test_a_task_fails_its_job_with_a_code_and_a_message_of_its_own(site: Site) -> None:
    site.failed(site.enqueue("fails", "Too poor.", "out_of_credit"), "out_of_credit", "Too poor.")


def test_a_task_that_gives_no_code_fails_as_by_an_exception(site: Site) -> None:
    site.failed(site.enqueue("fails", "Too poor."), "exception", "Too poor.")


def test_a_failure_class_of_the_task_keeps_its_code_and_is_not_retried(site: Site) -> None:
    """Its constructor takes other arguments than JobFailed; the task has autoretry_for."""
    job = site.failed(site.enqueue("fails_despite_autoretry"), "out_of_credit", "Only 3 left.")
    assert job.attempt == 1


def test_a_result_that_is_not_json_fails_the_job_and_starts_no_callback(site: Site) -> None:
    callback = site.task("returns").si("called back")
    callback_id = callback.freeze().id
    job = site.failed(site.enqueue_with("returns_object", link=callback), "exception", "")
    assert "result at page is a object: it is not JSON" in (job.error_message or "")
    with pytest.raises(JobNotFound):
        site.read(callback_id)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nul", "There is a NUL character in the result"),
        ("surrogate", "There is a lone surrogate in the result"),
        ("large", "Too large: 2,000,002 bytes of JSON in the result"),
    ],
)
def test_a_result_that_cannot_be_stored_fails_the_job(site: Site, text: str, message: str) -> None:
    site.failed(site.enqueue("returns_text", text), "exception", message)


def test_ignore_raised_by_the_body_is_a_rejected_job(site: Site) -> None:
    site.failed(site.enqueue("ignores"), "rejected", "The task gave the job up.")


@pytest.mark.parametrize("task", ["rejects", "rejects_late"])
def test_reject_without_requeue_is_a_rejected_job(site: Site, task: str) -> None:
    job = site.enqueue(task, requeue=False)
    site.failed(job, "rejected", "The task gave the job up.")


@pytest.mark.parametrize("task", ["rejects", "rejects_late"])
def test_reject_with_requeue_runs_the_job_again(site: Site, task: str) -> None:
    """The broker's own redelivery, where there is one, is stale and dropped."""
    job = site.completed(site.enqueue(task, requeue=True))
    assert job.result == 2
    events = [(event.event, event.attempt) for event in site.history(job)]
    assert ("retry", 1) in events


def test_a_replaced_job_lands_with_the_result_of_its_replacement(site: Site) -> None:
    job = site.completed(site.enqueue("is_replaced", "the replacement's"))
    assert job.result == "the replacement's"
    assert job.attempt == 2
    assert job.task_name == site.task("returns").name
    assert job.job_type == site.task("is_replaced").name


def test_a_replacement_runs_for_the_owner_of_the_row(site: Site) -> None:
    job = site.completed(site.enqueue("is_replaced", 1, owner=str(uuid4())))
    assert job.user_id == site.user_id


def test_a_hook_that_fails_before_the_body_fails_the_job(site: Site) -> None:
    job = site.failed(site.enqueue("never_starts"), "exception", "not today")
    assert job.attempt == 1


def test_hooks_that_fail_after_the_body_change_nothing(site: Site) -> None:
    assert site.completed(site.enqueue("ends_badly")).result == "done"
