"""The example of docs/how-to/items.md does what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import Celery

import jobstate
from jobstate import Job, JobService, JobTask, reporting
from jobstate.items import Outcome
from jobstate.states import ItemStatus
from tests.factories import hold_of, released, take

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "items.md"

USER = uuid4()


@pytest.fixture
def app(jobs_url: str) -> Iterator[Celery]:
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.jobstate_database_url = jobs_url
    yield app
    jobstate.install(app).service.close()
    app.close()


@pytest.fixture
def sent() -> list[int]:
    """The invoices that were sent."""
    return []


@pytest.fixture
def send_invoices(app: Celery, sent: list[int]) -> JobTask:
    """The task of the example; invoice 3 cannot be sent the first time."""

    def send(invoice_id: int) -> None:
        if invoice_id == 3 and 3 not in tried:
            tried.append(3)
            raise ValueError("No address")
        sent.append(invoice_id)

    tried: list[int] = []
    jobstate.install(app)
    (code,) = re.findall(r"```python\n(@app\.task\([^`]*job_resume=True[^`]*)```", PAGE.read_text())
    # Celery shares tasks between apps: each test has one of another name.
    names: dict[str, Any] = {"jobstate": jobstate, "app": app, "send": send}
    names["__name__"] = f"shop_{uuid4().hex}"
    exec(code, names)  # noqa: S102 - the example itself
    task: JobTask = names["send_invoices"]
    return task


def run(task: JobTask, job: Job) -> Job:
    """Run the next attempt of a job here and now."""
    task.apply(([1, 2, 3, 4],), task_id=str(job.id))
    return jobstate.install(task.app).service.get_job_internal(job.id)


def test_a_further_attempt_sends_only_what_was_not_sent(
    send_invoices: JobTask, sent: list[int], service: JobService
) -> None:
    job = send_invoices.enqueue([1, 2, 3, 4], user_id=USER)
    hold = hold_of(take(service.store, job.id).job)
    done = Outcome(ItemStatus.SUCCEEDED)
    service.store.run(reporting.record_items(hold, {"1": done, "2": done}))
    released(service.store, hold)
    landed = run(send_invoices, job)
    assert sent == [4]
    assert (landed.status, landed.attempt) == ("partial", 2)
    assert (landed.items_succeeded, landed.items_failed) == (3, 1)


def test_a_retry_of_the_failed_items_sends_those_alone(
    send_invoices: JobTask, sent: list[int], service: JobService
) -> None:
    job = run(send_invoices, send_invoices.enqueue([1, 2, 3, 4], user_id=USER))
    assert sent == [1, 2, 4]
    again = run(send_invoices, service.retry(job.id, UUID(str(USER)), "failed"))
    assert sent == [1, 2, 4, 3]
    assert (again.status, again.items_succeeded, again.retry_of) == ("completed", 1, job.id)
