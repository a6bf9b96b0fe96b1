"""From a call to a row and a message."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from kombu import Queue

from jobstate import ConfigurationError, InvalidValueError, JobStatus, OwnerRequired
from jobstate.embedded.ports import free_port
from tests.worker.apps import SYSTEM_USER
from tests.worker.site import OpenSite, Site, published


def test_enqueue_creates_a_queued_job_and_publishes_it(quiet_site: Site) -> None:
    job = quiet_site.enqueue("returns", 7)
    assert (job.status, job.attempt, job.user_id) == (JobStatus.QUEUED, 0, quiet_site.user_id)
    assert job.task_name == job.job_type == quiet_site.task("returns").name
    assert job.queue == "celery"
    (message,) = quiet_site.waiting()
    assert (message["id"], message["jobstate-after"]) == (str(job.id), 0)
    quiet_site.noted()
    row = quiet_site.read(job)
    assert row.publishes == 1
    assert row.published_at is not None


def test_the_id_of_the_job_is_the_id_of_the_task(quiet_site: Site) -> None:
    task_id = uuid4()
    assert quiet_site.enqueue_with("returns", task_id=task_id).id == task_id
    result = quiet_site.task("returns").apply_async((1,), user_id=quiet_site.user_id)
    assert quiet_site.read(result.id).status is JobStatus.QUEUED


def test_the_same_idempotency_key_is_the_same_job(quiet_site: Site) -> None:
    first = quiet_site.enqueue_with("returns", 1, idempotency_key="order 7")
    again = quiet_site.enqueue_with("returns", 2, idempotency_key="order 7")
    assert (again.id, again.parameters) == (first.id, {"value": 1})
    others = [
        quiet_site.enqueue_with("returns", idempotency_key="order 8"),
        quiet_site.enqueue_with("counts_runs", idempotency_key="order 7"),
        quiet_site.task("returns").enqueue_with(user_id=uuid4(), idempotency_key="order 7"),
    ]
    assert published(quiet_site) == [str(job.id) for job in (first, *others)]


def test_parameters_are_recorded_by_name(quiet_site: Site) -> None:
    job = quiet_site.enqueue("takes_two", 1, second={"a": [None]})
    assert job.parameters == {"first": 1, "second": {"a": [None]}}
    assert quiet_site.enqueue("adds", 1, 2).parameters == {"numbers": [1, 2]}


def test_redacted_parameters_are_not_recorded(quiet_site: Site) -> None:
    job = quiet_site.enqueue("knows_a_secret", "ada", "hunter2", more=1)
    assert job.parameters == {"name": "ada", "more": 1}
    assert quiet_site.read(job).parameters == job.parameters


def test_redacted_parameters_are_in_no_log_and_no_event_of_celery(quiet_site: Site) -> None:
    quiet_site.enqueue("knows_a_secret", "ada", "hunter2", more=1)
    secret = {"password": "hunter2"}
    quiet_site.enqueue("knows_a_secret", "ada", **secret)
    first, second = quiet_site.waiting()
    assert (first["argsrepr"], first["kwargsrepr"]) == ("()", "{'name': 'ada', 'more': 1}")
    assert (second["argsrepr"], second["kwargsrepr"]) == ("()", "{'name': 'ada'}")


def test_wrong_arguments_are_refused_and_nothing_is_stored(quiet_site: Site) -> None:
    with pytest.raises(TypeError):
        quiet_site.enqueue("returns", 1, 2)
    with pytest.raises(TypeError):
        quiet_site.task("returns").apply_async((1, 2), user_id=quiet_site.user_id)
    with pytest.raises(InvalidValueError, match="returns cannot be stored"):
        quiet_site.enqueue("returns", object())
    assert quiet_site.service.list_jobs(quiet_site.user_id).items == []
    assert published(quiet_site) == []


@pytest.mark.parametrize("args", ["1", {1}, {1: 1}, 1, None])
def test_what_is_no_list_of_arguments_is_refused_and_nothing_is_stored(
    quiet_site: Site, args: Any
) -> None:
    """The text of a single one, in parentheses that make no tuple, is as long as the tuple."""
    for task in (quiet_site.task("returns"), "shop.exports"):
        with pytest.raises(InvalidValueError, match=r"args of a call are .* Pass a single one as"):
            quiet_site.jobs.enqueue(task, args, user_id=quiet_site.user_id)
    with pytest.raises(InvalidValueError, match="kwargs of a call are a list"):
        quiet_site.jobs.enqueue("shop.exports", (), [args], user_id=quiet_site.user_id)
    assert quiet_site.service.list_jobs(quiet_site.user_id).items == []


@pytest.mark.parametrize(
    "option",
    [
        {"queue": 5},
        {"priority": "high"},
        {"compression": "none such"},
        {"time_limit": "an hour"},
        {"headers": "X-Trace: 1"},
        {"link": "shop.notify"},
        {"link_error": iter(())},
        {"shadow": b"export"},
    ],
)
def test_an_option_that_no_message_can_have_is_refused_and_nothing_is_stored(
    quiet_site: Site, option: dict[str, Any]
) -> None:
    """Its job would never be published, and its broker would seem to be down."""
    (name,) = option
    for task in (quiet_site.task("returns"), "shop.exports"):
        with pytest.raises(InvalidValueError, match=f"Option {name} is .* it must be"):
            quiet_site.jobs.enqueue(task, (1,), user_id=quiet_site.user_id, **option)
    assert quiet_site.service.list_jobs(quiet_site.user_id).items == []


def test_options_that_a_message_can_have_are_taken(quiet_site: Site) -> None:
    options: dict[str, Any] = {
        "compression": "gzip",
        "headers": {"X-Trace": "1"},
        "link": [quiet_site.task("returns").s()],
        "priority": 0,
        "queue": Queue("exports"),
        "retry": True,
        "retry_policy": {"max_retries": 7},
        "soft_time_limit": 1.5,
    }
    job = quiet_site.task("returns").enqueue_with(range(1), user_id=quiet_site.user_id, **options)
    together = [{"args": range(1)}] * 3
    jobs = quiet_site.jobs.enqueue_many(
        quiet_site.task("returns"), together, user_id=quiet_site.user_id, **options
    )
    messages = quiet_site.waiting("exports")
    assert [message["id"] for message in messages] == [str(job.id), *(str(job.id) for job in jobs)]


def test_a_signature_is_no_task(quiet_site: Site) -> None:
    with pytest.raises(ConfigurationError, match=r"returns is given as a signature.*apply_async"):
        quiet_site.jobs.enqueue(quiet_site.task("returns").s(1), user_id=quiet_site.user_id)


def test_a_job_without_an_owner_is_refused(open_site: OpenSite) -> None:
    with open_site(jobstate_system_user_id=None) as site:
        with pytest.raises(OwnerRequired, match="Pass user_id="):
            site.task("returns").delay(1)
        with pytest.raises(OwnerRequired):
            site.task("returns").apply((1,))
        assert published(site) == []


def test_an_owner_is_never_guessed_by_enqueue(quiet_site: Site) -> None:
    """The system user owns what plain Celery calls start; `enqueue` is told, or refuses."""
    with pytest.raises(OwnerRequired):
        quiet_site.task("returns").enqueue(1, user_id=None)
    with pytest.raises(OwnerRequired):
        quiet_site.jobs.enqueue("shop.exports", user_id=None)
    result = quiet_site.task("returns").delay(1)
    assert quiet_site.read(result.id).user_id == UUID(SYSTEM_USER)


def test_a_task_is_enqueued_by_name_without_its_code(quiet_site: Site) -> None:
    job = quiet_site.jobs.enqueue(
        "shop.exports", (2026,), {"name": "ü"}, user_id=quiet_site.user_id, queue="exports"
    )
    assert (job.task_name, job.job_type, job.queue) == ("shop.exports", "shop.exports", "exports")
    assert job.parameters == {"args": [2026], "name": "ü"}
    (message,) = quiet_site.waiting("exports")
    assert (message["id"], message["task"]) == (str(job.id), "shop.exports")


def test_a_task_that_is_known_is_enqueued_by_name_as_by_itself(quiet_site: Site) -> None:
    name = quiet_site.task("returns").name
    for task in (name, quiet_site.task("returns")):
        job = quiet_site.jobs.enqueue(task, (1,), user_id=quiet_site.user_id)
        assert job.parameters == {"value": 1}


@pytest.mark.parametrize("task", ["knows_nothing_of_jobs", "is_plain"])
def test_a_task_that_is_no_job_cannot_be_enqueued(quiet_site: Site, task: str) -> None:
    """Its job would wait for ever: nobody would take it."""
    found = quiet_site.task(task)
    with pytest.raises(ConfigurationError, match=task):
        quiet_site.jobs.enqueue(found.name, ("key",), user_id=quiet_site.user_id)
    with pytest.raises(ConfigurationError, match="job_track"):
        quiet_site.task("is_plain").enqueue("key", user_id=quiet_site.user_id)
    assert quiet_site.service.list_jobs(quiet_site.user_id).items == []


def test_times_are_those_of_the_call(quiet_site: Site) -> None:
    at = datetime(2031, 5, 1, 12, tzinfo=UTC)
    job = quiet_site.enqueue_with("returns", eta=at, expires=at + timedelta(days=1), deadline=60)
    assert (job.eta, job.expires_at) == (at, at + timedelta(days=1))
    assert job.deadline_at is not None
    later = quiet_site.enqueue_with("returns", countdown=3600)
    assert later.eta is not None
    assert timedelta(minutes=59) < later.eta - later.created_at < timedelta(minutes=61)
    written = quiet_site.enqueue_with("returns", eta="2031-05-01T12:00:00")
    assert written.eta == at
    with pytest.raises(InvalidValueError, match="must be ISO 8601"):
        quiet_site.enqueue_with("returns", eta="tomorrow")


def test_a_broker_that_is_down_keeps_nobody_from_enqueueing(
    quiet_site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the result backend of the task is the same broker."""
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    soon = {"retry_policy": {"max_retries": 1, "interval_start": 0}}
    with Site(
        quiet_site.conf["database_url"], nowhere, result_backend_transport_options=soon
    ) as site:
        for task in ("returns", "adds"):
            job = site.enqueue(task)
            assert job.status is JobStatus.QUEUED
            assert f"Job {job.id} was not published" in caplog.text
            assert site.read(job).published_at is None
            assert quiet_site.jobs.publish(job) is True
