"""Jobs in the transaction of a caller: they commit with it, and are acted on after that."""

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from jobstate import (
    AsyncJobService,
    ConfigurationError,
    InvalidStateTransitionError,
    JobNotFound,
    JobService,
    Settings,
)
from jobstate.creation import create_job
from jobstate.operations import transition
from jobstate.store import Store, after_commit, async_driver_connection, driver_connection
from tests.djangos import django_connection
from tests.factories import new_job

SETTINGS = Settings(database_url="")


@pytest.fixture
def insert(store: Store) -> Callable[[object], UUID]:
    """Insert a job in a caller's transaction."""

    def inserted(connection: object) -> UUID:
        new = new_job()
        store.run(create_job(new, SETTINGS), driver_connection(connection))
        return new.id

    return inserted


Insert = Callable[[object], UUID]


@pytest.mark.parametrize("open_one", [Session, Engine.connect], ids=["Session", "Connection"])
def test_what_is_committed_with_the_caller_is_there(
    engine: Engine, service: JobService, insert: Insert, open_one: Callable[[Engine], Session]
) -> None:
    with open_one(engine) as connection:
        job_id = insert(connection)
        with pytest.raises(JobNotFound):
            service.get_job_internal(job_id)
        connection.commit()
    assert service.get_job_internal(job_id).id == job_id


@pytest.mark.parametrize("open_one", [Session, Engine.connect], ids=["Session", "Connection"])
def test_what_is_rolled_back_with_the_caller_leaves_nothing(
    engine: Engine,
    insert: Insert,
    connect: Callable[[], psycopg.Connection],
    open_one: Callable[[Engine], Session],
) -> None:
    with open_one(engine) as connection:
        insert(connection)
        connection.rollback()
        connection.commit()
    assert connect().execute("select count(*) from jobstate.job_events").fetchone() == (0,)


def test_a_rolled_back_savepoint_leaves_nothing_and_what_is_around_it_stays(
    engine: Engine, service: JobService, insert: Insert
) -> None:
    with Session(engine) as session:
        kept = insert(session)
        savepoint = session.begin_nested()
        undone = insert(session)
        savepoint.rollback()
        session.commit()
    assert service.get_job_internal(kept).id == kept
    with pytest.raises(JobNotFound):
        service.get_job_internal(undone)


def test_a_refused_move_leaves_the_callers_transaction_usable(
    engine: Engine, store: Store, service: JobService, insert: Insert
) -> None:
    with Session(engine) as session:
        job_id = insert(session)
        with pytest.raises(InvalidStateTransitionError):
            store.run(
                transition(job_id, "completed", max_result_bytes=1), driver_connection(session)
            )
        session.commit()
    assert service.get_job_internal(job_id).status == "queued"


def test_a_session_of_this_thread_or_request_is_a_session(
    engine: Engine, service: JobService, insert: Insert
) -> None:
    scoped = scoped_session(sessionmaker(engine))
    done: list[str] = []
    job_id = insert(scoped)
    after_commit(scoped, lambda: done.append("published"))
    scoped.commit()
    assert service.get_job_internal(job_id).id == job_id
    assert done == ["published"]
    scoped.remove()


async def test_an_asyncio_caller_gives_the_drivers_connection_itself(
    aio: AsyncJobService, connect: Callable[[], psycopg.Connection], jobs_url: str
) -> None:
    asked = "select count(*) from jobstate.jobs"
    connection = await psycopg.AsyncConnection.connect(jobs_url.replace("+psycopg", ""))
    for ending, expected in ((connection.rollback, 0), (connection.commit, 1)):
        await aio.store.run(create_job(new_job(), SETTINGS), connection)
        await ending()
        assert connect().execute(asked).fetchone() == (expected,)
    await connection.close()


@pytest.mark.parametrize("kind", [Session, Engine.connect], ids=["Session", "Connection"])
def test_a_caller_without_psycopg_is_refused(kind: Callable[[Engine], Session]) -> None:
    words = "connection= is a (Session|Connection) on sqlite3.Connection: jobs are written"
    with (
        kind(create_engine("sqlite://")) as connection,
        pytest.raises(ConfigurationError, match=words),
    ):
        driver_connection(connection)


def test_django_without_psycopg_is_refused() -> None:
    with (
        django_connection("sqlite://") as connection,
        pytest.raises(ConfigurationError, match="connection= is a DatabaseWrapper on sqlite3"),
    ):
        driver_connection(connection)


@pytest.mark.parametrize("connection", [None, 5, "postgresql://"])
def test_what_is_no_connection_is_refused(connection: object) -> None:
    words = f"connection= is a {type(connection).__name__}: jobs are written in the transaction"
    with pytest.raises(ConfigurationError, match=words):
        driver_connection(connection)


def test_a_connection_that_answers_later_is_refused(jobs_url: str, insert: Insert) -> None:
    url = jobs_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection, connection.pipeline():
        with pytest.raises(ConfigurationError, match="is in pipeline mode: it answers later"):
            insert(connection)
        assert not connection.closed


async def test_a_connection_that_is_awaited_and_answers_later_is_refused_too(
    jobs_url: str,
) -> None:
    url = jobs_url.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(url) as connection, connection.pipeline():
        with pytest.raises(ConfigurationError, match="is in pipeline mode: it answers later"):
            await async_driver_connection(connection)


@pytest.mark.parametrize("kind", [AsyncSession, AsyncEngine.connect], ids=["Session", "Connection"])
async def test_a_connection_that_is_awaited_is_refused_by_a_call_that_blocks(
    aio: AsyncJobService, kind: Callable[[AsyncEngine], AsyncSession]
) -> None:
    async with kind(aio.store.engine) as connection:
        with pytest.raises(ConfigurationError, match="Await jobs\\.aenqueue"):
            driver_connection(connection)


def actions_of(session: Session, *names: str) -> list[str]:
    """Ask for actions after the commit, and return the list of those that were done."""
    done: list[str] = []
    for name in names:
        after_commit(session, lambda name=name: done.append(name))
    return done


def test_actions_come_once_and_in_order_after_the_commit(engine: Engine, insert: Insert) -> None:
    with Session(engine) as session:
        insert(session)
        done = actions_of(session, "a", "b", "c")
        assert done == []
        session.commit()
        assert done == ["a", "b", "c"]
        insert(session)
        session.commit()
        assert done == ["a", "b", "c"]


def test_an_action_sees_what_was_committed(
    engine: Engine, service: JobService, insert: Insert
) -> None:
    with Session(engine) as session:
        job_id = insert(session)
        seen = []
        after_commit(session, lambda: seen.append(service.get_job_internal(job_id).id))
        session.commit()
        assert seen == [job_id]


def test_an_action_waits_for_the_outermost_commit(engine: Engine, insert: Insert) -> None:
    with Session(engine) as session:
        insert(session)
        with session.begin_nested():
            insert(session)
            done = actions_of(session, "a")
            with session.begin_nested():
                insert(session)
        assert done == []
        session.flush()
        assert done == []
        session.commit()
        assert done == ["a"]


def test_an_action_is_forgotten_with_a_rollback(engine: Engine, insert: Insert) -> None:
    with Session(engine) as session:
        insert(session)
        done = actions_of(session, "a")
        session.rollback()
        insert(session)
        session.commit()
        assert done == []


def test_an_action_is_forgotten_when_the_session_is_closed(engine: Engine, insert: Insert) -> None:
    session = Session(engine)
    insert(session)
    done = actions_of(session, "a")
    session.close()
    insert(session)
    session.commit()
    assert done == []
    session.close()


def test_a_rolled_back_savepoint_does_not_take_the_action_along(
    engine: Engine, insert: Insert
) -> None:
    """What it was for may be undone; that is for the action to find out."""
    with Session(engine) as session:
        insert(session)
        done = actions_of(session, "a")
        savepoint = session.begin_nested()
        savepoint.rollback()
        session.commit()
        assert done == ["a"]


def test_the_next_transaction_of_a_session_has_its_own_actions(
    engine: Engine, insert: Insert
) -> None:
    with Session(engine) as session:
        insert(session)
        first = actions_of(session, "a")
        session.commit()
        insert(session)
        second = actions_of(session, "b")
        assert second == []
        session.commit()
        assert (first, second) == (["a"], ["b"])


def test_a_connection_has_no_moment_after_its_commit(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1"))
        done: list[str] = []
        after_commit(connection, lambda: done.append("a"))
        connection.commit()
        assert done == []
