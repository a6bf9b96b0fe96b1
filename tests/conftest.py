"""What every test may use: real servers of this run's own, and a fresh database for each test.

`JOBSTATE_TEST_DATABASE_URL` and `JOBSTATE_TEST_BROKER_URL` point the tests at other servers;
`JOBSTATE_TEST_AMQP_URL` names a RabbitMQ where `rabbitmq-server` is not installed.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from hypothesis import settings
from psycopg import sql

from jobstate import AsyncJobService, Job, JobService, JobStatus, Settings
from jobstate.embedded import Postgres, Redis
from jobstate.store.migrations import apply
from tests import browser, distribution, rabbitmq
from tests.faults import pgbouncer
from tests.forks import let_children_run
from tests.worker.nursery import end_nursery

PROGRAMS = {
    "docs/test_browser.py": browser.PROGRAM,
    "example/test_accessibility.py": browser.PROGRAM,
    "example/test_browser.py": browser.PROGRAM,
    "faults/test_pgbouncer.py": pgbouncer.PROGRAM,
    "flower/test_page.py": browser.PROGRAM,
}
"""What no wheel has, and the tests that need it."""

collect_ignore = [name for name, path in PROGRAMS.items() if not path.exists()]

# A property holds however slow the machine is.
settings.register_profile("jobstate", deadline=None)
settings.load_profile("jobstate")


def pytest_configure() -> None:
    """Have what the tests start heed Ctrl-C, though the tests were started in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    let_children_run()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that wait for long."""
    items[:] = distribution.in_order(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep together what shares workers."""
    return distribution.make_scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """End what workers are forked from, so that nothing is written after the tests."""
    end_nursery()


def pytest_report_header() -> list[str]:
    """Name what is not tested here; `.ci/run` installs what it takes."""
    lines = [f"left out: tests/{name}, which needs {PROGRAMS[name]}" for name in collect_ignore]
    if not rabbitmq.is_available():
        lines.append("left out: fates and confirms with RabbitMQ, which need rabbitmq-server")
    return lines


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A Postgres for this run; without fsync, which only a power cut would miss."""
    if given := os.environ.get("JOBSTATE_TEST_DATABASE_URL"):
        yield given
        return
    with Postgres(settings={"fsync": "off", "max_connections": "200"}) as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis for this run."""
    if given := os.environ.get("JOBSTATE_TEST_BROKER_URL"):
        yield given
        return
    with Redis() as server:
        yield server.url


@pytest.fixture
def broker_url(redis_url: str) -> str:
    """An empty Redis database."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return redis_url


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty database."""
    with _database(postgres_url, "template1") as url:
        yield url


@pytest.fixture(scope="session")
def _template(postgres_url: str) -> Iterator[str]:
    with _database(postgres_url, "template1") as url:
        apply(Settings.for_database(url))
        yield url.rpartition("/")[2]


@pytest.fixture
def jobs_url(postgres_url: str, _template: str) -> Iterator[str]:
    """A database with the tables of jobstate, and user ids of type uuid."""
    with _database(postgres_url, _template) as url:
        yield url


@pytest.fixture(scope="session")
def _lasting_url(postgres_url: str, _template: str) -> Iterator[str]:
    with _database(postgres_url, _template) as url:
        yield url


@pytest.fixture
def emptied_url(_lasting_url: str) -> str:
    """Like `jobs_url`, and ten times faster: a database that tests use in turn, emptied.

    For tests that leave its schema as it is.
    """
    with psycopg.connect(_plain(_lasting_url), autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        for table in ("jobs", "workers", "sweeps"):
            statement = sql.SQL("delete from jobstate.{}").format(sql.Identifier(table))
            connection.execute(statement)
    return _lasting_url


@pytest.fixture
def service(jobs_url: str) -> Iterator[JobService]:
    """The blocking service on a fresh database."""
    service = JobService(jobs_url)
    yield service
    service.close()


@pytest.fixture
async def aio(jobs_url: str) -> AsyncIterator[AsyncJobService]:
    """The asyncio service on the same database as `service`."""
    service = AsyncJobService(jobs_url)
    yield service
    await service.close()


@pytest.fixture
def user_id() -> UUID:
    """Somebody."""
    return uuid4()


@pytest.fixture
def job_in(service: JobService, user_id: UUID) -> Callable[[JobStatus | str], Job]:
    """Make a job that is in a status."""

    def make(status: JobStatus | str) -> Job:
        job = service.create_job(user_id, "report", {"year": 2026})
        if status != JobStatus.QUEUED:
            job = service.transition_status(job.id, JobStatus.PROCESSING)
        if status not in (JobStatus.QUEUED, JobStatus.PROCESSING):
            job = service.transition_status(job.id, status)
        return job

    return make


@pytest.fixture
def connect(jobs_url: str) -> Iterator[Callable[[], psycopg.Connection]]:
    """Open plain connections to the database of `service`, as psql would."""
    opened: list[psycopg.Connection] = []

    def open_one() -> psycopg.Connection:
        connection = psycopg.connect(_plain(jobs_url), autocommit=True)
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


class _database:  # noqa: N801 - used like a function
    """A database of its own, dropped at the end."""

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url = server_url
        self._template = template
        self._name = f"test_{uuid4().hex}"

    def __enter__(self) -> str:
        self._execute("create database {} template {}", self._name, self._template)
        return f"{self._server_url.rpartition('/')[0]}/{self._name}"

    def __exit__(self, *_: object) -> None:
        self._execute("drop database {} with (force)", self._name)

    def _execute(self, statement: str, *names: str) -> None:
        composed = sql.SQL(statement).format(*map(sql.Identifier, names))
        with psycopg.connect(_plain(self._server_url), autocommit=True) as connection:
            connection.execute(composed)
