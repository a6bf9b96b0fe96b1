"""The same for callers that use Django or the driver itself."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import transaction
from django.utils.connection import ConnectionProxy

from jobstate import JobService, Settings
from jobstate.creation import create_job
from jobstate.reading import get_job_internal
from jobstate.store import Store, after_commit, driver_connection
from tests.djangos import django_connection
from tests.factories import new_job

SETTINGS = Settings(database_url="")


@pytest.fixture(params=["wrapper", "proxy"])
def django(request: pytest.FixtureRequest, jobs_url: str) -> Iterator[Any]:
    """One of Django's connections, as it is found in both places."""
    with django_connection(jobs_url) as connection:
        if request.param == "proxy":
            handler = transaction.connections
            yield ConnectionProxy(handler, connection.alias)
        else:
            yield connection


@pytest.fixture
def raw(jobs_url: str) -> Iterator[psycopg.Connection]:
    """A connection of the driver."""
    with psycopg.connect(jobs_url.replace("+psycopg", "")) as connection:
        yield connection


class Enqueueing:
    """What enqueueing does with a caller's connection."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.published: list[UUID] = []

    def __call__(self, connection: object) -> UUID:
        """Create a job, and say that it is published after the commit."""
        new = new_job(parameters={"year": 2026})
        self._store.run(create_job(new, SETTINGS), driver_connection(connection))
        after_commit(connection, lambda: self.published.append(new.id))
        return new.id


@pytest.fixture
def enqueue(store: Store) -> Enqueueing:
    return Enqueueing(store)


@pytest.fixture
def stored(connect: Callable[[], psycopg.Connection]) -> Callable[[], list[UUID]]:
    """Read the ids of the jobs that are committed, in the order of their insertion."""
    connection = connect()

    def read() -> list[UUID]:
        return [row[0] for row in connection.execute("select id from jobstate.jobs order by ctid")]

    return read


Stored = Callable[[], list[UUID]]


def test_django_publishes_after_the_commit_of_the_outermost_block(
    django: Any, enqueue: Enqueueing, stored: Stored
) -> None:
    with transaction.atomic(using=django.alias):
        outer = enqueue(django)
        with transaction.atomic(using=django.alias):
            inner = enqueue(django)
        assert (stored(), enqueue.published) == ([], [])
    assert stored() == enqueue.published == [outer, inner]


def test_django_enqueues_nothing_of_a_block_that_is_rolled_back(
    django: Any, enqueue: Enqueueing, stored: Stored
) -> None:
    with transaction.atomic(using=django.alias):
        enqueue(django)
        transaction.set_rollback(True, using=django.alias)
    assert (stored(), enqueue.published) == ([], [])


def test_django_enqueues_nothing_of_a_savepoint_that_is_rolled_back(
    django: Any, enqueue: Enqueueing, stored: Stored
) -> None:
    with transaction.atomic(using=django.alias):
        kept = enqueue(django)
        with transaction.atomic(using=django.alias):
            enqueue(django)
            transaction.set_rollback(True, using=django.alias)
        last = enqueue(django)
    assert stored() == enqueue.published == [kept, last]


def test_django_without_a_block_publishes_at_once(
    django: Any, enqueue: Enqueueing, stored: Stored
) -> None:
    job_id = enqueue(django)
    assert stored() == enqueue.published == [job_id]


def test_django_with_transactions_by_hand_leaves_publishing_to_the_sweeper(
    django: Any, enqueue: Enqueueing, stored: Stored
) -> None:
    django.set_autocommit(False)
    enqueue(django)
    django.rollback()
    job_id = enqueue(django)
    django.commit()
    assert (stored(), enqueue.published) == ([job_id], [])


def test_an_error_after_the_commit_is_no_error_of_djangos_commit(
    django: Any, store: Store, stored: Stored
) -> None:
    done: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    with transaction.atomic(using=django.alias):
        new = new_job()
        store.run(create_job(new, SETTINGS), driver_connection(django))
        after_commit(django, fail)
        after_commit(django, lambda: done.append("next"))
    assert stored() == [new.id]
    assert done == ["next"]


def test_a_block_that_django_calls_broken_takes_no_more(
    django: Any, enqueue: Enqueueing, stored: Stored
) -> None:
    with transaction.atomic(using=django.alias):
        with transaction.atomic(using=django.alias, savepoint=False):
            transaction.set_rollback(True, using=django.alias)
        with pytest.raises(transaction.TransactionManagementError):
            enqueue(django)
    assert (stored(), enqueue.published) == ([], [])


@pytest.mark.parametrize("options", [{}, {"OPTIONS": {"server_side_binding": True}}])
def test_a_job_is_read_through_django_as_through_the_service(
    jobs_url: str, store: Store, service: JobService, options: dict[str, Any]
) -> None:
    """Django's connections return JSON as text, and times in a zone of their own."""
    with django_connection(jobs_url, TIME_ZONE="Asia/Tokyo", **options) as connection:
        new = new_job(parameters={"year": 2026}, deadline=60)
        store.run(create_job(new, SETTINGS), driver_connection(connection))
        read = store.run(get_job_internal(new.id), driver_connection(connection))
        assert read == service.get_job_internal(new.id)
        assert read.parameters == {"year": 2026}


def test_a_connection_of_the_driver_has_no_moment_after_its_commit(
    raw: psycopg.Connection, enqueue: Enqueueing, stored: Stored
) -> None:
    enqueue(raw)
    raw.rollback()
    with raw.transaction():
        job_id = enqueue(raw)
        assert stored() == []
    raw.commit()
    assert (stored(), enqueue.published) == ([job_id], [])


def test_a_connection_of_the_driver_without_a_transaction_publishes_at_once(
    raw: psycopg.Connection, enqueue: Enqueueing, stored: Stored
) -> None:
    raw.autocommit = True
    job_id = enqueue(raw)
    assert stored() == enqueue.published == [job_id]
    with raw.transaction():
        later = enqueue(raw)
    assert stored() == [job_id, later]
    assert enqueue.published == [job_id]
