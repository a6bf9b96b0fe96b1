"""Each event loop has connections of its own, and leaves none behind."""

import asyncio
import os
from collections.abc import Callable

import psycopg

from jobstate import AsyncJobService, Settings
from tests.factories import eventually

Connect = Callable[[], psycopg.Connection]


def sessions(connect: Connect) -> set[int]:
    """Return the server's processes for the services of these tests."""
    asked = """
        select pid from pg_stat_activity
        where application_name = 'jobstate' and datname = current_database()
    """
    return {pid for (pid,) in connect().execute(asked).fetchall()}


def test_a_forked_process_leaves_the_connections_of_its_parents_event_loops_alone(
    jobs_url: str, connect: Connect
) -> None:
    """Also of one that has ended."""
    settings = Settings.load({"jobstate_database_url": jobs_url, "jobstate_pool_size": 1})
    aio = AsyncJobService.from_settings(settings)
    loops = [asyncio.new_event_loop(), asyncio.new_event_loop()]

    async def session() -> int:
        async with aio.store.engine.connect() as pooled:
            connection = (await pooled.get_raw_connection()).driver_connection
            assert isinstance(connection, psycopg.AsyncConnection)
            return connection.info.backend_pid

    parents = {loop.run_until_complete(session()) for loop in loops}
    loops[0].close()
    if (child := os.fork()) == 0:
        try:
            os._exit(0 if asyncio.run(session()) not in parents else 3)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sessions(connect) >= parents
    loops[1].run_until_complete(aio.close())
    loops[1].close()


def test_event_loops_that_have_ended_leave_no_connections_behind(
    jobs_url: str, connect: Connect
) -> None:
    """Each in turn has had all its connections, and some that waited for one."""
    settings = Settings.load({"jobstate_database_url": jobs_url, "jobstate_pool_size": 2})
    aio = AsyncJobService.from_settings(settings)

    async def use_all() -> None:
        await asyncio.gather(*(aio.workers() for _ in range(6)))

    async def use_one() -> None:
        await aio.workers()

    before = sessions(connect)
    for _ in range(4):
        asyncio.run(use_all())
    asyncio.run(use_one())
    eventually(lambda: len(sessions(connect) - before) <= 1)
    assert len(aio.store._pools) <= 1
