"""The plugin's fixtures, on this run's own Postgres."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery

import jobstate
from jobstate.testing import jobstate_app, jobstate_database_url, jobstate_user_id_type
from tests.worker.database import new_database

__all__ = ["jobstate_app", "jobstate_database_url", "jobstate_user_id_type"]


@pytest.fixture(scope="session")
def jobstate_postgres_url(postgres_url: str) -> Iterator[str]:
    """A database of its own."""
    with new_database(postgres_url, "template1") as url:
        yield url


@pytest.fixture(scope="session")
def jobstate_celery_app() -> Iterator[Celery]:
    """An app with tasks that end in different ways."""
    app = Celery("trial", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.jobstate_database_url = "postgresql+psycopg://127.0.0.1:1/nowhere"
    jobstate.install(app)
    declare(app)
    yield app
    app.close()


def adds(_: Any, one: int, two: int) -> int:
    return one + two


def raises(_: Any) -> None:
    raise ValueError("No such thing")


def retries(self: Any) -> int:
    if self.request.retries < 2:
        raise self.retry(countdown=30)
    return int(self.job.attempt)


def goes_on(self: Any) -> None:
    raise self.retry(countdown=0)


def saves(self: Any) -> None:
    self.job.save_asset("csv", b"1", name="one.csv")


def litters(self: Any) -> None:
    jobs = jobstate.install(self.app)
    folder = jobs.settings.storage_url.removeprefix("file://")
    asset = self.job.save_asset("csv", b"1", name="one.csv")
    with open(f"{folder}/{asset.storage_path}.more", "w") as out:  # noqa: PTH123
        out.write("2")


def exits(_: Any) -> None:
    os._exit(3)


def kills_itself(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


TASKS: dict[Callable[..., Any], dict[str, Any]] = {
    adds: {},
    raises: {},
    retries: {"max_retries": 2},
    goes_on: {"max_retries": None},
    saves: {"acks_late": True},
    litters: {"acks_late": True},
    exits: {},
    kills_itself: {},
}


def declare(app: Celery) -> None:
    """Make the tasks."""
    for body, options in TASKS.items():
        app.task(
            name=f"trial.{body.__name__}",
            base=jobstate.JobTask,
            bind=True,
            shared=False,
            **options,
        )(body)


@pytest.fixture
def tasks(jobstate_celery_app: Celery) -> Any:
    """The tasks by their names."""

    class Tasks:
        def __getattr__(self, name: str) -> jobstate.JobTask:
            found: jobstate.JobTask = jobstate_celery_app.tasks[f"trial.{name}"]
            return found

    return Tasks()
