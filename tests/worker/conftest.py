"""Sites with a real worker each, on a database and a broker of their own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests import rabbitmq
from tests.worker.database import Execute, execute_on, new_database
from tests.worker.pools import ALL_POOLS
from tests.worker.process import WorkerProcess
from tests.worker.site import OpenSite, Site

collect_ignore = [] if rabbitmq.is_available() else ["test_confirms.py"]


@pytest.fixture(scope="session")
def open_site(
    postgres_url: str, redis_url: str, _template: str, tmp_path_factory: pytest.TempPathFactory
) -> OpenSite:
    """Open sites: `open_site(pool, *arguments, **conf)`; without a pool, there is no worker.

    The database is a new one unless its URL is given.
    """
    # Database 0 is what the fixture `broker_url` empties.
    redis_databases = list(range(1, 16))

    @contextmanager
    def open_one(
        pool: str | None = None, *arguments: str, database_url: str | None = None, **conf: Any
    ) -> Iterator[Site]:
        log = tmp_path_factory.mktemp("worker") / "worker.log"
        with ExitStack() as opened:
            number = redis_databases.pop()
            opened.callback(redis_databases.append, number)
            broker_url = f"{redis_url.rpartition('/')[0]}/{number}"
            url = database_url or opened.enter_context(new_database(postgres_url, _template))
            site = opened.enter_context(Site(url, broker_url, **conf))
            site.redis.flushdb()
            if pool is not None:
                site.worker = WorkerProcess(log, pool, site.conf, arguments)
                opened.enter_context(site.worker).ready()
            yield site

    return open_one


@pytest.fixture(scope="session", params=ALL_POOLS)
def shared_site(request: pytest.FixtureRequest, open_site: OpenSite) -> Iterator[Site]:
    """A worker of each pool, shared by all tests that only enqueue jobs."""
    with open_site(request.param) as site:
        yield site
        check_the_end(site)


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The shared worker, which must be alive still."""
    assert shared_site.worker is not None
    assert shared_site.worker.alive, shared_site.worker.log
    return shared_site


@pytest.fixture
def quiet_site(open_site: OpenSite) -> Iterator[Site]:
    """A site without a worker."""
    with open_site() as site:
        yield site


@pytest.fixture
def execute(site: Site) -> Iterator[Execute]:
    """Speak to the database of `site`."""
    with execute_on(site) as execute:
        yield execute


def check_the_end(site: Site) -> None:
    """After a warm shutdown: no handler stumbled, and every job that landed did so once."""
    assert site.worker is not None
    assert site.worker.shut_down() == 0, site.worker.log
    stumbled = [line for line in site.worker.log.splitlines() if "jobstate could not" in line]
    assert stumbled == []
    with execute_on(site) as execute:
        twice = (
            "select job_id from jobstate.job_events where to_status not in ('queued', 'processing')"
            " group by job_id having count(*) > 1"
        )
        assert execute(twice) == []
        assert execute("select id, task_name from jobstate.jobs where worker_id is not null") == []
        assert execute("select id from jobstate.workers where dead_at is null") == []


@pytest.fixture
def late(open_site: OpenSite) -> Iterator[Site]:
    """A site without a worker, where a note waits until a test has it written."""
    with open_site(jobstate_publish_grace=100_000) as site:
        yield site
