"""How a database gets its tables: repeatable, safe beside another, or as a script."""

import io
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.exc import ProgrammingError

from jobstate import (
    ConfigurationError,
    InvalidValueError,
    JobService,
    SchemaMismatch,
    Settings,
    StoreUnavailable,
)
from jobstate.store.migrations import UserIdType, apply
from jobstate.store.version import HEAD, VERSIONS
from tests.factories import eventually, together
from tests.store.catalog import schema_of


@pytest.fixture
def settings(database_url: str) -> Settings:
    """The settings for an empty database."""
    return Settings.for_database(database_url)


def script_of(settings: Settings, **options: Any) -> str:
    script = io.StringIO()
    assert apply(settings, script=script, **options) == list(VERSIONS)
    return script.getvalue()


def test_migrating_twice_is_harmless(settings: Settings, connection: psycopg.Connection) -> None:
    assert apply(settings) == list(VERSIONS)
    service = JobService.from_settings(settings)
    job = service.create_job(uuid4(), "report")
    before = schema_of(connection)
    assert apply(settings) == []
    assert schema_of(connection) == before
    assert service.get_job_internal(job.id) == job
    service.close()


def test_migrating_at_the_same_time_is_harmless(
    settings: Settings, connection: psycopg.Connection
) -> None:
    answers = together(*[partial(apply, settings)] * 4)
    assert sorted(answers, key=len) == [[], [], [], list(VERSIONS)]
    versions = connection.execute("select version_num from jobstate.schema_version").fetchall()
    assert versions == [(HEAD,)]


def test_migrating_leaves_no_connection_open(
    settings: Settings, connection: psycopg.Connection
) -> None:
    apply(settings)
    with pytest.raises(ConfigurationError):
        apply(settings, user_id_type="text")
    others = """
        select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()
            and backend_type = 'client backend'
    """
    # A session that was closed is listed until its process has ended.
    eventually(lambda: connection.execute(others).fetchone() == (0,))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"user_id_type": "bigint"},
        {"user_id_type": "text"},
        {"user_id_type": "bigint", "users_table": "users"},
    ],
)
def test_the_script_makes_the_same_schema(
    settings: Settings, connection: psycopg.Connection, options: dict[str, Any]
) -> None:
    connection.execute("create table users (id bigint primary key)")
    connection.execute(script_of(settings, **options))  # type: ignore[arg-type]
    scripted = schema_of(connection)
    connection.execute("drop schema jobstate cascade")
    apply(settings, **options)
    assert schema_of(connection) == scripted
    assert len(scripted) > 100, "or the comparison would prove nothing"


def test_a_scripted_schema_works_and_is_known_to_be_there(
    settings: Settings, connection: psycopg.Connection
) -> None:
    connection.execute(script_of(settings))  # type: ignore[arg-type]
    assert apply(settings) == []
    service = JobService.from_settings(settings)
    assert service.create_job(uuid4(), "report").status == "queued"
    service.close()


def test_writing_a_script_touches_no_database() -> None:
    script = script_of(Settings.for_database("postgresql://nowhere.invalid/shop"))
    assert script.startswith("BEGIN;")
    assert script.rstrip().endswith("COMMIT;")


@pytest.mark.parametrize("user_id_type", ["uuid", "bigint", "text"])
def test_user_ids_have_the_chosen_type_and_keep_it(
    settings: Settings, connection: psycopg.Connection, user_id_type: UserIdType
) -> None:
    apply(settings, user_id_type=user_id_type)
    question = """
        select distinct data_type from information_schema.columns
        where table_schema = 'jobstate' and column_name = 'user_id'
    """
    assert connection.execute(question).fetchall() == [(user_id_type,)]
    assert apply(settings, user_id_type=user_id_type) == []
    other: UserIdType = "text" if user_id_type != "text" else "uuid"
    words = f"User ids in schema jobstate are {user_id_type}, not {other}: the type is chosen once"
    with pytest.raises(ConfigurationError, match=words):
        apply(settings, user_id_type=other)


@pytest.mark.parametrize("script", [None, io.StringIO()])
def test_an_unknown_user_id_type_is_refused(
    settings: Settings, connection: psycopg.Connection, script: io.StringIO | None
) -> None:
    with pytest.raises(ConfigurationError, match="'money' is unknown: it is uuid, bigint, text"):
        apply(settings, user_id_type="money", script=script)  # type: ignore[arg-type]
    assert schema_of(connection) == []


@pytest.mark.parametrize(
    ("users_table", "quoted"),
    [
        ("users", "users"),
        ("public.users", "users"),
        ("auth.users", "auth.users"),
        ('"auth"."users"', "auth.users"),
        ("My Users", '"My Users"'),
    ],
)
def test_every_owner_must_be_in_the_users_table(
    settings: Settings, connection: psycopg.Connection, users_table: str, quoted: str
) -> None:
    connection.execute("create schema auth")
    connection.execute(f"create table {quoted} (id uuid primary key)")  # type: ignore[arg-type]
    apply(settings, users_table=users_table)
    service, user_id = JobService.from_settings(settings), uuid4()
    with pytest.raises(InvalidValueError) as refused:
        service.create_job(user_id, "report")
    assert f"The user does not exist: Key (user_id)=({user_id}) is not" in str(refused.value)
    assert "Create the user first; what a Session has not flushed" in str(refused.value)
    statement = f"insert into {quoted} values (%s)"  # noqa: S608 - one of the names above
    connection.execute(statement, (user_id,))  # type: ignore[arg-type]
    assert service.create_job(user_id, "report").user_id == user_id
    service.close()


@pytest.mark.parametrize(
    ("users_table", "words"),
    [
        ("nobody", 'relation "nobody" does not exist'),
        ("nowhere.users", 'schema "nowhere" does not exist'),
        ("numbered", 'foreign key constraint "jobs_user_id_fkey" cannot be implemented'),
        ("keyless", "there is no unique constraint matching given keys"),
        ("nameless", 'column "id" referenced in foreign key constraint does not exist'),
    ],
)
def test_a_users_table_without_such_a_key_is_refused_and_nothing_is_made(
    settings: Settings, connection: psycopg.Connection, users_table: str, words: str
) -> None:
    connection.execute("create table numbered (id bigint primary key)")
    connection.execute("create table keyless (id uuid)")
    connection.execute("create table nameless (name text primary key)")
    with pytest.raises(ConfigurationError) as refused:
        apply(settings, users_table=users_table)
    assert str(refused.value).startswith(f"Owners cannot be rows of {users_table}: {words}")
    assert "It must exist, with a key id of type uuid." in str(refused.value)
    assert schema_of(connection) == []


def test_a_schema_of_a_newer_release_is_not_taken_back(
    settings: Settings, connection: psycopg.Connection
) -> None:
    apply(settings)
    connection.execute("update jobstate.schema_version set version_num = '9999'")
    before = schema_of(connection)
    with pytest.raises(
        SchemaMismatch, match=f"is at version 9999: this release knows up to {HEAD}"
    ):
        apply(settings)
    assert schema_of(connection) == before


@pytest.mark.parametrize("schema", ["jobs", "order", "user", "select", "_x9", "s" * 63])
def test_the_schema_may_have_any_name(
    settings: Settings, connection: psycopg.Connection, schema: str
) -> None:
    apply(settings)
    elsewhere = replace(settings, schema=schema)
    apply(elsewhere, user_id_type="text")
    assert schema_of(connection, schema) != []
    here, there = JobService.from_settings(settings), JobService.from_settings(elsewhere)
    job = there.create_job("ada", "report")
    there.transition_status(job.id, "processing")
    assert there.mark_completed(job.id).user_id == "ada"
    assert len(there.get_job_events(job.id, "ada")) == 3
    assert sum(here.stats().by_status.values()) == 0
    here.close()
    there.close()


def test_two_schemas_of_one_kind_are_alike(
    settings: Settings, connection: psycopg.Connection
) -> None:
    apply(settings)
    apply(replace(settings, schema="order"))
    assert schema_of(connection, "order") == schema_of(connection, "jobstate")


def test_a_database_that_is_not_there_is_unavailable(database_url: str) -> None:
    settings = Settings.for_database(f"{database_url}_not")
    with pytest.raises(StoreUnavailable, match="does not exist"):
        apply(settings)


@pytest.fixture
def limited(settings: Settings, connection: psycopg.Connection) -> Iterator[tuple[str, Settings]]:
    """A role that may not create schemas, and the settings for it."""
    role = f"role_{uuid4().hex}"
    connection.execute(f"create role {role} login")  # type: ignore[arg-type]
    host = settings.database_url.rpartition("@")[2]
    yield role, replace(settings, database_url=f"postgresql+psycopg://{role}@{host}")
    connection.execute(f"drop owned by {role} cascade; drop role {role}")  # type: ignore[arg-type]


def test_a_role_that_may_not_create_hears_so(limited: tuple[str, Settings]) -> None:
    _, settings = limited
    with pytest.raises(ConfigurationError, match="a migration needs create on the database"):
        apply(settings)


def test_a_role_with_a_schema_made_for_it_need_not_create_one(
    limited: tuple[str, Settings], connection: psycopg.Connection
) -> None:
    role, settings = limited
    connection.execute(f"create schema jobstate authorization {role}")  # type: ignore[arg-type]
    assert apply(settings) == list(VERSIONS)
    service = JobService.from_settings(settings)
    assert service.create_job(uuid4(), "report").status == "queued"
    service.close()


@pytest.mark.parametrize("columns", ["id bigint", "id bigint, user_id uuid"])
def test_a_schema_with_a_table_of_that_name_is_left_alone(
    settings: Settings, connection: psycopg.Connection, columns: str
) -> None:
    connection.execute(f"create table public.jobs ({columns})")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="Schema public has a table jobs that is not"):
        apply(replace(settings, schema="public"))
    assert apply(settings) == list(VERSIONS)


def test_a_reference_hides_no_other_error(
    settings: Settings, connection: psycopg.Connection
) -> None:
    connection.execute("create table users (id uuid primary key)")
    connection.execute("create schema jobstate create table assets (id uuid)")
    with pytest.raises(ProgrammingError, match='relation "assets" already exists'):
        apply(settings, users_table="users")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_store_all_text_is_refused(
    postgres_url: str, connection: psycopg.Connection, encoding: str
) -> None:
    name = sql.Identifier(f"test_{uuid4().hex}")
    create = "create database {} encoding {} locale 'C' template template0"
    connection.execute(sql.SQL(create).format(name, encoding))
    url = f"{postgres_url.rpartition('/')[0]}/{name.as_string().strip(chr(34))}"
    try:
        with pytest.raises(ConfigurationError, match=f"encoding is {encoding}: .* any text"):
            apply(Settings.for_database(url))
        asked = "select count(*) from pg_namespace where nspname = 'jobstate'"
        with psycopg.connect(url.replace("+psycopg", "")) as other:
            assert other.execute(asked).fetchone() == (0,)
    finally:
        connection.execute(sql.SQL("drop database {}").format(name))
