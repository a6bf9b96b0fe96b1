"""The tables are made from inside a user's own Alembic migrations, as the how-to says."""

import io
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from jobstate import ConfigurationError, InvalidValueError, JobService
from jobstate.store.version import HEAD
from tests.store.catalog import schema_of

ENVIRONMENT = """
from alembic import context
from sqlalchemy import create_engine

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url)
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
"""

FIRST = """
import sqlalchemy as sa
from alembic import op

from jobstate.store import migrations

revision, down_revision = "a1", None


def upgrade():
    op.create_table("users", sa.Column("id", sa.BigInteger, primary_key=True))
    migrations.upgrade(op, user_id_type="bigint", users_table="users")
    op.create_table("orders", sa.Column("id", sa.BigInteger, primary_key=True))
    op.execute("insert into users values (7)")
"""

SECOND = """
import sqlalchemy as sa
from alembic import op

from jobstate.store import migrations

revision, down_revision = "a2", "a1"


def upgrade():
    assert migrations.upgrade(op) == [], "there is nothing new"
    op.add_column("orders", sa.Column("job_id", sa.Uuid))
    op.create_foreign_key(
        "orders_job", "orders", "jobs", ["job_id"], ["id"], referent_schema="jobstate"
    )
"""

BROKEN = FIRST + "    op.execute('select 1 / 0')\n"


class Site:
    """A user's own project with migrations of its own."""

    def __init__(self, directory: Path, database_url: str) -> None:
        # The server's role has the name of the schema, and would make its tables there.
        self.url = f"{database_url}?options=-csearch_path%3Dpublic"
        self._directory = directory
        (directory / "versions").mkdir()
        (directory / "env.py").write_text(ENVIRONMENT)

    def add(self, name: str, source: str) -> None:
        """Write a migration."""
        (self._directory / "versions" / f"{name}.py").write_text(source)

    def upgrade(self, revision: str = "head") -> None:
        """Run ``alembic upgrade``."""
        command.upgrade(self._config(), revision)

    def script(self, revisions: str = "head") -> str:
        """Run ``alembic upgrade --sql``."""
        output = io.StringIO()
        command.upgrade(self._config(output), revisions, sql=True)
        return output.getvalue()

    def _config(self, output: io.StringIO | None = None) -> Config:
        config = Config(output_buffer=output) if output else Config()
        config.set_main_option("script_location", str(self._directory))
        config.set_main_option("sqlalchemy.url", self.url.replace("%", "%%"))
        return config


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Site:
    """A project on an empty database."""
    return Site(tmp_path, database_url)


@pytest.fixture
def connection(site: Site) -> Iterator[psycopg.Connection]:
    """A connection to the project's database."""
    url = site.url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def tables(connection: psycopg.Connection) -> set[str]:
    rows = connection.execute("select tablename from pg_tables where schemaname = 'public'")
    return {name for (name,) in rows}


def works(site: Site) -> bool:
    """Tell whether user 7 alone can have jobs."""
    service = JobService(site.url)
    job = service.create_job(7, "report")
    with pytest.raises(InvalidValueError, match="The user does not exist"):
        service.create_job(8, "report")
    service.close()
    return job.user_id == 7


def test_a_migration_of_ones_own_makes_the_tables_and_goes_on(
    site: Site, connection: psycopg.Connection
) -> None:
    site.add("first", FIRST)
    site.upgrade()
    assert tables(connection) == {"alembic_version", "users", "orders"}
    assert connection.execute("select version_num from alembic_version").fetchall() == [("a1",)]
    versions = connection.execute("select version_num from jobstate.schema_version").fetchall()
    assert versions == [(HEAD,)]
    assert works(site)


def test_calling_it_again_is_harmless(site: Site, connection: psycopg.Connection) -> None:
    site.add("first", FIRST)
    site.upgrade()
    before = schema_of(connection)
    site.add("second", SECOND)
    site.upgrade()
    assert connection.execute("select version_num from alembic_version").fetchall() == [("a2",)]
    assert schema_of(connection) == before
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute("insert into orders values (1, %s)", (uuid4(),))


def test_both_can_be_made_in_one_run(site: Site, connection: psycopg.Connection) -> None:
    site.add("first", FIRST)
    site.add("second", SECOND)
    site.upgrade()
    assert connection.execute("select version_num from alembic_version").fetchall() == [("a2",)]
    assert works(site)


def test_the_script_of_ones_own_migrations_makes_the_same(
    site: Site, connection: psycopg.Connection
) -> None:
    site.add("first", FIRST)
    script = site.script()
    assert tables(connection) == set(), "a script touches no database"
    connection.execute(script)  # type: ignore[arg-type]
    assert tables(connection) == {"alembic_version", "users", "orders"}
    scripted = schema_of(connection)
    assert works(site)
    connection.execute("drop schema jobstate cascade; drop table users, orders, alembic_version")
    site.upgrade()
    assert schema_of(connection) == scripted


def test_the_script_is_one_transaction(site: Site) -> None:
    site.add("first", FIRST)
    lines = site.script().splitlines()
    assert (lines.count("BEGIN;"), lines.count("COMMIT;")) == (1, 1)


def test_what_fails_later_in_the_migration_undoes_the_tables_too(
    site: Site, connection: psycopg.Connection
) -> None:
    site.add("first", BROKEN)
    with pytest.raises(Exception, match="division by zero"):
        site.upgrade()
    assert tables(connection) == set()
    assert schema_of(connection) == []


def test_a_wrong_choice_is_refused_as_in_the_command(
    site: Site, connection: psycopg.Connection
) -> None:
    site.add("first", FIRST.replace('user_id_type="bigint"', 'user_id_type="uuid"'))
    with pytest.raises(ConfigurationError, match="Owners cannot be rows of users: foreign key"):
        site.upgrade()
    assert tables(connection) == set()
