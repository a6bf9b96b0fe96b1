"""What a call survives: killed connections, signals, cancellation, a fork."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from jobstate import (
    AsyncJobService,
    InvalidStateTransitionError,
    Job,
    JobService,
    JobStatus,
    Settings,
    StoreUnavailable,
)
from jobstate.operations import transition
from jobstate.reading import get_job_internal
from jobstate.store import Store
from tests.factories import eventually, waits_for_a_lock

Connect = Callable[[], psycopg.Connection]

KILL = """
    select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""


def test_after_its_connections_were_killed_the_next_call_works(
    service: JobService, connect: Connect, user_id: UUID
) -> None:
    job = service.create_job(user_id, "report")
    for _ in range(3):
        row = connect().execute(KILL).fetchone()
        assert row is not None
        assert row[0] >= 1
        assert service.get_job(job.id, user_id) == job


async def test_after_its_asyncio_connections_were_killed_the_next_call_works(
    aio: AsyncJobService, connect: Connect, user_id: UUID
) -> None:
    job = await aio.create_job(user_id, "report")
    for _ in range(3):
        connect().execute(KILL)
        assert await aio.get_job(job.id, user_id) == job


def test_without_a_ping_a_killed_connection_fails_one_call(
    jobs_url: str, connect: Connect, user_id: UUID
) -> None:
    """The caller's engine decides whether connections are tried before they are used."""
    service = JobService(create_engine(jobs_url))
    job = service.create_job(user_id, "report")
    connect().execute(KILL)
    with pytest.raises(StoreUnavailable, match="The jobs database did not answer"):
        service.get_job(job.id, user_id)
    assert service.get_job(job.id, user_id) == job


async def test_without_a_ping_a_killed_asyncio_connection_fails_one_call(
    jobs_url: str, connect: Connect, user_id: UUID
) -> None:
    engine = create_async_engine(jobs_url)
    service = AsyncJobService(engine)
    job = await service.create_job(user_id, "report")
    connect().execute(KILL)
    with pytest.raises(StoreUnavailable, match="The jobs database did not answer"):
        await service.get_job(job.id, user_id)
    assert await service.get_job(job.id, user_id) == job
    await engine.dispose()


class TimeIsUp(BaseException):
    """What a signal handler raises, as Celery's does for a soft time limit."""


def test_what_a_signal_handler_raises_leaves_a_call_as_it_is(
    service: JobService, connect: Connect, job_in: Callable[[str], Job]
) -> None:
    """In the middle of a statement, too; and the next call works."""
    job, holder, observer = job_in("processing"), connect(), connect()
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        eventually(waits_for_a_lock(observer))
        signal.pthread_kill(main, signal.SIGUSR2)

    def handle(*_: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGUSR2, handle)
    try:
        with ThreadPoolExecutor(1) as pool, holder.transaction():
            holder.execute("select from jobstate.jobs for update")
            done = pool.submit(interrupt)
            with pytest.raises(TimeIsUp):
                service.update_progress(job.id, 50)
            done.result()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert service.mark_completed(job.id).status is JobStatus.COMPLETED


async def test_a_cancelled_asyncio_call_gives_its_connection_back(
    jobs_url: str, connect: Connect, job_in: Callable[[str], Job]
) -> None:
    job, holder, observer = job_in("processing"), connect(), connect()
    settings = {"jobstate_database_url": jobs_url, "jobstate_pool_size": 1}
    aio = AsyncJobService.from_settings(Settings.load(settings))
    with holder.transaction():
        holder.execute("select from jobstate.jobs for update")
        call = asyncio.create_task(aio.update_progress(job.id, 50))
        await asyncio.to_thread(eventually, waits_for_a_lock(observer))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert (await aio.mark_completed(job.id)).status is JobStatus.COMPLETED
    await aio.close()


def test_a_forked_child_has_connections_of_its_own_and_leaves_the_parents_alone(
    service: JobService, user_id: UUID, connect: Connect
) -> None:
    job = service.create_job(user_id, "report")
    asked = "select pid from pg_stat_activity where application_name = 'jobstate'"
    before = connect().execute(asked).fetchall()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # No exception may leave the child: it would go on as a second pytest.
        try:
            own = service.store.engine.raw_connection
            service.mark_failed(service.transition_status(job.id, "processing").id, "By the child")
            os.write(writer, str(own().driver_connection.info.backend_pid).encode())  # type: ignore[union-attr]
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        childs_session = answer.read()
    os.waitpid(child, 0)
    assert childs_session
    assert (int(childs_session),) not in before
    assert service.get_job(job.id, user_id).error_message == "By the child"
    assert before[0] in connect().execute(asked).fetchall()


def test_a_forked_child_that_closes_its_service_first_leaves_the_parents_connections_alone(
    service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, "report")

    def session() -> int:
        pooled = service.store.engine.raw_connection()
        connection = pooled.driver_connection
        assert isinstance(connection, psycopg.Connection)
        pooled.close()
        return connection.info.backend_pid

    parents = session()
    child = os.fork()
    if child == 0:
        try:
            service.close()
            service.transition_status(job.id, "processing")
            service.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert service.get_job(job.id, user_id).status is JobStatus.PROCESSING
    assert session() == parents


def test_a_transaction_commits_all_or_nothing(store: Store, job_in: Callable[[str], Job]) -> None:
    job = job_in("queued")
    start = transition(job.id, "processing", max_result_bytes=100)
    complete = transition(job.id, "completed", max_result_bytes=100)

    def start_twice() -> None:
        with store.transaction() as transaction:
            transaction.run(start)
            transaction.run(complete)
            transaction.run(start)

    with pytest.raises(InvalidStateTransitionError):
        start_twice()
    assert store.run(get_job_internal(job.id)) == job
    with store.transaction() as transaction:
        transaction.run(start)
        transaction.run(complete)
    assert store.run(get_job_internal(job.id)).status is JobStatus.COMPLETED


def test_an_error_of_the_database_is_translated_inside_a_transaction_too(
    store: Store, job_in: Callable[[str], Job], connect: Connect
) -> None:
    job, observer = job_in("queued"), connect()

    def go_on() -> None:
        with store.transaction() as transaction:
            transaction.run(transition(job.id, "processing", max_result_bytes=100))
            observer.execute(KILL)
            with pytest.raises(StoreUnavailable):
                transaction.run(get_job_internal(job.id))
            transaction.run(get_job_internal(job.id))

    with pytest.raises(StoreUnavailable):
        go_on()
    assert store.run(get_job_internal(job.id)) == job
