"""What is enqueued in a transaction of the caller's is there, and published, with its commit."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import transaction
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import Session

from jobstate import ConfigurationError, InvalidValueError, JobNotFound, StoreUnavailable
from tests.djangos import django_connection
from tests.worker.batches import count, ids, many
from tests.worker.process import eventually
from tests.worker.site import OpenSite, Site, published


@pytest.fixture
def engine(quiet_site: Site) -> Iterator[Engine]:
    """The engine of a web application."""
    engine = create_engine(quiet_site.conf["database_url"])
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A Session on it."""
    with Session(engine) as session:
        yield session


def test_a_rolled_back_session_enqueues_nothing(quiet_site: Site, session: Session) -> None:
    job = quiet_site.enqueue_with("returns", connection=session)
    session.rollback()
    session.commit()
    assert published(quiet_site) == []
    with pytest.raises(JobNotFound):
        quiet_site.read(job)


def test_a_session_publishes_after_its_commit(quiet_site: Site, session: Session) -> None:
    jobs = [quiet_site.enqueue_with("returns", connection=session) for _ in range(2)]
    assert published(quiet_site) == []
    with pytest.raises(JobNotFound):
        quiet_site.read(jobs[0])
    session.commit()
    assert published(quiet_site) == [str(job.id) for job in jobs]
    session.commit()
    assert len(published(quiet_site)) == 2


def test_a_rolled_back_savepoint_publishes_nothing(quiet_site: Site, session: Session) -> None:
    kept = quiet_site.enqueue_with("returns", connection=session)
    with session.begin_nested() as savepoint:
        lost = quiet_site.enqueue_with("returns", connection=session)
        savepoint.rollback()
    with session.begin_nested():
        inner = quiet_site.enqueue_with("returns", connection=session)
    assert published(quiet_site) == []
    session.commit()
    assert published(quiet_site) == [str(kept.id), str(inner.id)]
    with pytest.raises(JobNotFound):
        quiet_site.read(lost)


def test_what_goes_wrong_after_the_commit_is_no_error_of_the_commit(
    quiet_site: Site, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody renames the table between the commit and the publishing."""

    def rename(_: Session) -> None:
        with quiet_site.service.store.engine.connect() as connection:
            connection.execute(text("alter table jobstate.jobs rename to elsewhere"))

    event.listen(session, "after_commit", rename)
    job = quiet_site.enqueue_with("returns", connection=session)
    session.commit()
    assert f"Job {job.id} was not published" in caplog.text
    assert published(quiet_site) == []


def test_a_connection_publishes_once_it_is_closed(quiet_site: Site, engine: Engine) -> None:
    with engine.begin() as connection:
        job = quiet_site.enqueue_with("returns", connection=connection)
        assert published(quiet_site) == []
    assert published(quiet_site) == [str(job.id)]
    with engine.begin() as connection:
        connection.execute(text("select 1"))
    assert len(published(quiet_site)) == 1


def test_a_connection_that_stays_open_publishes_when_its_next_transaction_begins(
    quiet_site: Site, engine: Engine
) -> None:
    with engine.connect() as connection:
        first = quiet_site.enqueue_with("returns", connection=connection)
        connection.commit()
        second = quiet_site.enqueue_with("returns", connection=connection)
        assert published(quiet_site) == [str(first.id)]
        connection.commit()
    assert published(quiet_site) == [str(first.id), str(second.id)]


def test_a_connection_that_is_rolled_back_publishes_nothing(
    quiet_site: Site, engine: Engine
) -> None:
    with engine.connect() as connection:
        quiet_site.enqueue_with("returns", connection=connection)
        connection.rollback()
        kept = quiet_site.enqueue_with("returns", connection=connection)
        with connection.begin_nested() as savepoint:
            quiet_site.enqueue_with("returns", connection=connection)
            savepoint.rollback()
        connection.commit()
    assert published(quiet_site) == [str(kept.id)]


def test_a_connection_publishes_sooner_when_it_is_told_to(quiet_site: Site, engine: Engine) -> None:
    with engine.connect() as connection:
        job = quiet_site.enqueue_with("returns", connection=connection)
        connection.commit()
        assert quiet_site.jobs.publish(job) is True
        assert quiet_site.jobs.publish(str(job.id)) is False
    assert published(quiet_site) == [str(job.id)]
    assert quiet_site.jobs.publish(uuid4()) is False


def test_django_publishes_what_its_blocks_have_committed(quiet_site: Site) -> None:
    with django_connection(quiet_site.conf["database_url"]) as connection:

        def enqueue() -> str:
            return str(quiet_site.enqueue_with("returns", connection=connection).id)

        at_once = enqueue()
        assert published(quiet_site) == [at_once]
        with transaction.atomic(using=connection.alias):
            kept = enqueue()
            with transaction.atomic(using=connection.alias):
                enqueue()
                transaction.set_rollback(True, using=connection.alias)
            by_hand = transaction.savepoint(using=connection.alias)
            enqueue()
            transaction.savepoint_rollback(by_hand, using=connection.alias)
            assert published(quiet_site) == [at_once]
        assert published(quiet_site) == [at_once, kept]
        with transaction.atomic(using=connection.alias):
            enqueue()
            transaction.set_rollback(True, using=connection.alias)
        assert published(quiet_site) == [at_once, kept]


def test_the_sweeper_publishes_what_a_connection_of_the_driver_has_committed(
    open_site: OpenSite,
) -> None:
    with (
        open_site(jobstate_publish_grace=0.01) as site,
        psycopg.connect(site.conf["database_url"].replace("+psycopg", "")) as connection,
    ):
        told, swept = (site.enqueue_with("returns", connection=connection) for _ in range(2))
        assert site.jobs.publish(told) is False
        connection.commit()
        assert published(site) == []
        assert site.jobs.publish(told) is True
        eventually(
            lambda: site.service.sweep() and str(swept.id) in published(site), "its publication"
        )
        assert published(site) == [str(told.id), str(swept.id)]


def test_a_connection_that_is_none_is_refused(quiet_site: Site) -> None:
    with pytest.raises(ConfigurationError, match="connection= is a str"):
        quiet_site.enqueue_with("returns", connection="postgresql://")
    assert published(quiet_site) == []


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_of_two_writers_of_one_key_the_second_waits_for_the_first(
    quiet_site: Site, session: Session, ending: str
) -> None:
    first = quiet_site.enqueue_with("returns", 1, idempotency_key="a", connection=session)
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(quiet_site.enqueue_with, "returns", 2, idempotency_key="a")
        eventually(lambda: is_waiting(quiet_site), "the waiting")
        getattr(session, ending)()
        job = second.result()
    assert (job.id == first.id) is (ending == "commit")
    assert published(quiet_site) == [str(job.id)]
    assert quiet_site.read(job).parameters == {"value": 1 if ending == "commit" else 2}


def test_a_snapshot_from_before_the_key_was_there_is_told_to_run_again(
    quiet_site: Site, engine: Engine
) -> None:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("select 1"))
        first = quiet_site.enqueue_with("returns", idempotency_key="a")
        with pytest.raises(StoreUnavailable, match="Run it again"):
            quiet_site.enqueue_with("returns", idempotency_key="a", connection=connection)
        connection.rollback()
        again = quiet_site.enqueue_with("returns", idempotency_key="a", connection=connection)
    assert again.id == first.id


def is_waiting(site: Site) -> bool:
    """Tell whether a statement waits for a lock."""
    with psycopg.connect(site.conf["database_url"].replace("+psycopg", "")) as connection:
        asked = "select count(*) from pg_locks where not granted"
        return connection.execute(asked).fetchone() != (0,)


def test_one_that_nobody_can_publish_after_a_commit_keeps_back_no_other(
    quiet_site: Site, session: Session
) -> None:
    calls: list[dict[str, Any]] = [{"args": (n,)} for n in range(4)]
    calls[0] = {"args": (0,), "serializer": "none such"}
    jobs = quiet_site.jobs.enqueue_many(
        quiet_site.task("returns"), calls, user_id=quiet_site.user_id, connection=session
    )
    session.commit()
    assert quiet_site.read(jobs[0]).error_code == "never_delivered"
    assert published(quiet_site) == ids(jobs[1:])


def test_a_batch_belongs_to_the_callers_transaction(quiet_site: Site, session: Session) -> None:
    many(quiet_site, 3, connection=session)
    session.rollback()
    kept = many(quiet_site, 2, connection=session)
    with session.begin_nested() as savepoint:
        many(quiet_site, 2, connection=session)
        savepoint.rollback()
    assert published(quiet_site) == []
    session.commit()
    assert published(quiet_site) == ids(kept)
    with django_connection(quiet_site.conf["database_url"]) as connection:
        with transaction.atomic(using=connection.alias):
            kept += many(quiet_site, 2, connection=connection)
        kept += many(quiet_site, 2, connection=connection)
    assert published(quiet_site) == ids(kept)


def test_a_batch_on_a_connection_without_a_transaction_has_one_of_its_own(
    quiet_site: Site,
) -> None:
    url = quiet_site.conf["database_url"].replace("+psycopg", "")
    calls = [{"args": (n,), "user_id": uuid4()} for n in range(1200)]
    calls[1100]["user_id"] = "nobody"
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(InvalidValueError, match="nobody"):
            quiet_site.jobs.enqueue_many(quiet_site.task("returns"), calls, connection=connection)
        assert count(quiet_site) == 0
        created = many(quiet_site, 2, connection=connection)
        assert published(quiet_site) == ids(created)
