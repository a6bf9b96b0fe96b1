"""Whose connections are used, in which state they are left, and what survives their loss."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from jobstate import (
    AsyncJobService,
    ConfigurationError,
    InvalidStateTransitionError,
    JobService,
    JobStatus,
    Settings,
    StoreUnavailable,
)
from jobstate.store import Store, driver_connection
from tests.factories import PATIENCE, eventually, waits_for_a_lock

Connect = Callable[[], psycopg.Connection]


@pytest.fixture
def engine(jobs_url: str) -> Iterator[Engine]:
    """The caller's own engine, with one connection."""
    engine = create_engine(jobs_url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    yield engine
    engine.dispose()


@pytest.fixture
async def async_engine(jobs_url: str) -> AsyncIterator[AsyncEngine]:
    """The caller's own asyncio engine, with one connection."""
    engine = create_async_engine(jobs_url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    yield engine
    await engine.dispose()


def prepared(store: Store) -> int:
    """Count the statements that the store's only connection has prepared and not dropped."""
    pooled = store.engine.raw_connection()
    row = pooled.cursor().execute("select count(*) from pg_prepared_statements").fetchone()
    pooled.close()
    return int(row[0])


@pytest.mark.parametrize(("threshold", "expected"), [(None, 0), (0, 3), (50, 0)])
def test_statements_are_prepared_as_the_setting_says(
    jobs_url: str, user_id: UUID, threshold: int | None, expected: int
) -> None:
    settings = Settings.load(
        {
            "jobstate_database_url": jobs_url,
            "jobstate_prepare_threshold": threshold,
            "jobstate_pool_size": 1,
        }
    )
    service = JobService.from_settings(settings)
    for _ in range(20):
        job = service.create_job(user_id, "report")
        service.transition_status(job.id, JobStatus.PROCESSING)
        service.get_job(job.id, user_id)
    assert prepared(service.store) == expected
    service.close()


async def test_a_coroutine_reads_times_however_the_server_writes_them(
    jobs_url: str, user_id: UUID
) -> None:
    service = AsyncJobService(f"{jobs_url}?options=-c%20datestyle%3DSQL")
    job = await service.create_job(user_id, "report")
    assert (await service.get_job(job.id, user_id)).created_at == job.created_at
    await service.close()


def test_an_operation_is_one_round_trip(jobs_url: str, user_id: UUID, tmp_path: Path) -> None:
    service = JobService(jobs_url)
    job = service.create_job(user_id, "report")
    service.get_job(job.id, user_id)
    pooled = service.store.engine.raw_connection()
    pgconn = pooled.driver_connection.pgconn
    pooled.close()
    with (tmp_path / "trace").open("w") as trace:
        pgconn.trace(trace.fileno())
        service.get_job(job.id, user_id)
        pgconn.untrace()
    assert (tmp_path / "trace").read_text().count("ReadyForQuery") == 1
    service.close()


def test_a_service_uses_the_pool_of_the_callers_engine(engine: Engine, user_id: UUID) -> None:
    service = JobService(engine)
    job = service.create_job(user_id, "report")
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]
    with engine.connect(), pytest.raises(StoreUnavailable, match="QueuePool limit of size 1"):
        service.get_job(job.id, user_id)
    assert service.get_job(job.id, user_id) == job


def test_a_callers_connection_comes_back_as_it_was(engine: Engine, user_id: UUID) -> None:
    service = JobService(engine)
    job = service.create_job(user_id, "report")
    with pytest.raises(InvalidStateTransitionError):
        service.mark_completed(job.id)
    with engine.connect() as connection:
        assert driver_connection(connection).autocommit is False
        connection.execute(text("delete from jobstate.jobs"))
        connection.rollback()
    assert service.get_job(job.id, user_id) == job


def test_closing_the_service_leaves_the_callers_engine_open(engine: Engine, user_id: UUID) -> None:
    service = JobService(engine)
    service.create_job(user_id, "report")
    service.close()
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]


async def test_an_asyncio_service_treats_the_callers_engine_the_same(
    async_engine: AsyncEngine, user_id: UUID
) -> None:
    service = AsyncJobService(async_engine)
    job = await service.create_job(user_id, "report")
    async with async_engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        assert raw.autocommit is False
        with pytest.raises(StoreUnavailable, match="QueuePool limit of size 1"):
            await service.get_job(job.id, user_id)
    await service.close()
    assert async_engine.pool.checkedin() == 1  # type: ignore[attr-defined]
    assert await service.get_job(job.id, user_id) == job


def test_a_listener_of_the_callers_pool_may_begin_a_transaction(
    engine: Engine, user_id: UUID
) -> None:
    """As one does that sets a tenant or a search path at each checkout."""

    @event.listens_for(engine, "checkout")
    def set_tenant(connection: psycopg.Connection, *_: object) -> None:
        connection.execute("select set_config('shop.tenant', '5', false)")

    job = JobService(engine).create_job(user_id, "report")
    assert JobService(engine).get_job(job.id, user_id) == job


async def test_an_asyncio_listener_may_begin_one_too(
    async_engine: AsyncEngine, user_id: UUID
) -> None:
    @event.listens_for(async_engine.sync_engine, "checkout")
    def set_tenant(connection: object, *_: object) -> None:
        connection.cursor().execute("select set_config('shop.tenant', '5', false)")  # type: ignore[attr-defined]

    job = await AsyncJobService(async_engine).create_job(user_id, "report")
    assert await AsyncJobService(async_engine).get_job(job.id, user_id) == job


@pytest.mark.parametrize("service", [JobService, AsyncJobService])
def test_another_database_or_driver_is_refused(
    service: type[JobService | AsyncJobService], engine: Engine, async_engine: AsyncEngine
) -> None:
    mine, other = (engine, async_engine) if service is JobService else (async_engine, engine)
    with pytest.raises(ConfigurationError, match=f"given as {type(other).__name__}: this takes a"):
        service(other)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="given as int: this takes a URL or a"):
        service(5)  # type: ignore[arg-type]
    mine.dialect.driver = "asyncpg"
    with pytest.raises(ConfigurationError, match=r"uses postgresql\+asyncpg: jobstate runs on"):
        service(mine)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_callers_engine_may_be_of_any_isolation(
    jobs_url: str, user_id: UUID, connect: Connect, level: IsolationLevel
) -> None:
    """Who has waited for a lock goes on from what was committed meanwhile."""
    engine = create_engine(jobs_url, isolation_level=level)
    service, watcher, other = JobService(engine), connect(), connect()
    job = service.create_job(user_id, "report")
    other.execute("begin")
    other.execute("update jobstate.jobs set progress_message = 'Mine'")
    with ThreadPoolExecutor(1) as pool:
        cancelling = pool.submit(service.cancel, job.id, user_id)
        eventually(waits_for_a_lock(watcher))
        other.execute("commit")
        assert cancelling.result(PATIENCE).error_code == "cancelled"
    with engine.connect() as connection:
        assert connection.get_isolation_level() == level
    engine.dispose()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_a_callers_asyncio_engine_may_be_of_any_isolation(
    jobs_url: str, user_id: UUID, connect: Connect, level: IsolationLevel
) -> None:
    engine = create_async_engine(jobs_url, isolation_level=level)
    service, watcher, other = AsyncJobService(engine), connect(), connect()
    job = await service.create_job(user_id, "report")
    other.execute("begin")
    other.execute("update jobstate.jobs set progress_message = 'Mine'")
    cancelling = asyncio.create_task(service.cancel(job.id, user_id))
    await asyncio.to_thread(eventually, waits_for_a_lock(watcher))
    other.execute("commit")
    assert (await cancelling).error_code == "cancelled"
    async with engine.connect() as connection:
        assert await connection.get_isolation_level() == level
    await engine.dispose()


class TimeIsUp(BaseException):
    """What a signal handler raises, as Celery's does for a soft time limit."""


class Interrupted(psycopg.Connection[Any]):
    """A connection that a signal interrupts when it begins to commit by itself."""

    armed = False

    def _set_autocommit(self, value: bool) -> None:  # noqa: FBT001 - psycopg's
        super()._set_autocommit(value)
        if value and Interrupted.armed:
            Interrupted.armed = False
            raise TimeIsUp


def test_a_callers_connection_is_left_as_it_was_by_a_call_that_a_signal_interrupts(
    jobs_url: str,
) -> None:
    url = jobs_url.replace("+psycopg", "")
    engine = create_engine(jobs_url, creator=lambda: Interrupted.connect(url))
    service = JobService(engine)
    service.workers()
    Interrupted.armed = True
    with pytest.raises(TimeIsUp):
        service.workers()
    pooled = engine.raw_connection()
    connection = pooled.driver_connection
    assert isinstance(connection, Interrupted)
    assert not connection.autocommit
    pooled.close()
    engine.dispose()
