"""Enqueueing from an event loop: with the connections of asyncio, and blocking nobody."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session

from jobstate import ConfigurationError, Job, JobNotFound, OwnerRequired
from tests.proxy import Link, Proxy
from tests.worker.process import PATIENCE, eventually
from tests.worker.site import OpenSite, Site, published

NAME = "shop.tasks.export"
"""A task whose code is not here."""


@pytest.fixture
async def engine(quiet_site: Site) -> AsyncIterator[AsyncEngine]:
    """The engine of a web application."""
    engine = create_async_engine(quiet_site.conf["database_url"])
    yield engine
    await engine.dispose()
    await quiet_site.jobs.aio.close()


async def aenqueue(site: Site, connection: object = None, **options: Any) -> Job:
    """Enqueue a task by its name, without blocking the loop."""
    return await site.jobs.aenqueue(
        NAME, (7,), user_id=site.user_id, connection=connection, **options
    )


async def soon(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    await asyncio.to_thread(eventually, condition, "it")


@pytest.mark.usefixtures("engine")
async def test_aenqueue_does_what_enqueue_does(quiet_site: Site) -> None:
    task = quiet_site.task("returns")
    job = await quiet_site.jobs.aenqueue(task, (7,), user_id=quiet_site.user_id, countdown=30)
    assert (job.job_type, job.parameters, job.queue) == (task.name, {"value": 7}, "celery")
    assert job.eta is not None
    assert published(quiet_site) == [str(job.id)]
    await soon(lambda: quiet_site.read(job).publishes == 1)
    again = await aenqueue(quiet_site, idempotency_key="order 7", job_type="export")
    assert (again.task_name, again.job_type, again.parameters) == (NAME, "export", {"args": [7]})
    assert await aenqueue(quiet_site, idempotency_key="order 7", job_type="export") == (
        await quiet_site.jobs.aio.get_job_internal(again.id)
    )
    assert published(quiet_site) == [str(job.id), str(again.id)]
    with pytest.raises(OwnerRequired):
        await quiet_site.jobs.aenqueue(NAME, user_id=None)


async def test_an_async_session_publishes_after_its_commit(
    quiet_site: Site, engine: AsyncEngine
) -> None:
    async with AsyncSession(engine) as session:
        await aenqueue(quiet_site, session)
        await session.rollback()
        kept = await aenqueue(quiet_site, session)
        async with session.begin_nested() as savepoint:
            await aenqueue(quiet_site, session)
            await savepoint.rollback()
        with pytest.raises(JobNotFound):
            quiet_site.read(kept)
        await session.commit()
        await soon(lambda: published(quiet_site))
    assert published(quiet_site) == [str(kept.id)]


async def test_a_session_of_this_task_is_a_session(quiet_site: Site, engine: AsyncEngine) -> None:
    scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
    job = await aenqueue(quiet_site, scoped)
    await scoped.commit()
    await soon(lambda: published(quiet_site) == [str(job.id)])
    await scoped.remove()


async def test_an_async_connection_publishes_once_it_is_closed(
    quiet_site: Site, engine: AsyncEngine
) -> None:
    async with engine.connect() as connection:
        await aenqueue(quiet_site, connection)
        await connection.rollback()
    async with engine.begin() as connection:
        job = await aenqueue(quiet_site, connection)
        assert published(quiet_site) == []
    await soon(lambda: published(quiet_site))
    assert published(quiet_site) == [str(job.id)]


@pytest.mark.usefixtures("engine")
async def test_an_async_connection_of_the_driver_is_published_by_who_commits(
    quiet_site: Site,
) -> None:
    url = quiet_site.conf["database_url"].replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        job = await aenqueue(quiet_site, connection)
        await connection.commit()
        assert published(quiet_site) == []
        assert await quiet_site.jobs.apublish(job) is True
        assert await quiet_site.jobs.apublish(job) is False
        await connection.set_autocommit(True)
        at_once = await aenqueue(quiet_site, connection)
        await soon(lambda: published(quiet_site) == [str(job.id), str(at_once.id)])


async def test_a_connection_that_blocks_is_refused(quiet_site: Site) -> None:
    with (
        Session(create_engine(quiet_site.conf["database_url"])) as session,
        pytest.raises(ConfigurationError, match="connection= is a Session: nothing may block"),
    ):
        await aenqueue(quiet_site, session)


async def test_the_event_loop_goes_on_while_the_broker_keeps_its_answer(
    open_site: OpenSite,
) -> None:
    """Were the loop blocked, nobody would heal the link."""
    with open_site() as behind, Proxy(behind.conf["broker_url"]) as link:
        database_url = behind.conf["database_url"]
        with Site(database_url, link.url, jobstate_publish_timeout=PATIENCE) as site:
            await aenqueue(site)
            link.go_down(Link.FROZEN)
            enqueueing = asyncio.create_task(aenqueue(site))
            await soon(lambda: len(all_ids(behind)) == 2)
            engine = create_async_engine(database_url)
            async with AsyncSession(engine) as session:
                await aenqueue(site, session)
                await session.commit()
            await engine.dispose()
            assert len(published(behind)) == 1
            assert not enqueueing.done()
            link.heal()
            await enqueueing
            await soon(lambda: len(published(behind)) == 3)
            await site.jobs.aio.close()


async def test_the_event_loop_goes_on_while_another_transaction_has_the_key(
    quiet_site: Site, engine: AsyncEngine
) -> None:
    """Of two writers of one key, the second waits for the first, and gets its job."""
    async with AsyncSession(engine) as session:
        first = await aenqueue(quiet_site, session, idempotency_key="order 7")
        waiting = asyncio.create_task(aenqueue(quiet_site, idempotency_key="order 7"))
        await soon(lambda: is_waiting(quiet_site))
        assert not waiting.done()
        await session.commit()
        assert (await waiting).id == first.id
    await soon(lambda: published(quiet_site) == [str(first.id)])


def test_each_event_loop_of_a_process_may_enqueue(quiet_site: Site) -> None:
    async def enqueue_some() -> list[Job]:
        return await asyncio.gather(*(aenqueue(quiet_site) for _ in range(8)))

    for _ in range(3):
        asyncio.run(enqueue_some())
    assert len(published(quiet_site)) == 24


def all_ids(site: Site) -> list[UUID]:
    """Return the ids of all jobs that are committed."""
    with psycopg.connect(site.conf["database_url"].replace("+psycopg", "")) as connection:
        return [row[0] for row in connection.execute("select id from jobstate.jobs")]


def is_waiting(site: Site) -> bool:
    """Tell whether a statement waits for a lock."""
    with psycopg.connect(site.conf["database_url"].replace("+psycopg", "")) as connection:
        asked = "select exists (select from pg_locks where not granted)"
        return bool(connection.execute(asked).fetchone()[0])  # type: ignore[index]


async def test_the_asyncio_service_of_an_app_publishes_what_was_not(open_site: OpenSite) -> None:
    with (
        open_site(jobstate_publish_grace=0.01) as site,
        psycopg.connect(site.conf["database_url"].replace("+psycopg", "")) as connection,
    ):
        job = site.enqueue_with("returns", connection=connection)
        connection.commit()
        assert published(site) == []
        deadline = time.monotonic() + PATIENCE
        while not (await site.jobs.aio.sweep()).published:
            assert time.monotonic() < deadline, "it was never due"
        assert published(site) == [str(job.id)]
