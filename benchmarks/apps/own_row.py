"""A job row as most teams write it by hand: an ORM class, a session for each step."""

import os
import uuid
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from filling import serve
from sqlalchemy import JSON, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

app = Celery("own_row", broker=os.environ["BENCH_BROKER"])
app.conf.task_default_queue = "bench"
app.conf.task_ignore_result = True
engine = create_engine(os.environ["BENCH_DATABASE"], pool_pre_ping=True)


class Base(DeclarativeBase):
    """The tables of the application."""


class Job(Base):
    """A job, with an index on what the web app asks for."""

    __tablename__ = "own_jobs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[int] = mapped_column(index=True)
    status: Mapped[str] = mapped_column(index=True, default="queued")
    progress: Mapped[int] = mapped_column(default=0)
    parameters: Mapped[Any] = mapped_column(JSON)
    result: Mapped[Any] = mapped_column(JSON, nullable=True)
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


def update(job_id: str, **values: Any) -> None:
    """Change a row, in a session of its own."""
    with Session(engine) as session:
        job = session.get_one(Job, uuid.UUID(job_id))
        for name, value in values.items():
            setattr(job, name, value)
        session.commit()


@app.task(name="nothing")
def nothing(job_id: str, number: int) -> None:
    """Do nothing, and keep the row up to date."""
    update(job_id, status="processing", started_at=datetime.now(UTC))
    update(job_id, status="completed", progress=100, result=number, finished_at=datetime.now(UTC))


def fill(_: str, number: int) -> None:
    """Enqueue so many jobs."""
    for index in range(number):
        with Session(engine) as session:
            job = Job(user_id=1, parameters={"number": index})
            session.add(job)
            session.commit()
            nothing.delay(str(job.id), index)
    engine.dispose()


if __name__ == "__main__":
    Base.metadata.create_all(engine)
    serve(fill)
