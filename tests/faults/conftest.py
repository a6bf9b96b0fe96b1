"""Sites whose workers and servers are ended in every way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobstate import Settings
from jobstate.embedded import Postgres, Redis
from jobstate.store.migrations import apply
from tests.faults.site import FaultySite
from tests.worker.conftest import new_database


@pytest.fixture(scope="session")
def faulty_broker_url() -> Iterator[str]:
    """A Redis that may be flushed."""
    with Redis() as server:
        yield server.url


@pytest.fixture
def faulty(
    postgres_url: str, _template: str, faulty_broker_url: str, tmp_path: Path
) -> Iterator[FaultySite]:
    """A site without a worker yet; beside `lasting`, it has a Redis database of its own."""
    broker_url = f"{faulty_broker_url.rpartition('/')[0]}/1"
    with (
        new_database(postgres_url, _template) as database_url,
        FaultySite(tmp_path, database_url, broker_url) as site,
    ):
        yield site


@pytest.fixture(scope="module")
def lasting(
    postgres_url: str,
    _template: str,
    faulty_broker_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FaultySite]:
    """A site with one worker, for tests that leave its main process alone."""
    with (
        new_database(postgres_url, _template) as database_url,
        FaultySite(tmp_path_factory.mktemp("worker"), database_url, faulty_broker_url) as site,
    ):
        site.start()
        yield site
        assert site.worker is not None
        assert site.worker.shut_down() == 0, site.worker.log
        assert "stumbled" not in site.worker.log


@pytest.fixture
def broker() -> Iterator[Redis]:
    """A Redis of the test's own."""
    with Redis() as server:
        yield server


@pytest.fixture
def with_own_broker(
    postgres_url: str, _template: str, broker: Redis, faulty_broker_url: str, tmp_path: Path
) -> Iterator[FaultySite]:
    """A site without a worker yet, whose broker is `broker`; its gates are elsewhere."""
    with (
        new_database(postgres_url, _template) as database_url,
        FaultySite(tmp_path, database_url, broker.url, gates_url=faulty_broker_url) as site,
    ):
        yield site


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A Postgres of the test's own, with the tables of jobstate."""
    with Postgres(settings={"fsync": "off"}) as server:
        apply(Settings.for_database(server.url))
        yield server
