"""Items that are done again: by a further attempt, or by a job that retries them."""

from datetime import UTC, datetime

import pytest

from jobstate import NotRetryable
from tests.worker.pools import on_pools
from tests.worker.site import Site

pytestmark = on_pools("prefork")


def test_a_further_attempt_goes_on_where_the_one_before_has_ended(site: Site) -> None:
    job = site.completed(site.enqueue("resumes"))
    assert job.attempt == 2
    assert job.result == [3, 4]
    assert (job.items_succeeded, job.items_failed) == (5, 0)
    items = site.service.get_job_items(job.id, site.user_id)
    assert [(item.key, item.attempt) for item in items] == [(str(n), 2) for n in range(5)]


def test_a_retry_of_the_failed_items_sees_them_alone(site: Site) -> None:
    job = site.landed(site.enqueue("does_items", [1, 2, "three"], [2, "three"]))
    assert job.status == "partial"
    again = site.completed(site.service.retry(job.id, site.user_id, "failed"))
    assert again.result == {"done": [2, "three"], "only": ["2", "three"]}
    assert (again.retry_of, again.items_succeeded) == (job.id, 2)


def test_a_retry_of_all_items_does_all(site: Site) -> None:
    job = site.landed(site.enqueue("does_items", [1, 2], [2]))
    again = site.landed(site.service.retry(job.id, site.user_id))
    assert again.result == {"done": [1, 2], "only": None}


def test_a_retry_has_the_arguments_as_they_were_and_nothing_that_followed(site: Site) -> None:
    """Not as the parameters show them: a time would have become text."""
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    link = site.task("returns").s().set(user_id=site.user_id)
    job = site.completed(site.enqueue_with("is_given", moment, link=link, priority=3))
    site.gates.read(f"given:{job.id}")
    again = site.completed(site.service.retry(job.id, site.user_id))
    assert site.gates.read(f"given:{again.id}") == "datetime"
    children = [each for each in site.service.list_jobs(site.user_id).items if each.parent_id]
    assert [child.parent_id for child in children if child.parent_id == again.id] == []


def test_a_job_that_was_given_something_secret_cannot_be_retried(site: Site) -> None:
    """Nobody knows it any more."""
    job = site.completed(site.enqueue("forgets", "me", password="secret"))  # noqa: S106
    with pytest.raises(NotRetryable, match="job_redact"):
        site.service.retry(job.id, site.user_id)
    plain = site.completed(site.enqueue("forgets", "me"))
    assert site.completed(site.service.retry(plain.id, site.user_id)).result == "me"


def test_many_items_are_recorded_at_once(site: Site) -> None:
    job = site.landed(site.enqueue("records_many", 5000))
    assert (job.items_succeeded, job.items_failed, job.items_skipped) == (5000, 1, 1)
    assert len(site.service.get_job_items(job.id, site.user_id)) == 5002
