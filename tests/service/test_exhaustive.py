"""Every status and every verb: legal ones move, others refuse and leave everything as it was."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from jobstate import (
    VALID_TRANSITIONS,
    InvalidStateTransitionError,
    Job,
    JobNotFound,
    JobService,
    JobStatus,
    is_terminal_state,
)
from tests.factories import everything

Connect = Callable[[], psycopg.Connection]
Verb = Callable[[JobService, Any], Job]

MOVES: dict[str, tuple[JobStatus, Verb]] = {
    **{
        f"transition to {target}": (
            target,
            lambda jobs, job_id, target=target: jobs.transition_status(  # type: ignore[misc]
                job_id, target, progress=42, error_message="No", result={"rows": 7}
            ),
        )
        for target in JobStatus
    },
    "mark_completed": (
        JobStatus.COMPLETED,
        lambda jobs, job_id: jobs.mark_completed(job_id, {"rows": 7}),
    ),
    "mark_failed": (
        JobStatus.FAILED,
        lambda jobs, job_id: jobs.mark_failed(job_id, "No", error_code="out_of_credit"),
    ),
    "mark_partial": (
        JobStatus.PARTIAL,
        lambda jobs, job_id: jobs.mark_partial(job_id, {"rows": 3}, "Some were bad"),
    ),
}


@pytest.mark.parametrize("status", JobStatus)
@pytest.mark.parametrize("verb", MOVES)
def test_a_legal_move_is_done_and_another_is_refused(
    jobs: JobService,
    job_in: Callable[[str], Job],
    connect: Connect,
    status: JobStatus,
    verb: str,
) -> None:
    job, connection = job_in(status), connect()
    target, move = MOVES[verb]
    before = everything(connection, job.id)
    if target in VALID_TRANSITIONS[status]:
        moved = move(jobs, job.id)
        after = everything(connection, job.id)
        assert moved.status is target
        assert moved == jobs.get_job_internal(job.id)
        assert after["job_events"][:-1] == before["job_events"]
        assert after["job_events"][-1]["from_status"] == status
        assert after["job_events"][-1]["to_status"] == target
        assert (moved.completed_at is not None) is is_terminal_state(target)
        assert moved.attempt == 1
    else:
        with pytest.raises(InvalidStateTransitionError) as refused:
            move(jobs, job.id)
        error = refused.value
        assert (error.job_id, error.current, error.target) == (job.id, status, target)
        assert f"Job {job.id} cannot become {target}: it is {status}" in str(error)
        assert all(legal in str(error) for legal in VALID_TRANSITIONS[status])
        assert everything(connection, job.id) == before


def test_a_status_may_be_named_by_its_text(jobs: JobService, user_id: UUID) -> None:
    for path in (["processing", "completed"], ["processing", "failed"], ["processing", "partial"]):
        job = jobs.create_job(user_id, "report")
        assert [jobs.transition_status(str(job.id), step).status for step in path] == path


def test_an_unknown_job_cannot_be_moved(jobs: JobService) -> None:
    job_id = uuid4()
    for _, move in MOVES.values():
        with pytest.raises(JobNotFound, match=f"Job {job_id} does not exist"):
            move(jobs, job_id)
        with pytest.raises(JobNotFound, match="Job 7f3e does not exist"):
            move(jobs, "7f3e")


@pytest.mark.parametrize("status", JobStatus)
def test_only_a_processing_job_has_progress(
    jobs: JobService,
    job_in: Callable[[str], Job],
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    status: JobStatus,
) -> None:
    job, connection = job_in(status), connect()
    before = everything(connection, job.id)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "jobstate"):
        answer = jobs.update_progress(job.id, 50, current=5, total=10, message="Halfway")
    if status is JobStatus.PROCESSING:
        assert (answer.progress, answer.progress_current, answer.progress_total) == (50, 5, 10)
        assert answer.progress_message == "Halfway"
        assert everything(connection, job.id)["job_events"] == before["job_events"]
        assert caplog.records == []
    else:
        assert answer == job
        assert everything(connection, job.id) == before
        (record,) = caplog.records
        assert f"Job {job.id} is {status}, so its progress was not updated" in record.getMessage()
        assert record.__dict__["job_id"] == str(job.id)
        assert record.__dict__["user_id"] == str(job.user_id)
        assert record.__dict__["attempt"] == job.attempt
    assert answer == jobs.get_job_internal(job.id)


@pytest.mark.parametrize("status", JobStatus)
def test_an_asset_can_be_linked_in_every_status_and_moves_nothing(
    jobs: JobService, job_in: Callable[[str], Job], connect: Connect, status: JobStatus
) -> None:
    job, connection = job_in(status), connect()
    before = everything(connection, job.id)
    asset = jobs.create_asset(job.id, job.user_id, "csv", "u", "p", 9)
    after = everything(connection, job.id)
    assert (after["jobs"], after["job_events"]) == (before["jobs"], before["job_events"])
    assert [row["id"] for row in after["assets"]] == [asset.id]
    assert jobs.get_job_assets(job.id, job.user_id) == [asset]


def test_an_asset_that_was_linked_before_the_start_stays_with_its_job(
    jobs: JobService, job_in: Callable[[str], Job]
) -> None:
    """No attempt made it, so none can take its place."""
    job = job_in("queued")
    early = jobs.create_asset(job.id, job.user_id, "csv", "https://example.org/in", "in", 9)
    jobs.transition_status(job.id, "processing")
    late = jobs.create_asset(job.id, job.user_id, "csv", "https://example.org/out", "out", 9)
    jobs.mark_completed(job.id)
    assert jobs.get_job_assets(job.id, job.user_id) == [early, late]
    assert jobs.asset_url(early, job.user_id) == early.url
