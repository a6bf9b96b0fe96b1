"""The sweeper of an empty database."""

from collections.abc import Callable

import psycopg
import pytest

from jobstate import JobService
from jobstate.store import Store
from tests.sweeping.scene import Scene


@pytest.fixture
def jobs_url(emptied_url: str) -> str:
    """The database that these tests use in turn."""
    return emptied_url


@pytest.fixture
def store(service: JobService) -> Store:
    """The blocking store below `service`."""
    return service.store


@pytest.fixture
def scene(store: Store, connect: Callable[[], psycopg.Connection]) -> Scene:
    """A sweeper with the default settings."""
    return Scene(store, connect())
