"""Workers of every pool, and the table of what became of their jobs.

`--fates-table` writes docs/lifecycle.md; `--pools gevent` runs another pool than the usual ones.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any

import pytest

from jobstate.embedded import Redis
from tests import rabbitmq
from tests.fates import table
from tests.fates.fate import RABBITMQ, Fate, pool_of
from tests.fates.site import FateSite, Lands
from tests.worker.conftest import check_the_end
from tests.worker.database import new_database

POOLS = "prefork,threads,solo"

OpenFates = Callable[..., AbstractContextManager[FateSite]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--pools", default=POOLS, help="the pools whose fates are tested")
    parser.addoption(
        "--fates-table", action="store_true", help="write the table in docs/lifecycle.md"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect what was seen, where the tests' reports come together."""
    if _writes_table(config) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a fate on each pool where it can happen."""
    if "column" in metafunc.fixturenames:
        columns = _columns(metafunc.config, metafunc.function.fate)
        metafunc.parametrize("column", columns, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the fates that cannot happen on any of the pools."""
    fates = {item: getattr(getattr(item, "function", None), "fate", None) for item in items}
    out = [item for item, fate in fates.items() if fate and not _columns(config, fate)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


@pytest.fixture(scope="session")
def column(request: pytest.FixtureRequest) -> str:
    """The column of the table: a pool, and its broker."""
    name: str = request.param
    return name


@pytest.fixture
def lands(
    request: pytest.FixtureRequest,
    column: str,
    record_property: Callable[[str, object], None],
) -> Lands:
    """Check and record the landing of the job of this fate."""
    fate: Fate = request.function.fate
    said = None
    if not _writes_table(request.config):
        said = _committed().get((fate.name, column), "nothing, ")
    return Lands(fate, column, said, record_property)


@pytest.fixture(scope="session")
def gates_url() -> Iterator[str]:
    """A Redis of the fates' own: database 0 is for gates and results, the rest are brokers."""
    with Redis() as server:
        yield server.url


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    """A RabbitMQ node."""
    with rabbitmq.rabbitmq_url() as url:
        yield url


@pytest.fixture(scope="session")
def open_fates(
    request: pytest.FixtureRequest,
    postgres_url: str,
    _template: str,
    gates_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> OpenFates:
    """Open sites: `open_fates(column, **conf)`; a worker comes with `boot`."""
    numbers = iter(range(10_000))
    free = list(range(1, 16))

    @contextmanager
    def open_one(column: str, **conf: Any) -> Iterator[FateSite]:
        with ExitStack() as opened:
            urls = {
                "database_url": opened.enter_context(new_database(postgres_url, _template)),
                "gates_url": gates_url,
            }
            if column == RABBITMQ:
                urls["broker_url"] = request.getfixturevalue("amqp_url")
                own = _own_queues(f"fates-{next(numbers)}")
            else:
                number = free.pop()
                opened.callback(free.append, number)
                urls["broker_url"] = f"{gates_url.rpartition('/')[0]}/{number}"
                own = {}
            folder = tmp_path_factory.mktemp("worker")
            site = opened.enter_context(FateSite(folder, column, urls, **{**own, **conf}))
            _forget_messages(site)
            yield site

    return open_one


@pytest.fixture(scope="session")
def lasting_sites(open_fates: OpenFates) -> Iterator[Callable[[str], FateSite]]:
    """A worker of each pool for all fates that leave its main process alive."""
    opened: dict[str, FateSite] = {}
    with ExitStack() as until_the_end:

        def find(column: str) -> FateSite:
            if column not in opened:
                opened[column] = until_the_end.enter_context(open_fates(column))
                opened[column].boot()
            return opened[column]

        yield find
        for site in opened.values():
            check_the_end(site)
            assert "stumbled" not in site.workers[0].log


@pytest.fixture
def shared(column: str, lasting_sites: Callable[[str], FateSite]) -> FateSite:
    """The one of this pool, which must be alive still."""
    site = lasting_sites(column)
    assert site.workers[0].alive, site.workers[0].log
    site.struck_at = None
    return site


@pytest.fixture
def own(column: str, open_fates: OpenFates) -> Iterator[FateSite]:
    """A site without a worker yet."""
    with open_fates(column) as site:
        yield site


class _Writer:
    """Writes the table when all tests have ended."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test has seen, from whichever process it ran in."""
        if report.when == "call" and report.passed:
            for name, seen in report.user_properties:
                if name == "fate":
                    fate, column, cell = seen  # type: ignore[misc]
                    self._seen[fate, column] = cell

    def pytest_sessionfinish(self) -> None:
        """Write."""
        table.write(self._seen)


def _writes_table(config: pytest.Config) -> bool:
    return bool(config.getoption("fates_table", default=False))


def _columns(config: pytest.Config, fate: Fate) -> list[str]:
    pools = config.getoption("pools", default=POOLS).split(",")
    return [
        column
        for column in fate.columns
        if pool_of(column) in pools and (column != RABBITMQ or rabbitmq.is_available())
    ]


def _own_queues(name: str) -> dict[str, Any]:
    """Share a node with others, and none of its queues and exchanges."""
    return {
        "task_default_queue": name,
        "control_exchange": f"{name}-control",
        "event_exchange": f"{name}-events",
        "broker_transport_options": {},
    }


def _forget_messages(site: FateSite) -> None:
    with site.app.connection_for_write() as connection, connection.channel() as channel:
        if connection.transport.driver_type == "redis":
            channel.client.flushdb()


@cache
def _committed() -> table.Cells:
    return table.committed()
