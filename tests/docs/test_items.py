"""The example of docs/how-to/items.md does what the page says."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import Celery

import jobstate
from jobstate import Job, JobService, JobTask, reporting
from jobstate.items import Outcome
from jobstate.states import ItemStatus
from tests.examples import Example
from tests.factories import hold_of, released, take

USER = uuid4()


@pytest.fixture
def app(jobs_url: str) -> Iterator[Celery]:
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.jobstate_database_url = jobs_url
    yield app
    jobstate.install(app).service.close()
    app.close()


def a_name() -> str:
    return f"shop_{uuid4().hex}"


@pytest.fixture
def sent() -> list[int]:
    """The invoices that were sent."""
    return []


@pytest.fixture
def send_invoices(examples: list[Example], app: Celery, sent: list[int]) -> JobTask:
    """The task of the first example; invoice 3 cannot be sent the first time."""

    def send(invoice_id: int) -> None:
        if invoice_id == 3 and 3 not in tried:
            tried.append(3)
            raise ValueError("No address")
        sent.append(invoice_id)

    tried: list[int] = []
    jobstate.install(app)
    # Celery shares tasks between apps: each test has one of another name.
    names: dict[str, Any] = {"jobstate": jobstate, "app": app, "send": send}
    names["__name__"] = a_name()
    examples[0].run(names)
    task: JobTask = names["send_invoices"]
    return task


def run(task: JobTask, job: Job) -> Job:
    """Run the next attempt of a job here and now."""
    task.apply(tuple(job.parameters.values()), task_id=str(job.id))
    return jobstate.install(task.app).service.get_job_internal(job.id)


@pytest.mark.examples("docs/how-to/items.md", "job_resume=True")
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


@pytest.mark.examples("docs/how-to/items.md", "job_resume=True")
def test_a_retry_of_the_failed_items_sends_those_alone(
    send_invoices: JobTask, sent: list[int], service: JobService
) -> None:
    job = run(send_invoices, send_invoices.enqueue([1, 2, 3, 4], user_id=USER))
    assert sent == [1, 2, 4]
    again = run(send_invoices, service.retry(job.id, UUID(str(USER)), "failed"))
    assert sent == [1, 2, 4, 3]
    assert (again.status, again.items_succeeded, again.retry_of) == ("completed", 1, job.id)


@pytest.mark.examples("docs/how-to/items.md", "an exception is recorded", "jobs.service.retry")
def test_an_item_that_fails_keeps_nobody_waiting_and_two_clicks_are_one_retry(
    examples: list[Example], send_invoices: JobTask, sent: list[int]
) -> None:
    job = run(send_invoices, send_invoices.enqueue([1, 2, 3, 4], user_id=USER))
    assert (job.status, job.items_succeeded, job.items_failed) == ("partial", 3, 1)
    names = {
        "job": job,
        "jobs": jobstate.install(send_invoices.app),
        "user": SimpleNamespace(id=USER),
    }
    examples[1].run(names)
    # The second call has found the job of the first.
    landed = run(send_invoices, names["again"])
    assert (landed.status, landed.retry_of) == ("completed", job.id)
    assert sent == [1, 2, 4, 1, 2, 3, 4]


@pytest.mark.examples("docs/how-to/items.md", "an exception is recorded", "after=part")
def test_a_ledger_is_read_part_by_part(
    examples: list[Example], send_invoices: JobTask, service: JobService
) -> None:
    example = examples[1]
    example.replace("1000", "2")
    job = run(send_invoices, send_invoices.enqueue([1, 2, 3, 4, 5], user_id=USER))
    shown: list[list[str]] = []
    names = {
        "job": job,
        "jobs": SimpleNamespace(service=service),
        "user": SimpleNamespace(id=USER),
        "show": lambda part: shown.append([item.key for item in part]),
    }
    example.run(names)
    assert shown == [["1", "2"], ["3", "4"], ["5"]]


@pytest.mark.examples("docs/how-to/items.md", "record_items")
def test_what_is_done_in_bulk_is_recorded_in_bulk(examples: list[Example], app: Celery) -> None:
    jobstate.install(app)
    (example,) = examples
    refused = SimpleNamespace(id=3, error="No address")
    result = SimpleNamespace(ids=[1, 2], refused=[refused])
    warehouse = SimpleNamespace(insert_all=lambda _: result)

    @app.task(base=JobTask, bind=True, name=a_name())  # type: ignore[untyped-decorator]
    def insert(self: JobTask, rows: list[int]) -> None:
        example.run({"self": self, "warehouse": warehouse, "rows": rows})

    job = run(insert, insert.enqueue([1, 2, 3], user_id=USER))
    assert (job.status, job.items_succeeded, job.items_failed) == ("partial", 2, 1)
    (item,) = jobstate.install(app).service.get_job_items(job.id, USER, status="failed")
    assert (item.key, item.error_message) == ("3", "No address")


@pytest.mark.examples("docs/how-to/items.md", "only_items")
def test_a_body_may_ask_its_database_for_the_wanted_items_alone(
    examples: list[Example], app: Celery
) -> None:
    service = jobstate.install(app).service
    (example,) = examples
    asked: list[list[int]] = []

    @app.task(base=JobTask, bind=True, name=a_name())  # type: ignore[untyped-decorator]
    def send(self: JobTask, ids: list[int]) -> None:
        names: dict[str, Any] = {"self": self, "all_rows": lambda: ids}
        names["rows_with_ids"] = lambda wanted: [id_ for id_ in ids if str(id_) in wanted]
        example.run(names)
        asked.append(names["rows"])
        self.job.record_items([1, 2], failed={3: "No address"})

    job = run(send, send.enqueue([1, 2, 3], user_id=USER))
    run(send, service.retry(job.id, USER, "failed"))
    assert asked == [[1, 2, 3], [3]]
