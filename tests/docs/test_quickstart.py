"""The README and the quickstart, followed literally."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from click.testing import CliRunner
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import jobstate
from jobstate import JobService
from jobstate.celery.trial import empty_broker, taking_jobs, work
from jobstate.cli import jobstate as command
from tests.examples import Example, blocks


class Base(DeclarativeBase):
    """The tables of the shop."""


class Order(Base):
    """A row of the shop's own."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    year: Mapped[int]


@pytest.fixture(autouse=True)
def _broker() -> Iterator[None]:
    empty_broker()
    yield
    empty_broker()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An empty database but for the shop's own tables."""
    engine = create_engine(database_url)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("create table users (id uuid primary key)"))
    yield engine
    engine.dispose()


def localize(examples: list[Example], database_url: str) -> None:
    """Give them a broker in memory and the test's database."""
    for example in examples:
        example.replace("redis://localhost/0", "memory://")
        example.replace("postgresql+psycopg://localhost/shop", database_url)


def run_all(app: Any) -> None:
    with taking_jobs(app):
        while work(app, []):
            pass


def migrate(page: str) -> None:
    """Run the command of a page that makes the tables."""
    shell, *_ = blocks(page, "sh")
    words = next(line.split() for line in shell.code.splitlines() if "migrate" in line)
    assert words[0] == "jobstate"
    assert CliRunner().invoke(command, words[1:], catch_exceptions=False).exit_code == 0


@pytest.mark.examples("README.md")
def test_the_readme_lands_a_job(
    examples: list[Example],
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    localize(examples, database_url)
    declare, order = examples
    assert sum(bool(line.strip()) for each in examples for line in each.code.splitlines()) <= 20
    shop = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", shop)
    declare.run(vars(shop))
    migrate("README.md")
    page: dict[str, Any] = {}
    order.run(page)
    assert capsys.readouterr().out.endswith("queued\n")
    run_all(vars(shop)["app"])
    job, jobs = page["job"], page["jobs"]
    landed = jobs.service.get_job(job.id, job.user_id)
    assert (landed.status, landed.items_succeeded) == ("completed", 3)
    assert "invoice of month 11 to ann" in capsys.readouterr().out
    jobs.service.close()


@pytest.mark.examples(
    "docs/quickstart.md",
    "Celery(",
    "print(job.id, job.status)",
    "job.progress_message",
    "with Session(engine)",
)
def test_the_quickstart_migrates_enqueues_and_reads(
    examples: list[Example], engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBSTATE_DATABASE_URL", database_url)
    migrate("docs/quickstart.md")

    localize(examples, database_url)
    declare, order, read, in_a_request = examples
    shop = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", shop)
    declare.run(vars(shop))
    page: dict[str, Any] = {"Session": Session, "engine": engine, "Order": Order}
    order.run(page)
    run_all(vars(shop)["app"])
    read.run(page)
    assert (page["job"].status, page["job"].progress) == ("completed", 100)
    assert page["asset"].file_size == 1200
    in_a_request.run(page)
    run_all(vars(shop)["app"])
    service: JobService = page["jobs"].service
    jobs = service.list_jobs(page["user_id"]).items
    assert [job.status for job in jobs] == ["completed"] * 3
    service.close()


@pytest.mark.examples("docs/quickstart.md", "from alembic")
def test_the_quickstart_migrates_from_your_own_migrations(
    examples: list[Example], engine: Engine, database_url: str
) -> None:
    page: dict[str, Any] = {}
    (example,) = examples
    example.run(page)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            page["upgrade"]()
    with pytest.raises(jobstate.InvalidValueError, match="The user does not exist"):
        JobService(database_url).create_job(uuid4(), "export")


@pytest.mark.examples("docs/how-to/existing-jobs.md", "for old in old_jobs")
def test_a_table_of_your_own_is_moved_and_that_may_be_interrupted(
    examples: list[Example], service: JobService, user_id: UUID
) -> None:
    (example,) = examples
    old = [
        SimpleNamespace(id=1, user_id=user_id, kind="export", state="done", result=7, error=None),
        SimpleNamespace(
            id=2, user_id=user_id, kind="export", state="error", result=None, error="No"
        ),
    ]
    half_done = service.create_job(user_id, "export", {"old_id": 1}, idempotency_key="1")
    service.transition_status(half_done.id, "processing")
    for _ in range(2):
        example.run({"jobs": SimpleNamespace(service=service), "old_jobs": old})
    moved = {job.parameters["old_id"]: job for job in service.list_jobs(user_id).items}
    assert (moved[1].status, moved[1].result) == ("completed", 7)
    assert (moved[2].status, moved[2].error_message) == ("failed", "No")


@pytest.mark.examples("docs/how-to/existing-jobs.md", "create view")
def test_old_and_new_jobs_are_seen_in_one_view(
    examples: list[Example], service: JobService, user_id: UUID, jobs_url: str
) -> None:
    (view,) = examples
    service.create_job(user_id, "export")
    engine = create_engine(jobs_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "create table old_jobs (id uuid, user_id uuid, kind text, state text, "
                "created_at timestamptz)"
            )
        )
        connection.execute(
            text("insert into old_jobs values (gen_random_uuid(), :user, 'export', 'done', now())"),
            {"user": user_id},
        )
        connection.execute(text(view.take()))
        rows = connection.execute(text("select status from all_jobs order by status")).scalars()
        assert list(rows) == ["completed", "queued"]
    engine.dispose()
