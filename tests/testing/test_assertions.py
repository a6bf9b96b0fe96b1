"""What the plugin asserts about jobs, and how it says that something is wrong."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from jobstate import ConfigurationError, JobState
from jobstate.celery.trial import on_trial
from jobstate.testing import assert_enqueued, assert_lands, drain, trial

USER = uuid4()


@pytest.fixture(autouse=True)
def use_app(jobstate_app: JobState) -> JobState:
    return jobstate_app


def test_a_job_that_is_queued_is_run_and_landed(tasks: Any) -> None:
    job = tasks.adds.enqueue(1, 2, user_id=USER)
    assert assert_lands(job).result == 3
    assert assert_lands(str(job.id), "completed").id == job.id


def test_a_job_that_lands_elsewhere_is_told_with_its_traceback(tasks: Any) -> None:
    job = tasks.raises.enqueue(user_id=USER)
    with pytest.raises(AssertionError) as told:
        assert_lands(job, "completed")
    assert "should be completed" in str(told.value)
    assert f"{job.id} trial.raises {{}} is failed (exception: " in str(told.value)
    assert 'raise ValueError("No such thing")' in str(told.value)
    with pytest.raises(AssertionError, match="should be failed with expired"):
        assert_lands(job, "failed", error_code="expired")
    assert assert_lands(job, "failed", error_code="exception").id == job.id


def test_retries_are_run_without_waiting(tasks: Any) -> None:
    assert assert_lands(tasks.retries.enqueue(user_id=USER)).result == 3


def test_what_follows_a_job_is_run_too(tasks: Any) -> None:
    (tasks.adds.s(1, 2).set(user_id=USER) | tasks.adds.s(4)).apply_async()
    assert {job.result for job in drain()} == {3, 7}


def test_a_job_that_is_due_later_stays_queued(tasks: Any) -> None:
    tasks.adds.apply_async((1, 2), user_id=USER, countdown=timedelta(hours=1).total_seconds())
    assert [job.status for job in drain()] == ["queued"]


def test_a_task_that_never_ends_is_told(tasks: Any) -> None:
    tasks.goes_on.enqueue(user_id=USER)
    with pytest.raises(
        AssertionError, match=r"Still not drained after 0\.1 s: \s+\S+ trial\.goes_on"
    ):
        drain(timeout=0.1)


def test_jobs_that_were_enqueued_are_found(tasks: Any) -> None:
    older, newer = (tasks.adds.enqueue(one=1, two=two, user_id=USER) for two in (2, 3))
    assert assert_enqueued(tasks.adds).id == newer.id
    assert assert_enqueued("trial.adds", parameters={"two": 2}, times=1).id == older.id
    assert assert_enqueued(tasks.adds, user_id=str(USER), times=2).id == newer.id


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"parameters": {"two": 7}}, "a job of trial.adds with {'two': 7}, but 0 fit"),
        ({"user_id": uuid4()}, "a job of trial.adds with {}, but 0 fit"),
        ({"times": 2}, "2 jobs of trial.adds with {}, but 1 fit"),
    ],
)
def test_jobs_that_were_not_enqueued_are_told(
    wanted: dict[str, Any], said: str, tasks: Any
) -> None:
    job = tasks.adds.enqueue(one=1, two=2, user_id=USER)
    with pytest.raises(AssertionError) as told:
        assert_enqueued(tasks.adds, **wanted)
    assert said in str(told.value)
    assert str(job.id) in str(told.value)


def test_each_test_begins_without_jobs(jobstate_app: JobState) -> None:
    assert jobstate_app.service.stats().by_type == {}


def test_an_app_is_as_it_was_after_its_trial(
    jobstate_app: JobState, jobstate_celery_app: Celery
) -> None:
    on = jobstate_app.settings
    with on_trial(jobstate_celery_app, replace(on, lease=60)):
        assert jobstate_app.settings.lease == 60
        assert jobstate_celery_app.conf.broker_url == "memory://"
    assert jobstate_app.settings == on


def test_an_app_must_be_on_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_trials", [])
    with pytest.raises(ConfigurationError, match="Have the test use it"):
        trial.on_trial()
