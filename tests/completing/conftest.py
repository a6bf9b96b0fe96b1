"""Bodies that write in transactions of their own, run in this process."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from jobstate import CurrentJob, Job, JobTask
from tests.djangos import django_connection
from tests.worker.site import Site

Begin = Callable[[], AbstractContextManager[Any]]

KINDS = ["Session", "Connection", "psycopg", "django"]


class BodySite(Site):
    """Runs functions as bodies of jobs, here and now."""

    def run(self, body: Callable[[CurrentJob], object], **options: Any) -> Job:
        """Run a body as a job; return the job as it is then."""

        @self.app.task(base=JobTask, bind=True, name=uuid4().hex, **options)
        def task(self: JobTask) -> object:
            return body(self.job)

        return self.read(task.apply(user_id=self.user_id).id)

    def orders(self) -> int:
        """Count what bodies have written to a table of their own."""
        with psycopg.connect(self.plain_url) as connection:
            row = connection.execute("select count(*) from orders").fetchone()
            assert row is not None
            return int(row[0])

    @property
    def plain_url(self) -> str:
        """The database, as psycopg knows it."""
        return str(self.conf["database_url"]).replace("+psycopg", "")


def order(connection: Any) -> None:
    """Do what a body does in its transaction, whatever the connection is."""
    text = "insert into orders values (1)"
    if isinstance(connection, Session):
        connection.connection().exec_driver_sql(text)
    elif hasattr(connection, "exec_driver_sql"):
        connection.exec_driver_sql(text)
    else:
        with connection.cursor() as cursor:
            cursor.execute(text)


@pytest.fixture
def site(emptied_url: str, broker_url: str, tmp_path: Path) -> Iterator[BodySite]:
    """A site without a worker, whose database has a table of the application's."""
    with BodySite(emptied_url, broker_url, jobstate_storage_url=tmp_path.as_uri()) as site:
        with psycopg.connect(site.plain_url, autocommit=True) as connection:
            connection.execute("create table orders (number integer)")
        yield site
        with psycopg.connect(site.plain_url, autocommit=True) as connection:
            connection.execute("drop table orders")


def opener(kind: str, url: str) -> Begin:
    """Return what begins a transaction: committed at the end of the block, unless it raises."""

    @contextmanager
    def begin() -> Iterator[Any]:
        if kind == "psycopg":
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                yield connection
        elif kind == "django":
            from django.db import transaction  # noqa: PLC0415 - once it is configured

            with (
                django_connection(url) as connection,
                transaction.atomic(using=connection.alias),
            ):
                yield connection
        else:
            engine = create_engine(url)
            one = Session(engine) if kind == "Session" else engine.connect()
            with one as connection, connection.begin():
                yield connection
            engine.dispose()

    return begin


@pytest.fixture(params=KINDS)
def begin(request: pytest.FixtureRequest, site: BodySite) -> Begin:
    """Begin a transaction, with a connection of each kind."""
    return opener(request.param, str(site.conf["database_url"]))


@pytest.fixture
def begin_session(site: BodySite) -> Begin:
    """Begin a transaction of a Session."""
    return opener("Session", str(site.conf["database_url"]))
