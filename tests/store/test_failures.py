"""What a caller hears when the database cannot be used: never the driver's own words alone."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql

from jobstate import (
    AsyncJobService,
    ConfigurationError,
    InvalidValueError,
    JobService,
    JobStateError,
    Settings,
    StoreRefused,
    StoreUnavailable,
)
from jobstate.counters import DATABASE_ERRORS
from jobstate.store.bounded import NoAnswerError
from jobstate.store.failures import translated

Connect = Callable[[], psycopg.Connection]


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that somebody has, so that nobody else gets it, and where nobody listens."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        other.bind(("127.0.0.2", port))
        yield port


def heard(url: str) -> str:
    service = JobService(url)
    with pytest.raises(StoreUnavailable) as unavailable:
        service.stats()
    assert isinstance(unavailable.value.__cause__, psycopg.OperationalError)
    return str(unavailable.value)


async def heard_async(url: str) -> str:
    service = AsyncJobService(url)
    with pytest.raises(StoreUnavailable) as unavailable:
        await service.stats()
    await service.close()
    return str(unavailable.value)


@pytest.fixture
def role(connect: Connect) -> Iterator[str]:
    """A role that may log in and do nothing else."""
    connection, name = connect(), f"role_{uuid4().hex}"
    connection.execute(sql.SQL("create role {} login password 'geheim'").format(_id(name)))
    yield name
    connection.execute(sql.SQL("drop owned by {0}; drop role {0}").format(_id(name)))


def _id(name: str) -> sql.Identifier:
    return sql.Identifier(name)


def as_role(url: str, role: str) -> str:
    host = url.rpartition("@")[2]
    return f"postgresql+psycopg://{role}:geheim@{host}"


def test_a_database_that_is_not_there_is_unavailable(unused_port: int) -> None:
    message = heard(f"postgresql://127.0.0.1:{unused_port}/shop")
    assert message.startswith("The jobs database did not answer: connection failed: ")
    assert "Connection refused" in message
    assert message.endswith("Check that Postgres runs and that jobstate_database_url is right.")


async def test_the_asyncio_service_says_the_same(unused_port: int) -> None:
    url = f"postgresql://127.0.0.1:{unused_port}/shop"
    assert await heard_async(url) == heard(url)


def test_of_several_addresses_one_is_named_and_never_the_password(unused_port: int) -> None:
    hosts = f"host=127.0.0.1:{unused_port}&host=127.0.0.2:{unused_port}"
    message = heard(f"postgresql://user:geheim@/shop?{hosts}")
    assert 'connection to server at "127.0.0.2"' in message
    assert len(message.splitlines()) == 1
    assert "geheim" not in message


def test_an_unknown_database_is_named(jobs_url: str) -> None:
    assert 'database "nowhere" does not exist' in heard(f"{jobs_url.rpartition('/')[0]}/nowhere")


def test_an_unknown_host_is_named() -> None:
    assert "nowhere.invalid" in heard("postgresql://nowhere.invalid/shop")


def test_a_refused_login_is_unavailable_and_says_nothing_of_the_password(
    jobs_url: str, connect: Connect, role: str
) -> None:
    connect().execute(sql.SQL("alter role {} nologin").format(_id(role)))
    message = heard(as_role(jobs_url, role))
    assert f'role "{role}" is not permitted to log in' in message
    assert "geheim" not in message


def test_a_role_without_the_rights_hears_which_it_needs(jobs_url: str, role: str) -> None:
    service = JobService(as_role(jobs_url, role))
    with pytest.raises(ConfigurationError) as refused:
        service.stats()
    assert "may not do this: permission denied for schema jobstate." in str(refused.value)
    assert "Work needs usage on the schema, and select, insert, update" in str(refused.value)
    service.close()


def test_the_rights_that_the_message_names_are_enough(
    jobs_url: str, connect: Connect, role: str
) -> None:
    connect().execute(
        sql.SQL(
            "grant usage on schema jobstate to {0};"
            "grant select, insert, update, delete on all tables in schema jobstate to {0}"
        ).format(_id(role))
    )
    service = JobService(as_role(jobs_url, role))
    user_id = uuid4()
    job = service.create_job(user_id, "report")
    service.transition_status(job.id, "processing")
    service.create_asset(job.id, user_id, "csv", "u", "p", 9)
    assert service.mark_completed(job.id).is_terminal
    service.close()


def test_a_server_that_takes_no_writes_is_unavailable(jobs_url: str, service: JobService) -> None:
    """As a standby that was promoted elsewhere answers."""
    url = f"{jobs_url}?options=-c%20default_transaction_read_only%3Don"
    settings = replace(Settings.for_database(jobs_url), database_url=url)
    reader = JobService.from_settings(settings)
    with pytest.raises(StoreUnavailable, match="read-only transaction"):
        reader.create_job(uuid4(), "report")
    assert reader.stats() == service.stats()
    reader.close()


def test_a_statement_that_is_cancelled_is_unavailable(
    jobs_url: str, service: JobService, connect: Connect
) -> None:
    url = f"{jobs_url}?options=-c%20statement_timeout%3D20"
    hasty = JobService.from_settings(replace(service.settings, database_url=url))
    job, holder = service.create_job(uuid4(), "report"), connect()
    with holder.transaction():
        holder.execute("select from jobstate.jobs for update")
        with pytest.raises(StoreUnavailable, match="canceling statement due to statement timeout"):
            hasty.transition_status(job.id, "processing")
    hasty.close()


def test_a_key_too_long_for_its_index_is_the_callers_mistake(service: JobService) -> None:
    key = "".join(str(uuid4()) for _ in range(500))
    with pytest.raises(InvalidValueError, match=r"index row .* keys must be short"):
        service.create_job(uuid4(), "report", idempotency_key=key)
    assert sum(service.stats().by_status.values()) == 0


def test_an_error_without_words_is_named_by_its_type() -> None:
    with pytest.raises(StoreUnavailable, match="did not answer: OperationalError"), translated():
        raise psycopg.OperationalError


def test_an_error_of_the_library_itself_stays_what_it_is() -> None:
    """It would be a bug, and is not to look like one of the caller's or the server's."""
    with pytest.raises(errors.SyntaxError), translated():
        raise errors.SyntaxError("at or near")


@pytest.mark.parametrize(
    "error", [errors.RaiseException, errors.InternalError_, errors.FeatureNotSupported]
)
def test_what_the_database_refuses_for_a_reason_of_its_own_is_a_refusal(
    error: type[psycopg.Error],
) -> None:
    """A trigger of somebody, or a plan from before a migration: another try may succeed."""
    words = "refused a statement: not on Sundays"
    with pytest.raises(StoreRefused, match=words), translated():
        raise error("not on Sundays")


async def test_a_count_that_takes_too_long_says_which_one_does_not(
    jobs_url: str, connect: Connect
) -> None:
    """What is locked stands here for what is too much to be counted in time."""
    settings = Settings(database_url=jobs_url, lease=1, heartbeat=0.2)
    service, aio = JobService.from_settings(settings), AsyncJobService.from_settings(settings)
    told = r"no answer came in 0\.5 s\. To count the jobs of everybody .* Pass landed_within= \("
    locking = connect()
    with locking.transaction():
        locking.execute("lock table jobstate.jobs")
        with pytest.raises(StoreUnavailable, match=told):
            service.stats()
        with pytest.raises(StoreUnavailable, match=told):
            await aio.stats()
        with pytest.raises(StoreUnavailable, match=r"in 0\.5 s\. Check that Postgres runs"):
            service.stats(landed_within=60)
    service.close()
    await aio.close()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unavailable", psycopg.OperationalError),
        ("unanswered", NoAnswerError),
        ("locked", errors.LockNotAvailable),
        ("rolled_back", errors.DeadlockDetected),
        ("refused", errors.RaiseException),
        (None, errors.UndefinedTable),
    ],
)
def test_an_outage_is_counted_by_its_kind_and_a_mistake_is_none(
    kind: str | None, error: type[psycopg.Error]
) -> None:
    before = DATABASE_ERRORS.read()
    with pytest.raises(JobStateError), translated():
        raise error("no")
    grown = {name for name, number in DATABASE_ERRORS.read().items() if number > before[name]}
    assert grown == ({kind} if kind else set())
