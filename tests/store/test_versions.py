"""What a service says to a schema that does not fit, and to one that is newer."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest

from jobstate import AsyncJobService, JobService, SchemaMismatch, Settings
from jobstate.store import version
from jobstate.store.migrations import apply
from jobstate.store.version import HEAD, VERSIONS, check_version

Change = Callable[[psycopg.Connection], object]


def nothing(_: psycopg.Connection) -> None:
    """Leave the database empty."""


def unfinished(connection: psycopg.Connection) -> None:
    connection.execute("create schema jobstate")
    connection.execute("create table jobstate.schema_version (version_num text)")


def too_old(connection: psycopg.Connection) -> None:
    unfinished(connection)
    connection.execute("insert into jobstate.schema_version values ('0000')")


def without_a_table(connection: psycopg.Connection) -> None:
    unfinished(connection)
    connection.execute("insert into jobstate.schema_version values (%s)", (HEAD,))


@pytest.fixture(
    params=[
        (nothing, 'relation "jobstate.schema_version" does not exist'),
        (unfinished, f"is unfinished: this release needs {HEAD}"),
        (too_old, f"is at version 0000: this release needs {HEAD}"),
        (without_a_table, 'relation "jobstate.jobs" does not exist'),
    ],
    ids=["nothing", "unfinished", "too old", "a table is missing"],
)
def words(
    request: pytest.FixtureRequest,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Make a schema that does not fit; return what must be said about it."""
    change, said = request.param
    monkeypatch.setattr(version, "VERSIONS", ("0000", *VERSIONS))
    change(connection)
    return str(said)


def test_a_service_says_what_is_wrong_and_what_to_run(database_url: str, words: str) -> None:
    service = JobService(database_url)
    for call in (service.stats, lambda: service.create_job(uuid4(), "report")):
        with pytest.raises(SchemaMismatch) as mismatch:
            call()
        assert words in str(mismatch.value)
        assert str(mismatch.value).endswith("Run: jobstate migrate")
    service.close()


async def test_the_asyncio_service_says_the_same(database_url: str, words: str) -> None:
    service = AsyncJobService(database_url)
    with pytest.raises(SchemaMismatch) as mismatch:
        await service.stats()
    assert words in str(mismatch.value)
    assert str(mismatch.value).endswith("Run: jobstate migrate")
    await service.close()


def test_a_service_that_was_too_early_works_once_the_schema_is_there(database_url: str) -> None:
    service = JobService(database_url)
    with pytest.raises(SchemaMismatch):
        service.stats()
    apply(Settings.for_database(database_url))
    assert service.create_job(uuid4(), "report").status == "queued"
    service.close()


NEWER = [
    "alter table jobstate.jobs add column colour text default 'blue'",
    "alter table jobstate.assets add column colour text",
    "alter table jobstate.job_items add column colour text",
    "alter table jobstate.job_events add column colour text",
    "update jobstate.schema_version set version_num = '9999'",
]


def live(service: JobService) -> None:
    """Go through what a service does."""
    user_id = uuid4()
    job = service.create_job(user_id, "report")
    service.transition_status(job.id, "processing")
    service.update_progress(job.id, 50)
    service.create_asset(job.id, user_id, "csv", "u", "p", 9)
    done = service.mark_completed(job.id)
    assert service.list_jobs(user_id).items == [done]
    assert len(service.get_job_events(job.id, user_id)) == 3
    assert len(service.get_job_assets(job.id, user_id)) == 1
    assert service.get_job_items(job.id, user_id) == []


@pytest.mark.parametrize("threshold", [0, None])
def test_a_newer_schema_is_no_hindrance_even_while_it_appears(
    database_url: str, connection: psycopg.Connection, threshold: int | None
) -> None:
    """A rolling upgrade: the schema moves first, and this release goes on with what it prepared."""
    settings = Settings.load(
        {"jobstate_database_url": database_url, "jobstate_prepare_threshold": threshold}
    )
    apply(settings)
    running = JobService.from_settings(settings)
    live(running)
    for statement in NEWER:
        connection.execute(statement)  # type: ignore[arg-type]
    live(running)
    started_later = JobService.from_settings(settings)
    live(started_later)
    running.close()
    started_later.close()


async def test_a_newer_schema_is_no_hindrance_to_the_asyncio_service(
    database_url: str, connection: psycopg.Connection
) -> None:
    apply(Settings.for_database(database_url))
    for statement in NEWER:
        connection.execute(statement)  # type: ignore[arg-type]
    service = AsyncJobService(database_url)
    assert (await service.create_job(uuid4(), "report")).status == "queued"
    await service.close()


def test_the_newest_known_version_fits_and_an_older_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_version([(HEAD,)])
    check_version([("9999",)])
    monkeypatch.setattr(version, "VERSIONS", ("0000", *VERSIONS))
    for rows in ([], [(None,)], [("0000",)]):
        with pytest.raises(SchemaMismatch, match=f"this release needs {HEAD}"):
            check_version(rows)
