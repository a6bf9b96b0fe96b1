"""The base of a Django project's tasks, and the tables and the URL of its database."""

import io
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from celery import Celery
from django.core.management import CommandError, call_command
from django.db import transaction

import jobstate
from jobstate import ConfigurationError, JobNotFound, JobService, Settings
from jobstate.django import DjangoJobTask, database_url
from jobstate.django.management.commands.jobstate_migrate import Command
from tests.django.conftest import SYSTEM_USER
from tests.djangos import django_connection


@pytest.fixture
def task(app: Celery) -> DjangoJobTask:
    @app.task(base=DjangoJobTask, name=f"shop_{uuid4().hex}")  # type: ignore[untyped-decorator]
    def export(year: int) -> int:
        return year

    return export  # type: ignore[no-any-return]


def waiting(app: Celery) -> int:
    """Count the messages in the broker."""
    with redis.Redis.from_url(app.conf.broker_url) as client:
        return client.llen("celery")  # type: ignore[return-value]


def test_delay_on_commit_returns_the_id_of_a_job_that_is_published_after_the_commit(
    app: Celery, task: DjangoJobTask, connection: Any, service: JobService
) -> None:
    user_id = uuid4()
    with transaction.atomic(using=connection.alias):
        ids = [
            task.apply_async_on_commit((2026,), using=connection.alias),
            task.apply_async_on_commit((2027,), user_id=user_id, using=connection.alias),
        ]
        assert waiting(app) == 0
        with pytest.raises(JobNotFound):
            service.get_job_internal(ids[0])
    assert waiting(app) == 2
    owners = [service.get_job_internal(job_id).user_id for job_id in ids]
    assert owners == [SYSTEM_USER, user_id]


def test_delay_on_commit_uses_djangos_default_database(
    app: Celery, task: DjangoJobTask, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = transaction.connections
    monkeypatch.setitem(handler.settings, "default", handler.settings[connection.alias])
    monkeypatch.setattr(handler._connections, "default", connection, raising=False)
    job_id = task.delay_on_commit(year=2026)
    assert waiting(app) == 1
    service = jobstate.install(app).service
    assert service.get_job_internal(UUID(job_id)).parameters == {"year": 2026}


def test_a_block_that_is_rolled_back_leaves_no_job(
    app: Celery, task: DjangoJobTask, connection: Any, service: JobService
) -> None:
    with transaction.atomic(using=connection.alias):
        job_id = task.apply_async_on_commit((2026,), using=connection.alias)
        transaction.set_rollback(True, using=connection.alias)
    assert waiting(app) == 0
    with pytest.raises(JobNotFound):
        service.get_job_internal(job_id)


def test_a_task_that_is_not_tracked_is_published_after_the_commit_like_any_other(
    app: Celery, connection: Any
) -> None:
    @app.task(base=DjangoJobTask, name=f"shop_{uuid4().hex}", job_track=False)  # type: ignore[untyped-decorator]
    def plain() -> None:
        """Do nothing."""

    with transaction.atomic(using=connection.alias):
        plain.apply_async_on_commit(using=connection.alias)
        assert waiting(app) == 0
    assert waiting(app) == 1


def test_the_url_of_djangos_database_leads_to_it(connection: Any) -> None:
    assert JobService(database_url(connection.alias)).stats().by_status is not None
    settings = {**connection.settings_dict, "USER": "a b", "PASSWORD": "p@ss/word", "PORT": 5433}
    how = {"sslmode": "require", "sslpassword": "p@ss", "require_auth": "scram-sha-256"}
    settings |= {"HOST": "db.example", "OPTIONS": {**how, "pool": True}}
    connection.settings_dict = settings
    assert database_url(connection.alias) == (
        f"postgresql+psycopg://a%20b:p%40ss%2Fword@db.example:5433/{settings['NAME']}"
        "?sslmode=require&sslpassword=p%40ss&require_auth=scram-sha-256"
    )


def test_another_database_than_postgres_has_no_url() -> None:
    with (
        django_connection("sqlite://") as connection,
        pytest.raises(ConfigurationError, match="jobs are kept in Postgres"),
    ):
        database_url(connection.alias)


def test_the_command_makes_the_tables(database_url: str) -> None:
    with django_connection(database_url) as connection:
        said = io.StringIO()
        for words in ("is now at version", "is up to date"):
            call_command(Command(), database=connection.alias, user_id_type="bigint", stdout=said)
            assert words in said.getvalue()
        with pytest.raises(CommandError, match="are bigint, not text"):
            call_command(Command(), database=connection.alias, user_id_type="text")
        call_command(Command(), database=connection.alias, sql=True, stdout=said)
        assert "create table" in said.getvalue().lower()
    with psycopg.connect(Settings.for_database(database_url).database_url.replace("+psycopg", "")):
        assert JobService(database_url).stats().by_status is not None
