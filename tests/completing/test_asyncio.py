"""The same in bodies that run an event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from jobstate import ConfigurationError, CurrentJob, LeaseLost
from tests.completing.bodies import Undone, undo
from tests.completing.conftest import BodySite

Begin = Callable[[], AbstractAsyncContextManager[Any]]

INSERT = "insert into orders values (1)"


@pytest.fixture(params=["AsyncSession", "AsyncConnection", "psycopg"])
def begin(request: pytest.FixtureRequest, site: BodySite) -> Begin:
    """Begin a transaction, with a connection of each kind."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        if request.param == "psycopg":
            async with await psycopg.AsyncConnection.connect(site.plain_url) as connection:
                yield connection
            return
        engine = create_async_engine(str(site.conf["database_url"]))
        one = AsyncSession(engine) if request.param == "AsyncSession" else engine.connect()
        async with one as connection, connection.begin():
            yield connection
        await engine.dispose()

    return opened


async def order(connection: Any) -> None:
    if isinstance(connection, AsyncSession):
        connection = await connection.connection()
    if isinstance(connection, psycopg.AsyncConnection):
        await connection.execute(INSERT)
    else:
        await connection.exec_driver_sql(INSERT)


def test_it_commits_with_the_transaction_or_not_at_all(site: BodySite, begin: Begin) -> None:
    async def work(job: CurrentJob) -> None:
        for number in (1, 2):
            with suppress(Undone):
                async with begin() as connection:
                    await order(connection)
                    await job.acomplete_in(connection, number)
                    if number == 1:
                        undo()
            assert site.read(job.id).is_terminal is (number == 2)

    job = site.completed(site.run(lambda job: asyncio.run(work(job))))
    assert job.result == 2
    assert site.orders() == 1


def test_a_transaction_that_outlives_its_event_loop_is_rolled_back(site: BodySite) -> None:
    kept: list[Any] = []

    async def work(job: CurrentJob) -> None:
        connection = await psycopg.AsyncConnection.connect(site.plain_url)
        kept.append(connection)
        await order(connection)
        await job.acomplete_in(connection)

    job = site.failed(site.run(lambda job: asyncio.run(work(job))), "exception", "Job ")
    assert "is still open" in str(job.error_message)
    assert site.orders() == 0
    kept.pop().pgconn.finish()


def test_a_superseded_attempt_hears_of_it(site: BodySite, begin: Begin) -> None:
    async def work(job: CurrentJob) -> None:
        with psycopg.connect(site.plain_url, autocommit=True) as other:
            other.execute("update jobstate.jobs set attempt = 2 where id = %s", [job.id])
        async with begin() as connection:
            await order(connection)
            with pytest.raises(LeaseLost):
                await job.acomplete_in(connection)
            raise LeaseLost(job.id, 1)

    assert site.run(lambda job: asyncio.run(work(job))).attempt == 2
    assert site.orders() == 0


def test_a_connection_that_is_awaited_is_refused_where_nobody_awaits_it(site: BodySite) -> None:
    async def work(job: CurrentJob) -> None:
        async with await psycopg.AsyncConnection.connect(site.plain_url) as connection:
            with pytest.raises(ConfigurationError, match=r"Await .*acomplete_in"):
                job.complete_in(connection)

    site.completed(site.run(lambda job: asyncio.run(work(job))))
