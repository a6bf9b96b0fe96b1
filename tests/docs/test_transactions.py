"""The example of docs/how-to/transactions.md does what the page says."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import jobstate
from jobstate import JobTask
from tests.examples import Example

pytestmark = pytest.mark.examples("docs/how-to/transactions.md")


class Base(DeclarativeBase):
    """The tables of a shop."""


class Invoice(Base):
    """What is to be paid."""

    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


class Payment(Base):
    """What was paid."""

    __tablename__ = "payments"
    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int]
    amount: Mapped[int]


@pytest.fixture
def engine(jobs_url: str) -> Iterator[Engine]:
    """The shop's database, which has the jobs too, with one invoice."""
    engine = create_engine(jobs_url)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(Invoice(id=7, amount=100))
    yield engine
    engine.dispose()


@pytest.fixture
def pay_invoice(examples: list[Example], engine: Engine, jobs_url: str) -> Iterator[JobTask]:
    """The task of the example."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.jobstate_database_url = jobs_url
    jobs = jobstate.install(app)
    (example,) = examples
    names: dict[str, Any] = {"jobstate": jobstate, "app": app, "engine": engine}
    names |= {"Session": Session, "Invoice": Invoice, "Payment": Payment}
    names["__name__"] = f"shop_{uuid4().hex}"
    example.run(names)
    yield names["pay_invoice"]
    jobs.service.close()
    app.close()


def test_the_payment_and_the_landing_commit_together(pay_invoice: JobTask, engine: Engine) -> None:
    service, user = jobstate.install(pay_invoice.app).service, uuid4()
    job = service.get_job(pay_invoice.apply((7,), user_id=user).id, user)
    assert (job.status, job.result) == ("completed", {"paid": 100})
    (asset,) = service.get_job_assets(job.id, user)
    assert asset.url == "/receipts/7"
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from payments")).scalar() == 1


def test_an_attempt_that_lost_its_job_pays_nothing(pay_invoice: JobTask, engine: Engine) -> None:
    def take_away(**columns: int) -> Payment:
        """Make a payment; in this very moment, somebody else takes the job."""
        with engine.begin() as connection:
            connection.execute(text("update jobstate.jobs set attempt = attempt + 1"))
        return Payment(**columns)

    pay_invoice.run.__globals__["Payment"] = take_away
    pay_invoice.apply((7,), user_id=uuid4())
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from payments")).scalar() == 0
