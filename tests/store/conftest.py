"""The store of an empty database, and what its callers bring along."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, create_engine

from jobstate import JobService, Settings
from jobstate.store import Store


@pytest.fixture
def jobs_url(emptied_url: str) -> str:
    """The database that these tests use in turn."""
    return emptied_url


@pytest.fixture
def store(service: JobService) -> Store:
    """The blocking store below `service`."""
    return service.store


@pytest.fixture
def crowd(jobs_url: str) -> Iterator[JobService]:
    """A service whose pool has a connection for everybody."""
    conf = {"jobstate_database_url": jobs_url, "jobstate_pool_size": 20}
    service = JobService.from_settings(Settings.load(conf))
    yield service
    service.close()


@pytest.fixture
def engine(jobs_url: str) -> Iterator[Engine]:
    """The caller's own engine."""
    engine = create_engine(jobs_url)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to `database_url`, a database without any tables."""
    url = database_url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
