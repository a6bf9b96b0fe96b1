"""The examples of docs/how-to/enqueue.md do what the page says."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from celery import Celery, chain
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import jobstate
from jobstate import Job
from tests.examples import Example
from tests.worker.process import eventually

NAME = "shop.tasks.export_orders"


class Base(DeclarativeBase):
    """The tables of the shop."""


class Order(Base):
    """A row of the shop's own."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    year: Mapped[int]


@pytest.fixture
def engine(jobs_url: str) -> Iterator[Engine]:
    engine = create_engine(jobs_url)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def page(jobs_url: str, broker_url: str, engine: Engine) -> Iterator[dict[str, Any]]:
    """The names that the page takes for granted."""
    app = Celery("shop", broker=broker_url, set_as_current=False)
    app.conf.jobstate_database_url = jobs_url
    jobs = jobstate.install(app)

    @app.task(base=jobstate.JobTask, name=f"{NAME}_{uuid4().hex}", job_type="export")  # type: ignore[untyped-decorator]
    def export_orders(year: int) -> int:
        return year

    yield {
        "AsyncSession": AsyncSession,
        "Order": Order,
        "Session": Session,
        "engine": engine,
        "export_orders": export_orders,
        "jobs": jobs,
        "psycopg": psycopg,
        "request_id": "order 7",
        "url": jobs_url.replace("+psycopg", ""),
        "user": SimpleNamespace(id=uuid4()),
    }
    jobs.service.close()
    app.close()


def run(example: Example, page: dict[str, Any]) -> Job:
    """Run an example, and return the job that it enqueues."""
    page.pop("job", None)
    example.run(page)
    job: Job = page["job"]
    return job


def check(job: Job, page: dict[str, Any], queue: str = "celery") -> None:
    read = page["jobs"].service.get_job(job.id, page["user"].id)
    assert (read.status, read.job_type, read.queue) == ("queued", "export", queue)
    assert list(read.parameters.values()) in ([2026], [[2026]])


def waiting(broker_url: str, queue: str = "celery") -> int:
    """Count the messages in the broker."""
    with redis.Redis.from_url(broker_url) as client:
        return client.llen(queue)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "queue",
    [
        pytest.param(
            "celery",
            marks=pytest.mark.examples(
                "docs/how-to/enqueue.md", ".enqueue(2026, user_id=user.id)\n"
            ),
            id="a plain call",
        ),
        pytest.param(
            "slow",
            marks=pytest.mark.examples("docs/how-to/enqueue.md", "countdown=60"),
            id="options",
        ),
        pytest.param(
            "celery",
            marks=pytest.mark.examples("docs/how-to/enqueue.md", 'jobs.enqueue("shop.tasks'),
            id="by name",
        ),
        pytest.param(
            "celery",
            marks=pytest.mark.examples("docs/how-to/enqueue.md", "with Session(engine)"),
            id="a session",
        ),
        pytest.param(
            "celery",
            marks=pytest.mark.examples("docs/how-to/enqueue.md", "psycopg.connect(url)"),
            id="psycopg",
        ),
    ],
)
def test_each_example_enqueues_one_job_and_publishes_it(
    examples: list[Example], page: dict[str, Any], broker_url: str, queue: str
) -> None:
    (example,) = examples
    check(run(example, page), page, queue)
    assert waiting(broker_url, queue) == 1


@pytest.mark.examples("docs/how-to/enqueue.md", "chain(")
def test_the_example_of_a_chain_enqueues_its_first_job_for_its_owner(
    examples: list[Example], page: dict[str, Any], broker_url: str
) -> None:
    (example,) = examples
    task = page["export_orders"]
    example.run({**page, "chain": chain, "read_orders": task, "export_rows": task})
    (job,) = page["jobs"].service.list_jobs(page["user"].id).items
    check(job, page)
    assert waiting(broker_url) == 1


@pytest.mark.examples("docs/how-to/enqueue.md", "idempotency_key=request_id")
def test_the_example_of_a_key_enqueues_one_job_however_often_it_runs(
    examples: list[Example], page: dict[str, Any], broker_url: str
) -> None:
    (example,) = examples
    job = run(example, page)
    check(job, page)
    assert run(example, page).id == job.id
    assert waiting(broker_url) == 1


@pytest.mark.examples("docs/how-to/enqueue.md", "enqueue_many")
def test_the_example_of_a_batch_enqueues_each_call_once(
    examples: list[Example], page: dict[str, Any], broker_url: str
) -> None:
    (example,) = examples
    example.run(page)
    first = page["created"]
    assert [job.parameters["year"] for job in first] == list(range(2000, 2027))
    example.run(page)
    assert [job.id for job in page["created"]] == [job.id for job in first]
    assert waiting(broker_url, "slow") == 27


@pytest.mark.examples("docs/how-to/enqueue.md", "async def order")
async def test_the_example_for_asyncio_publishes_after_the_commit(
    examples: list[Example], page: dict[str, Any], broker_url: str, jobs_url: str
) -> None:
    (example,) = examples
    example.run(page)
    engine = create_async_engine(jobs_url)
    async with AsyncSession(engine) as session:
        job = await page["order"](session)
    await engine.dispose()
    await page["jobs"].aio.close()
    eventually(lambda: waiting(broker_url) == 1, "the publication")
    assert page["jobs"].service.get_job_internal(job.id).status == "queued"


@pytest.mark.examples("docs/how-to/enqueue.md", "confirm_publish")
def test_the_example_of_confirms_reaches_the_connections_that_publish(
    examples: list[Example],
) -> None:
    """What a confirm is good for is shown with a RabbitMQ in tests/worker/test_confirms.py."""
    app = Celery("shop", broker="amqp://127.0.0.1:1//", set_as_current=False)
    (example,) = examples
    example.run({"app": app})
    assert app.connection_for_write().transport_options == {"confirm_publish": True}
    app.close()
