"""A real Flower beside a real worker, on one broker and one database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from jobstate.embedded import Redis
from tests.flower.server import FlowerProcess
from tests.worker.database import new_database
from tests.worker.process import WorkerProcess, eventually
from tests.worker.site import OpenSite, Site

OpenFlower = Callable[..., AbstractContextManager[FlowerProcess]]


@pytest.fixture(scope="session")
def open_watched(
    postgres_url: str, _template: str, tmp_path_factory: pytest.TempPathFactory
) -> OpenSite:
    """Open sites with a worker, and with a broker of their own: `open_watched(**conf)`."""

    @contextmanager
    def open_one(**conf: Any) -> Iterator[Site]:
        log = tmp_path_factory.mktemp("worker") / "worker.log"
        with (
            Redis() as broker,
            new_database(postgres_url, _template) as database_url,
            Site(database_url, broker.url, **conf) as site,
            WorkerProcess(log, "prefork", site.conf) as worker,
        ):
            site.worker = worker.ready()
            yield site

    return open_one


@pytest.fixture(scope="session")
def open_flower(tmp_path_factory: pytest.TempPathFactory) -> OpenFlower:
    """Start a Flower for a site's app: `open_flower(site, refresh=0.2)`, and other settings."""

    def open_one(site: Site, *, refresh: float, **conf: object) -> FlowerProcess:
        return FlowerProcess(tmp_path_factory.mktemp("flower"), {**site.conf, **conf}, refresh)

    return open_one


@pytest.fixture(scope="session")
def site(open_watched: OpenSite) -> Iterator[Site]:
    """A worker that nobody has told to send events: Flower does."""
    with open_watched() as site:
        yield site


@pytest.fixture(scope="session")
def flower(site: Site, open_flower: OpenFlower) -> Iterator[FlowerProcess]:
    """A Flower that reads the table once, at its start: of all else it must be told."""
    before = site.completed(site.enqueue("returns"))
    with open_flower(site, refresh=3600) as flower:
        flower.shows(before.id, lambda task: task["job_status"] == "completed")
        eventually(lambda: flower.task(site.enqueue("returns").id).get("owner"), "events")
        yield flower
