"""Sites with the tasks of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edges.site import EdgeSite
from tests.faults.conftest import faulty_broker_url
from tests.worker.conftest import new_database

__all__ = ["faulty_broker_url"]


@pytest.fixture
def edge(
    postgres_url: str, _template: str, faulty_broker_url: str, tmp_path: Path
) -> Iterator[EdgeSite]:
    """A site without a worker yet."""
    broker_url = f"{faulty_broker_url.rpartition('/')[0]}/2"
    with (
        new_database(postgres_url, _template) as database_url,
        EdgeSite(tmp_path, database_url, broker_url) as site,
    ):
        site.redis.flushdb()
        yield site
