"""The parts of what Flower shows that need no Flower to be tested."""

import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, states
from celery.events.state import Task

from jobstate import JobStatus
from jobstate.celery.announce import LANDED, PROGRESS, Announcer
from jobstate.celery.flower import JobEvents, JobInFlower, set_up
from jobstate.monitoring import OVERLAP, Summary, look_again_from

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def summary(status: JobStatus, **changes: Any) -> Summary:
    """Describe a job of somebody, as the table has it."""
    given: dict[str, Any] = {
        "id": uuid4(),
        "task_name": "shop.export",
        "job_type": "export",
        "owner": "ada",
        "queue": "celery",
        "status": status,
        "held": status is JobStatus.PROCESSING,
        "progress": 0,
        "progress_message": None,
        "attempt": 1,
        "retries": 0,
        "parameters": '{"year": 2026, "draft": false}',
        "result": None,
        "error_code": None,
        "error_message": None,
        "traceback": None,
        "parent_id": None,
        "created_at": NOW,
        "started_at": NOW,
        "completed_at": NOW if status in (JobStatus.COMPLETED, JobStatus.FAILED) else None,
        "updated_at": NOW,
        "hostname": None,
    }
    return Summary(**{**given, **changes})


def event(task: JobInFlower, subject: str, attempt: int, status: str, progress: int) -> None:
    """Have a task hear of an event of jobstate's."""
    said = {"attempt": attempt, "job_status": status, "progress": progress, "uuid": task.uuid}
    task.event(subject, 1.0, 1.0, said)


def test_an_event_of_an_earlier_attempt_changes_nothing() -> None:
    task = JobInFlower("1")
    event(task, PROGRESS, 2, "processing", 10)
    event(task, LANDED, 1, "failed", 90)
    assert (task.attempt, task.job_status, task.progress) == (2, "processing", 10)
    assert task.state == states.STARTED


def test_progress_that_comes_after_the_landing_changes_nothing() -> None:
    task = JobInFlower("1")
    task.learn(summary(JobStatus.COMPLETED, progress=100), None)
    event(task, PROGRESS, 1, "processing", 10)
    assert (task.state, task.job_status, task.progress) == (states.SUCCESS, "completed", 100)


def test_a_row_that_was_read_before_the_landing_changes_nothing() -> None:
    task = JobInFlower("1")
    task.event("succeeded", 2.0, 2.0, {"result": "7"})
    event(task, LANDED, 1, "completed", 100)
    assert not task.learn(summary(JobStatus.PROCESSING), None)
    assert (task.state, task.job_status) == (states.SUCCESS, "completed")


def test_a_further_attempt_of_a_job_whose_run_failed_is_started() -> None:
    task = JobInFlower("1")
    task.event("failed", 2.0, 2.0, {"exception": "WorkerLostError()"})
    assert task.learn(summary(JobStatus.PROCESSING, attempt=2), None)
    assert task.state == states.STARTED


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (summary(JobStatus.QUEUED, attempt=0), states.PENDING),
        (summary(JobStatus.PROCESSING), states.STARTED),
        (summary(JobStatus.PROCESSING, held=False), states.RETRY),
        (summary(JobStatus.COMPLETED), states.SUCCESS),
        (summary(JobStatus.FAILED, error_code="exception"), states.FAILURE),
        (summary(JobStatus.FAILED, error_code="expired"), states.REVOKED),
    ],
)
def test_each_status_has_a_state_of_celerys(given: Summary, state: str) -> None:
    task = JobInFlower("1")
    assert task.learn(given, None)
    assert task.state == state


def test_arguments_are_shown_as_python_and_cut_off_ones_as_they_are() -> None:
    whole, cut = JobInFlower("1"), JobInFlower("2")
    whole.learn(summary(JobStatus.QUEUED), None)
    cut.learn(summary(JobStatus.QUEUED, parameters='{"text": "aaa'), None)
    assert whole.kwargs == "{'year': 2026, 'draft': False}"
    assert cut.kwargs == '{"text": "aaa…'


def test_landings_are_asked_for_again_a_little_but_never_for_ever() -> None:
    done = [
        summary(JobStatus.COMPLETED, completed_at=NOW + timedelta(seconds=seconds))
        for seconds in (0, 60)
    ]
    assert look_again_from(None, [], 10) is None
    assert look_again_from(None, done, 10) == NOW + timedelta(seconds=60) - OVERLAP
    assert look_again_from(None, done, 2) == NOW + timedelta(seconds=60)
    assert look_again_from(NOW + timedelta(seconds=55), done, 10) == NOW + timedelta(seconds=55)


def test_tasks_that_flower_has_kept_in_its_own_file_become_jobs_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And an app without jobstate is told of."""
    set_up()
    app = Celery("shop", broker="memory://", set_as_current=False)
    with caplog.at_level(logging.WARNING, "jobstate"):
        events = JobEvents(app, None, max_tasks_in_memory=10)
    assert "jobstate is not installed on its Celery app" in caplog.text
    assert type(events.state.get_or_create_task("1")[0]) is JobInFlower
    kept = Task("2")
    kept.__class__ = JobInFlower
    assert kept.as_dict()["owner"] is None


@pytest.mark.parametrize("name", ["jobstate_refresh", "jobstate_history"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_setting_that_cannot_be_is_told_without_a_traceback(
    name: str, value: int, tmp_path: Path
) -> None:
    config = tmp_path / "flowerconfig.py"
    config.write_text(f"import jobstate.flower\n\n{name} = {value}\n")
    done = subprocess.run(
        [sys.executable, "-m", "celery", "--broker", "memory://", "flower", f"--conf={config}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"Error: {name} is {value}, but it must be a number above 0." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_that_is_away_is_left_alone_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Celery("shop", broker="redis://127.0.0.1:1/0", set_as_current=False)
    announcer = Announcer(app, 1.0)
    with caplog.at_level(logging.DEBUG, "jobstate"):
        for _ in range(2):
            announcer._send(PROGRESS, "1", "celery@host", {})
    assert caplog.text.count("was not sent") == 1
