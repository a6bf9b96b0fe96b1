"""What a task may not declare: its runs would end past their jobs, or its jobs never be taken."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from jobstate import ConfigurationError, JobTask, Settings
from jobstate.celery.declared import declared_policy
from jobstate.celery.request import JobRequest


class OwnRequest(JobRequest):
    """A class of an application's own."""


def declare(**options: Any) -> None:
    """Have an app take a task with these options for one of its own."""
    app = Celery("refusing", broker="memory://", set_as_current=False)

    @app.task(**{"base": JobTask, "name": "refused", "lazy": False, "shared": False, **options})
    def task() -> None:
        """Never run."""


def test_celerys_own_retry_of_a_lost_worker_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Task refused has retry_on_worker_lost on"):
        declare(retry_on_worker_lost=True)
    declare(retry_on_worker_lost=True, job_track=False)


def test_a_request_that_tells_its_job_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Task refused has the Request celery"):
        declare(Request="celery.worker.request:Request")
    declare(Request=f"{__name__}:OwnRequest")


@pytest.mark.parametrize("name", ["job_no_progress", "job_deadline", "job_max_rescues"])
@pytest.mark.parametrize("value", [-1, float("inf"), "soon", timedelta.max, 2**40])
def test_limits_that_are_none_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"Task refused has {name}=.*, but it must be a"):
        declare(**{name: value})


def test_limits_that_are_some_are_taken() -> None:
    declare(job_no_progress=0.5, job_deadline=timedelta(days=1), job_max_rescues=0)


def test_a_switch_that_is_none_is_off() -> None:
    class Task(JobTask):
        job_keep_partial = None  # type: ignore[assignment]
        acks_late = None

    runtime: Any = SimpleNamespace(settings=Settings(database_url="unused"))
    policy = declared_policy(runtime, Task())
    assert (policy.keep_partial, policy.idempotent) == (False, False)
