"""More about how bodies end; every fate itself has its test in tests/fates."""

from uuid import uuid4

import pytest

from jobstate import ItemStatus, JobStatus
from tests.worker.site import Site


def test_nothing_returned_is_a_completed_job_without_a_result(site: Site) -> None:
    assert site.completed(site.enqueue("returns")).result is None


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


def test_an_exception_fails_the_job_and_its_text_is_the_owners(site: Site) -> None:
    job = site.failed(site.enqueue("raises", "no such|file", "|"), "exception", "no such\ufffdfile")
    assert job.error_detail is not None
    assert job.error_detail["type"] == "builtins.ValueError"
    assert "in raises" in job.error_detail["traceback"]


def test_an_exception_without_a_text_fails_the_job_by_its_name(site: Site) -> None:
    site.failed(site.enqueue("raises", ""), "exception", "ValueError")
    site.failed(site.enqueue("raises_mute"), "exception", "MuteError")


def test_a_failure_class_of_the_task_keeps_its_code_and_is_not_retried(site: Site) -> None:
    """Its constructor takes other arguments than JobFailed; the task has autoretry_for."""
    job = site.failed(site.enqueue("fails_despite_autoretry"), "out_of_credit", "Only 3 left.")
    assert job.attempt == 1


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


def test_a_replacement_runs_for_the_owner_of_the_row(site: Site) -> None:
    job = site.completed(site.enqueue("is_replaced", 1, owner=str(uuid4())))
    assert job.user_id == site.user_id


def test_a_hook_that_fails_before_the_body_fails_the_job(site: Site) -> None:
    job = site.failed(site.enqueue("never_starts"), "exception", "not today")
    assert job.attempt == 1


def test_hooks_that_fail_after_the_body_change_nothing(site: Site) -> None:
    assert site.completed(site.enqueue("ends_badly")).result == "done"
