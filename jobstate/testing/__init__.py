"""A pytest plugin for tests of your own tasks: ``pytest_plugins = ["jobstate.testing"]``.

A throw-away Postgres, your app on trial with a broker in memory, and what to assert.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobstate.celery import JobState
from jobstate.celery.trial import new_app, on_trial
from jobstate.embedded import Postgres
from jobstate.settings import Settings
from jobstate.store.migrations import UserIdType, apply
from jobstate.testing import trial
from jobstate.testing.chaos import kill_at_every_write
from jobstate.testing.trial import assert_enqueued, assert_lands, drain

__all__ = ["assert_enqueued", "assert_lands", "drain", "kill_at_every_write"]

QUICK = {"jobstate_sweep_interval": 0.1, "jobstate_publish_grace": 0.1, "jobstate_lost_grace": 0.1}
"""What a test need not wait for."""


@pytest.fixture(scope="session")
def jobstate_postgres_url() -> Iterator[str]:
    """The URL of a Postgres that ends with the tests. Override it to use one of your own."""
    # Without fsync, which only a power cut would miss.
    with Postgres(settings={"fsync": "off"}) as server:
        yield server.url


@pytest.fixture(scope="session")
def jobstate_user_id_type() -> UserIdType:
    """The type of your users' ids. Override it with what you gave to `jobstate migrate`."""
    return "uuid"


@pytest.fixture(scope="session")
def jobstate_celery_app() -> Any:
    """The app on trial. Override it with your own."""
    return new_app()


@pytest.fixture(scope="session")
def jobstate_database_url(
    jobstate_postgres_url: str,
    jobstate_user_id_type: UserIdType,
    jobstate_celery_app: Any,
) -> str:
    """The URL of a database that has the tables."""
    url = {"jobstate_database_url": jobstate_postgres_url}
    apply(Settings.load({**jobstate_celery_app.conf, **url}), user_id_type=jobstate_user_id_type)
    return jobstate_postgres_url


@pytest.fixture
def jobstate_app(
    jobstate_celery_app: Any, jobstate_database_url: str, tmp_path: Path
) -> Iterator[JobState]:
    """Your app, as `jobstate.install` returns it, without any job.

    It has the throw-away database, a broker in memory, and a folder for the files.
    """
    own = {
        "jobstate_database_url": jobstate_database_url,
        "jobstate_storage_url": (tmp_path / "assets").as_uri(),
    }
    settings = Settings.load({**jobstate_celery_app.conf, **QUICK, **own})
    with on_trial(jobstate_celery_app, settings) as jobs:
        jobs.service.store.run(trial.empty_tables())
        trial.begin(jobs)
        yield jobs
        trial.end()
