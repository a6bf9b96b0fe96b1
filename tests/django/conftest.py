"""Django in the tests' own process, and the example project in processes of its own."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

import jobstate
from tests.djangos import django_connection
from tests.examples import examples

__all__ = ["examples"]

SYSTEM_USER = uuid4()


@pytest.fixture
def connection(jobs_url: str) -> Iterator[Any]:
    """One of Django's connections."""
    with django_connection(jobs_url) as connection:
        yield connection


@pytest.fixture
def app(jobs_url: str, broker_url: str) -> Iterator[Celery]:
    """An app whose database is the one of `connection`."""
    app = Celery("shop", broker=broker_url, set_as_current=False)
    app.conf.update(jobstate_database_url=jobs_url, jobstate_system_user_id=str(SYSTEM_USER))
    jobs = jobstate.install(app)
    yield app
    jobs.service.close()
    app.close()
