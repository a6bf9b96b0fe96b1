"""Log records say which job they are about."""

import logging

from jobstate import JobLogFilter
from tests.tracing.conftest import TracedSite


def test_what_a_body_logs_names_its_job(traced: TracedSite) -> None:
    job = traced.enqueue("logs")
    mark = f"job={job.id} user={job.user_id} attempt=1"
    for text in ("Reading 7 orders", "Of the task's logger", "In a thread"):
        assert traced.logged(text, mark)
    traced.gates.open(job.id)
    traced.landed(job)


def test_what_jobstate_logs_of_a_job_keeps_its_own_names(traced: TracedSite) -> None:
    job = traced.completed(traced.enqueue("returns"))
    assert traced.logged(f"Job {job.id}", "is completed", f"job={job.id} user={job.user_id}")


def test_a_record_of_no_job_has_the_names_too(traced: TracedSite) -> None:
    assert traced.logged(" ready.", "job=None user=None attempt=None")
    record = logging.LogRecord("shop", logging.INFO, __file__, 1, "Hello", None, None)
    assert JobLogFilter().filter(record)
    assert record.__dict__["job_id"] is None


def test_a_name_that_is_given_stays() -> None:
    record = logging.LogRecord("shop", logging.INFO, __file__, 1, "Hello", None, None)
    record.job_id = "another"
    assert JobLogFilter().filter(record)
    assert record.__dict__["job_id"] == "another"
