"""`migrate`."""

import json
from collections.abc import Callable

import psycopg
import pytest
from click.testing import Result

from jobstate import JobService

Run = Callable[..., Result]


def plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def test_migrate_makes_the_tables_and_can_be_repeated(run: Run, database_url: str) -> None:
    first = run("migrate", url=database_url)
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout.startswith("Schema jobstate is now at version ")
    assert run("stats", url=database_url).exit_code == 0
    again = run("migrate", url=database_url)
    assert again.exit_code == 0
    assert again.stdout.endswith("already: nothing to do.\n")


@pytest.mark.parametrize(("kind", "user_id"), [("bigint", 7), ("text", "ada")])
def test_migrate_chooses_the_type_of_user_ids(
    kind: str, user_id: object, run: Run, database_url: str
) -> None:
    assert run("migrate", "--user-id-type", kind, url=database_url).exit_code == 0
    service = JobService(database_url)
    job = service.create_job(user_id, "report")
    service.close()
    assert job.user_id == user_id


def test_migrate_does_not_change_the_type_of_user_ids(run: Run, jobs_url: str) -> None:
    result = run("migrate", "--user-id-type", "text", url=jobs_url)
    assert result.exit_code == 1
    assert "User ids in schema jobstate are uuid, not text" in result.stderr


def test_migrate_ties_owners_to_a_users_table(run: Run, database_url: str) -> None:
    with psycopg.connect(plain(database_url)) as connection:
        connection.execute("create table users (id bigint primary key)")
    options = ("--user-id-type", "bigint", "--users-table", "public.users")
    assert run("migrate", *options, url=database_url).exit_code == 0
    with (
        psycopg.connect(plain(database_url)) as connection,
        pytest.raises(psycopg.errors.ForeignKeyViolation),
    ):
        connection.execute(
            "insert into jobstate.jobs (id, user_id, job_type) values (gen_random_uuid(), 7, 'x')"
        )


def test_migrate_says_that_a_users_table_came_too_late(run: Run, jobs_url: str) -> None:
    result = run("migrate", "--users-table", "users", url=jobs_url)
    assert result.exit_code == 0
    assert "--users-table was not used" in result.stderr


@pytest.mark.parametrize("table", ["users", "no.such.table", 'us"ers', "", "a\x00b"])
def test_a_users_table_that_cannot_be_used_is_told_in_one_line(
    table: str, run: Run, database_url: str
) -> None:
    result = run("migrate", "--users-table", table, url=database_url)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    with psycopg.connect(plain(database_url)) as connection:
        assert connection.execute("select to_regclass('jobstate.jobs')").fetchone() == (None,)


def test_migrate_prints_sql_that_does_the_same_and_needs_no_database(
    run: Run, database_url: str
) -> None:
    script = run("migrate", "--sql", "--user-id-type", "text", url=None)
    assert (script.exit_code, script.stderr) == (0, "")
    with psycopg.connect(plain(database_url), autocommit=True) as connection:
        connection.execute(script.stdout.encode())
    assert run("stats", url=database_url).exit_code == 0
    assert "already" in run("migrate", "--user-id-type", "text", url=database_url).stdout


def test_migrate_refuses_a_schema_of_a_newer_release(run: Run, jobs_url: str) -> None:
    with psycopg.connect(plain(jobs_url)) as connection:
        connection.execute("update jobstate.schema_version set version_num = '9999'")
    result = run("migrate", url=jobs_url)
    assert result.exit_code == 1
    assert "The jobstate schema is at version 9999" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_was_applied_is_printed_as_json(run: Run, database_url: str) -> None:
    for applied in (["0001"], []):
        told = json.loads(run("migrate", "--json", url=database_url).stdout)
        assert told == {"schema": "jobstate", "applied": applied}
