"""The chaos kit kills a task everywhere, and finds what it leaves behind."""

from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from jobstate import JobState, Settings
from jobstate.celery.trial import on_trial, taking_jobs, work
from jobstate.store import Store
from jobstate.store.migrations import apply
from jobstate.testing import chaos, kill_at_every_write
from tests.worker.database import new_database


@pytest.fixture(autouse=True)
def use_app(jobstate_app: JobState) -> JobState:
    return jobstate_app


def test_a_task_that_may_run_again_completes_wherever_it_dies(
    tasks: Any, jobstate_app: JobState
) -> None:
    landed = kill_at_every_write(tasks.saves)
    assert {job.status for job in landed} == {"completed"}
    assert {job.attempt for job in landed} == {1, 2}
    assert landed[-1].attempt == 1
    for job in landed:
        (asset,) = jobstate_app.service.get_job_assets(job.id, job.user_id)
        assert asset.attempt == job.attempt


def test_a_task_that_runs_at_most_once_is_lost_between_take_and_landing(tasks: Any) -> None:
    landed = kill_at_every_write(tasks.adds, 1, two=2)
    codes = [job.error_code for job in landed]
    assert set(codes) == {None, "worker_lost"}
    first, last = codes.index("worker_lost"), len(codes) - codes[::-1].index("worker_lost")
    assert set(codes[first:last]) == {"worker_lost"}
    assert {job.attempt for job in landed} == {1}


def test_a_file_that_nobody_shows_is_told(tasks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "_CLEANED_WITHIN", 0.1)
    with pytest.raises(AssertionError, match=r"nobody shows \S+/1/one\.csv\.more"):
        kill_at_every_write(tasks.litters)


def test_the_files_of_any_owner_are_looked_for(
    tasks: Any, jobstate_celery_app: Celery, postgres_url: str, tmp_path: Path
) -> None:
    """As part of a path, not every sign of an owner's id is itself."""
    with new_database(postgres_url, "template1") as url:
        settings = Settings.load(
            {
                **jobstate_celery_app.conf,
                "jobstate_database_url": url,
                "jobstate_storage_url": tmp_path.as_uri(),
            }
        )
        apply(settings, user_id_type="text")
        with on_trial(jobstate_celery_app, settings) as jobs:
            job = tasks.litters.enqueue(user_id="auth0|ann/../bob")
            with taking_jobs(jobs.app):
                work(jobs.app, [job.queue or "celery"])
            landed = jobs.service.get_job_internal(job.id)
            (problem,) = chaos._problems(jobs, landed)
    assert problem.endswith("/1/one.csv.more")


def test_a_process_that_ends_by_itself_is_told(tasks: Any) -> None:
    with pytest.raises(AssertionError, match="ended with status 3"):
        kill_at_every_write(tasks.exits)


def test_a_process_that_is_killed_otherwise_is_told(tasks: Any) -> None:
    with pytest.raises(AssertionError, match="was killed, and not by this kit"):
        kill_at_every_write(tasks.kills_itself)


def test_what_goes_wrong_in_the_process_is_told(
    tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("what now")

    monkeypatch.setattr(chaos, "work", fail)
    with pytest.raises(AssertionError, match="RuntimeError: what now"):
        kill_at_every_write(tasks.adds, 1, 2)


def test_a_task_with_too_many_moments_is_told(tasks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "MOST", 2)
    with pytest.raises(AssertionError, match=r"trial\.adds has more than 2 moments to die"):
        kill_at_every_write(tasks.adds, 1, 2)


def test_a_job_that_does_not_land_is_told(tasks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "_recover", lambda _: None)
    with pytest.raises(AssertionError, match="Killed at moment 1, the job has not landed once"):
        kill_at_every_write(tasks.adds, 1, 2)


class KilledError(BaseException):
    """Instead of SIGKILL, where a test looks on."""


@pytest.mark.parametrize(("moment", "attempt"), [(1, 0), (2, 1)], ids=["before", "after"])
def test_a_moment_is_before_or_after_a_statement(
    moment: int,
    attempt: int,
    tasks: Any,
    jobstate_app: JobState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kill(*_: object) -> None:
        raise KilledError

    job = tasks.saves.enqueue(user_id=uuid4())
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_execute", Store._execute)  # which is put back at the end
        patch.setattr("os.kill", kill)
        with suppress(KilledError):
            chaos._run(jobstate_app, job, moment)
    assert jobstate_app.service.get_job_internal(job.id).attempt == attempt
    jobstate_app.service.sweep()
    chaos._work_off(jobstate_app)
    assert jobstate_app.service.get_job_internal(job.id).is_terminal
