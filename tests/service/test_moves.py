"""What the moves write besides the status."""

import logging
from datetime import timedelta
from uuid import UUID

import pytest

from jobstate import ErrorCode, InvalidValueError, Job, JobService, JobStatus


@pytest.fixture
def job(service: JobService, user_id: UUID) -> Job:
    """A job that is processing."""
    return service.transition_status(service.create_job(user_id, "report").id, "processing")


def test_starting_a_job_counts_an_attempt_and_notes_when(jobs: JobService, user_id: UUID) -> None:
    queued = jobs.create_job(user_id, "report")
    job = jobs.transition_status(queued.id, JobStatus.PROCESSING, progress=5)
    assert (job.attempt, job.progress, job.worker_id) == (1, 5, None)
    assert job.started_at is not None
    assert job.started_at >= queued.created_at
    assert job.duration is not None


def test_completing_a_job_stores_the_result_and_sets_progress_to_100(
    jobs: JobService, job: Job
) -> None:
    done = jobs.mark_completed(job.id, {"rows": [1, None, "ü"]})
    assert (done.status, done.progress) == (JobStatus.COMPLETED, 100)
    assert done.result == {"rows": [1, None, "ü"]}
    assert (done.error_code, done.error_message) == (None, None)
    assert done.completed_at is not None
    assert done.started_at is not None
    assert done.duration == done.completed_at - done.started_at > timedelta(0)
    assert done.is_terminal


@pytest.mark.parametrize("result", [None, False, 0, "", [], {}])
def test_a_result_may_be_anything_that_json_knows(
    jobs: JobService, job: Job, result: object
) -> None:
    assert jobs.mark_completed(job.id, result).result == result


def test_a_partial_job_may_have_a_result_and_a_message(jobs: JobService, job: Job) -> None:
    done = jobs.mark_partial(job.id, {"rows": 3}, "Some were bad")
    assert (done.status, done.progress) == (JobStatus.PARTIAL, 100)
    assert (done.result, done.error_message, done.error_code) == (
        {"rows": 3},
        "Some were bad",
        None,
    )


def test_a_failed_job_keeps_its_progress(jobs: JobService, job: Job) -> None:
    jobs.update_progress(job.id, 42)
    done = jobs.mark_failed(job.id, "No")
    assert (done.status, done.progress) == (JobStatus.FAILED, 42)
    assert (done.error_message, done.error_code) == ("No", "exception")


@pytest.mark.parametrize("code", ["out_of_credit", ErrorCode.TIME_LIMIT, "cancelled"])
def test_a_failure_has_the_code_it_was_given(jobs: JobService, job: Job, code: str) -> None:
    assert jobs.mark_failed(job.id, "No", error_code=code).error_code == code


@pytest.mark.parametrize("code", ["", "Out of credit", "x" * 51, 5, ["exception"]])
def test_a_malformed_code_is_refused(jobs: JobService, job: Job, code: str) -> None:
    with pytest.raises(InvalidValueError, match="is malformed: a code has 1 to 50 lower-case"):
        jobs.mark_failed(job.id, "No", error_code=code)
    assert jobs.get_job_internal(job.id) == job


def test_the_last_progress_may_come_with_the_landing(jobs: JobService, job: Job) -> None:
    done = jobs.transition_status(job.id, "failed", progress=77.7, error_message="No")
    assert done.progress == 77


def test_progress_keeps_what_is_not_said(jobs: JobService, job: Job) -> None:
    jobs.update_progress(job.id, 10, current=1, total=10, message="Reading")
    after = jobs.update_progress(job.id, 20.9)
    assert (after.progress, after.progress_current, after.progress_total) == (20, 1, 10)
    assert after.progress_message == "Reading"
    assert after.progress_at is not None
    assert after.updated_at > job.updated_at


def test_progress_may_go_back(jobs: JobService, job: Job) -> None:
    jobs.update_progress(job.id, 90)
    assert jobs.update_progress(job.id, 10).progress == 10


def test_the_history_has_every_step_in_order(jobs: JobService, job: Job, user_id: UUID) -> None:
    jobs.update_progress(job.id, 50)
    jobs.mark_failed(job.id, "No", error_code="out_of_credit")
    events = jobs.get_job_events(job.id, user_id)
    assert [(event.from_status, event.to_status) for event in events] == [
        (None, "queued"),
        ("queued", "processing"),
        ("processing", "failed"),
    ]
    assert [event.error_code for event in events] == [None, None, "out_of_credit"]
    assert [event.attempt for event in events] == [0, 1, 1]
    assert sorted(event.at for event in events) == [event.at for event in events]


def test_every_transition_is_one_line_of_the_log(
    jobs: JobService, job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "jobstate"):
        jobs.update_progress(job.id, 50)
        jobs.mark_failed(job.id, "No", error_code="out_of_credit")
    (record,) = caplog.records
    assert record.name == "jobstate"
    assert record.levelno == logging.INFO
    assert record.getMessage() == f"Job {job.id} (report) is failed: out_of_credit"
    assert record.__dict__["job_id"] == str(job.id)
    assert record.__dict__["user_id"] == str(job.user_id)
    assert record.__dict__["attempt"] == 1


def test_a_refused_move_is_not_logged_as_one(
    jobs: JobService, job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.mark_completed(job.id)
    caplog.clear()
    with caplog.at_level(logging.INFO, "jobstate"), pytest.raises(Exception, match="cannot become"):
        jobs.mark_failed(job.id, "No")
    assert caplog.records == []
