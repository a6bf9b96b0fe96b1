"""The examples of docs/how-to/enqueue.md do what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from celery import Celery
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import jobstate
from jobstate import Job
from tests.worker.process import eventually

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "enqueue.md"

EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)

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


def run(page: dict[str, Any], words: str) -> Job | None:
    """Run the only example with these words, and return the job that it enqueues."""
    (code,) = (example for example in EXAMPLES if words in example)
    page.pop("job", None)
    exec(code, page)  # noqa: S102 - our own documentation
    return page.get("job")


def waiting(broker_url: str, queue: str = "celery") -> int:
    """Count the messages in the broker."""
    with redis.Redis.from_url(broker_url) as client:
        return client.llen(queue)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("words", "queue"),
    [
        ("export_orders.enqueue(2026, user_id=user.id)\n", "celery"),
        ("countdown=60", "slow"),
        ('jobs.enqueue("shop.tasks', "celery"),
        ("connection=session)\n    session.commit()", "celery"),
        ("psycopg.connect(url)", "celery"),
        ("idempotency_key=request_id", "celery"),
    ],
)
def test_each_example_enqueues_one_job_and_publishes_it(
    page: dict[str, Any], broker_url: str, words: str, queue: str
) -> None:
    job = run(page, words)
    assert job is not None
    read = page["jobs"].service.get_job(job.id, page["user"].id)
    assert (read.status, read.job_type, read.queue) == ("queued", "export", queue)
    assert list(read.parameters.values()) in ([2026], [[2026]])
    assert waiting(broker_url, queue) == 1
    assert (run(page, words).id == job.id) is ("idempotency_key" in words)  # type: ignore[union-attr]


def test_the_example_of_a_batch_enqueues_each_call_once(
    page: dict[str, Any], broker_url: str
) -> None:
    run(page, "enqueue_many")
    first = page["created"]
    assert [job.parameters["year"] for job in first] == list(range(2000, 2027))
    run(page, "enqueue_many")
    assert [job.id for job in page["created"]] == [job.id for job in first]
    assert waiting(broker_url, "slow") == 27


async def test_the_example_for_asyncio_publishes_after_the_commit(
    page: dict[str, Any], broker_url: str, jobs_url: str
) -> None:
    run(page, "async def order")
    engine = create_async_engine(jobs_url)
    async with AsyncSession(engine) as session:
        job = await page["order"](session)
    await engine.dispose()
    await page["jobs"].aio.close()
    eventually(lambda: waiting(broker_url) == 1, "the publication")
    assert page["jobs"].service.get_job_internal(job.id).status == "queued"
