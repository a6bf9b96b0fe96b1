"""One web app and one worker, for all tests of the example."""

from collections.abc import Iterator

import httpx
import pytest

from jobstate import JobService
from tests.example.site import Site, open_site


@pytest.fixture(scope="session")
def site(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example."""
    with open_site(postgres_url, tmp_path_factory.mktemp("example")) as site:
        yield site


@pytest.fixture
def jobs(site: Site) -> JobService:
    """The jobs of the example."""
    return site.jobs


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """A client of ada's, which follows no redirect."""
    with httpx.Client(base_url=site.url, timeout=30) as client:
        yield client
