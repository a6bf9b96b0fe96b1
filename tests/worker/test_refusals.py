"""What a task may not declare, because its runs would end past their jobs."""

from typing import Any

import pytest
from celery import Celery

from jobstate import ConfigurationError, JobTask
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
