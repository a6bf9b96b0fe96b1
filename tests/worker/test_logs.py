"""What a body logs is kept with its job, where the task asks for it."""

import logging
from types import SimpleNamespace
from uuid import uuid4

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from jobstate import NotOwner
from jobstate.celery import logbook
from tests.worker.process import eventually
from tests.worker.site import Site


def test_what_a_body_logs_is_kept_with_its_job(site: Site) -> None:
    job = site.enqueue("logs")
    site.gates.reached(job.id)
    eventually(lambda: site.service.get_job_logs(job.id, site.user_id), "the first records")
    site.gates.open(job.id)
    landed = site.failed(job, "exception", "No orders")
    lines = site.service.get_job_logs(job.id, site.user_id)
    assert [(line.level, line.logger, line.message.splitlines()[0]) for line in lines] == [
        ("WARNING", "shop", "Reading 7 orders"),
        ("ERROR", "shop.orders", "It failed"),
        ("WARNING", "celery.task.shop", "Of the task's logger"),
        ("WARNING", "shop", "In a thread"),
        ("WARNING", "shop", "At the end"),
    ]
    assert "ZeroDivisionError" in lines[1].message
    assert {line.attempt for line in lines} == {1}
    assert landed.started_at is not None
    assert landed.completed_at is not None
    assert landed.started_at <= lines[0].at <= lines[-1].at <= landed.completed_at
    with pytest.raises(NotOwner):
        site.service.get_job_logs(job.id, uuid4())


def test_without_being_asked_nothing_is_kept(site: Site) -> None:
    site.landed(site.enqueue("tracks", 1))
    job = site.completed(site.enqueue("logs_for_itself"))
    assert site.service.get_job_logs(job.id, site.user_id) == []


def test_a_soft_time_limit_that_comes_while_something_is_logged_reaches_the_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Celery's handler of a signal raises it, wherever the body is."""

    def add(*_: object) -> None:
        raise SoftTimeLimitExceeded

    logs = SimpleNamespace(add=add)
    attempt = SimpleNamespace(reports=SimpleNamespace(logs=logs))
    monkeypatch.setattr(logbook, "current_attempt", lambda: attempt)
    record = logging.makeLogRecord({"name": "shop", "msg": "Reading orders"})
    with pytest.raises(SoftTimeLimitExceeded):
        logbook.JobHandler().handle(record)
