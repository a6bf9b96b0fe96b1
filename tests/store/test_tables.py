"""The tables that SQLAlchemy users import are those of the database."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    MetaData,
    Table,
    Text,
    Uuid,
    create_engine,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.types import TypeEngine

from jobstate import Job, JobService, Settings
from jobstate.store import tables
from jobstate.store.migrations import UserIdType, apply
from jobstate.store.tables import Tables, define

# What nobody joins with.
INTERNAL = {"sweeps", "schema_version"}


def differences(engine: Engine, described: Tables, schema: str) -> list[Any]:
    """List how tables and columns differ; keys between tables and indexes are not described."""

    def is_described(thing: object, name: str | None, kind: str, *_: object) -> bool:
        if kind == "table":
            return getattr(thing, "schema", None) == schema and name not in INTERNAL
        return kind == "column"

    with engine.connect() as connection:
        options = {
            "include_schemas": True,
            "include_object": is_described,
            "compare_type": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, described.jobs.metadata)


def test_the_tables_are_those_of_the_database(engine: Engine) -> None:
    described = Tables(
        tables.jobs,
        tables.assets,
        tables.job_items,
        tables.job_events,
        tables.job_logs,
        tables.workers,
    )
    assert differences(engine, described, "jobstate") == []


@pytest.mark.parametrize(
    ("user_id_type", "described"), [("uuid", Uuid()), ("bigint", BigInteger()), ("text", Text())]
)
def test_they_can_be_described_for_any_user_id_and_schema(
    database_url: str, user_id_type: UserIdType, described: TypeEngine[Any]
) -> None:
    settings = Settings.load({"jobstate_database_url": database_url, "jobstate_schema": "order"})
    apply(settings, user_id_type=user_id_type)
    engine = create_engine(database_url)
    assert differences(engine, define(schema="order", user_id=described), "order") == []
    wrong = define(schema="order", user_id=Text() if user_id_type != "text" else Uuid())
    assert differences(engine, wrong, "order") != [], "or the comparison would prove nothing"
    engine.dispose()


def test_primary_keys_are_those_of_the_database(engine: Engine) -> None:
    inspector = inspect(engine)
    for table in tables.jobs.metadata.tables.values():
        found = inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]
        assert [column.name for column in table.primary_key] == found


def test_every_table_of_the_database_is_described_or_internal(engine: Engine) -> None:
    described = {table.name for table in tables.jobs.metadata.tables.values()}
    assert set(inspect(engine).get_table_names("jobstate")) == described | INTERNAL


def test_they_can_be_joined_with_the_callers_own(
    engine: Engine, service: JobService, job_in: Callable[[str], Job], user_id: UUID
) -> None:
    metadata = MetaData()
    people = Table(
        "people",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("name", Text),
        prefixes=["temporary"],
    )
    job = job_in("processing")
    service.create_asset(job.id, user_id, "csv", "u", "p", 9)
    question = (
        select(
            people.c.name,
            tables.jobs.c.id,
            tables.jobs.c.parameters,
            func.count(tables.assets.c.id),
        )
        .join(tables.jobs, tables.jobs.c.user_id == people.c.id)
        .join(tables.assets, tables.assets.c.job_id == tables.jobs.c.id)
        .group_by(people.c.name, tables.jobs.c.id)
    )
    with engine.connect() as connection:
        metadata.create_all(connection)
        connection.execute(insert(people).values(id=user_id, name="Ada"))
        assert connection.execute(question).all() == [("Ada", job.id, {"year": 2026}, 1)]


def test_they_can_live_in_the_callers_metadata() -> None:
    metadata = MetaData()
    described = define(metadata, schema="jobs")
    assert described.jobs.metadata is metadata
    assert described.jobs.fullname == "jobs.jobs"
