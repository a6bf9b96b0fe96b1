"""What apps and workers are set to that will hurt is found, by what tasks take and may take."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from kombu import Queue

import jobstate
from jobstate import JobService
from jobstate.celery.find import find_app
from jobstate.celery.setup import setup_of, tasks_of
from jobstate.doctor import Check, configured
from tests.doctor.conftest import GOOD, Installation
from tests.factories import POLICY, hold_of, landed, queued_job, take

Told = Callable[..., list[tuple[str, str]]]
Connect = Callable[[], psycopg.Connection]


@pytest.mark.parametrize(
    "broker_url", ["redis://:secret@127.0.0.1:1/0", "amqp://guest:secret@127.0.0.1:1//"]
)
def test_a_broker_that_is_away_is_found(broker_url: str, installation: Installation) -> None:
    installation.broker_url = broker_url
    app = installation.app()
    installation.start(app)
    (found,) = installation.examine(app)
    assert found.check is Check.BROKER
    assert "127.0.0.1:1" in found.what
    assert "secret" not in found.what


def slow_job(
    service: JobService, connect: Connect, name: str, seconds: float, *, late: bool = False
) -> None:
    job = queued_job(service.store, task_name=name)
    policy = replace(POLICY, idempotent=late)
    landed(service.store, hold_of(take(service.store, job.id, policy=policy).job))
    connect().execute(
        "update jobstate.jobs set attempt_started_at = completed_at - make_interval(secs => %s)",
        (seconds,),
    )


def test_a_visibility_timeout_below_what_was_observed_is_found(
    told: Told, installation: Installation, connect: Connect
) -> None:
    slow_job(installation.service, connect, "shop.export", 700, late=True)
    ((check, said),) = told()
    assert check == "visibility_timeout"
    assert "has a visibility timeout of 600 s; shop.export takes 700.0 s" in said


def test_what_an_early_task_takes_says_nothing_about_the_visibility_timeout(
    installation: Installation, connect: Connect
) -> None:
    app = installation.app()
    installation.start(app)
    slow_job(installation.service, connect, "shop.early", 700)
    assert installation.examine(app) == []


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"task_time_limit": 900}, "acknowledges late and may take 900 s"),
        (
            {
                "broker_transport_options": {
                    **GOOD["broker_transport_options"],
                    "visibility_timeout": 50,
                },
                "task_time_limit": 20,
            },
            "60 s in a worker for its time",
        ),
    ],
)
def test_a_visibility_timeout_below_what_may_be_is_found(
    limits: dict[str, Any], said: str, told: Told
) -> None:
    ((check, what),) = told(**limits)
    assert (check, said in what) == ("visibility_timeout", True)


def test_two_apps_with_different_visibility_timeouts_are_found(
    installation: Installation, told: Told
) -> None:
    options = {**GOOD["broker_transport_options"], "visibility_timeout": 900}
    installation.start(installation.app(broker_transport_options=options), "celery@other")
    ((check, said),) = told()
    assert check == "visibility_differs"
    assert "600 s (The app shop1 (and 1 like it)), 900 s (The worker celery@other)" in said


def test_a_consumer_timeout_below_the_hard_limit_is_found(installation: Installation) -> None:
    queues = [Queue("slow", queue_arguments={"x-consumer-timeout": 3_600_000}), Queue("celery")]
    installation.broker_url = "amqp://127.0.0.1:1//"
    for conf, found in (
        ({"task_time_limit": 2000}, 1800),
        ({"task_time_limit": 4000, "task_queues": queues}, 3600),
    ):
        app = installation.app(**conf)
        checks = {each.check: each.what for each in installation.examine(app)}
        assert f"a consumer timeout of {found} s" in checks[Check.CONSUMER_TIMEOUT]


def test_a_server_with_another_consumer_timeout_is_believed_but_for_queues_with_their_own(
    installation: Installation,
) -> None:
    queues = [Queue("slow", queue_arguments={"x-consumer-timeout": 3_600_000})]
    installation.broker_url = "amqp://127.0.0.1:1//"

    def told(told: float, **conf: Any) -> str | None:
        app = installation.app(task_time_limit=4000, **conf)
        found = installation.examine(app, consumer_timeout=told)
        return next((each.what for each in found if each.check is Check.CONSUMER_TIMEOUT), None)

    assert told(7200) is None
    assert " has a consumer timeout of 3000 s; " in str(told(3000))
    assert " has a consumer timeout of 3600 s; " in str(told(7200, task_queues=queues))


@pytest.mark.parametrize(
    ("conf", "check", "said"),
    [
        (
            {"broker_transport_options": {"visibility_timeout": 600, "socket_timeout": 5}},
            "socket_timeouts",
            "has no socket_connect_timeout",
        ),
        (
            {"worker_cancel_long_running_tasks_on_connection_loss": True},
            "connection_loss",
            "_on_connection_loss on",
        ),
        ({"task_acks_late": True}, "acks_late_everywhere", "task_acks_late on: shop.early"),
        (
            {"result_backend": "redis://", "task_ignore_result": False},
            "result_backend",
            "stores results in redis, and waits 120 s",
        ),
        (
            {
                "result_backend": "redis://",
                "task_ignore_result": False,
                "redis_socket_timeout": None,
            },
            "result_backend",
            "waits for ever",
        ),
        (
            {
                "result_backend": "rpc://",
                "task_ignore_result": False,
                "task_track_started": True,
            },
            "result_backend",
            "stores results in rpc, with task_track_started on",
        ),
    ],
)
def test_a_setting_of_celery_that_hurts_is_found(
    conf: dict[str, Any], check: str, said: str, told: Told
) -> None:
    ((found, what),) = told(**conf)
    assert found == check
    assert said in what


def test_rabbitmq_without_heartbeats_is_found(installation: Installation) -> None:
    installation.broker_url = "amqp://127.0.0.1:1//"
    app = installation.app(broker_heartbeat=0)
    assert Check.BROKER_HEARTBEAT in {found.check for found in installation.examine(app)}


def test_redis_with_tls_and_without_timeouts_is_found(installation: Installation) -> None:
    installation.broker_url = "rediss://127.0.0.1:1/0"
    app = installation.app(broker_transport_options={})
    assert Check.SOCKET_TIMEOUTS in {found.check for found in installation.examine(app)}


def test_an_app_without_jobstate_is_found(installation: Installation) -> None:
    installation.start(installation.app())
    app = installation.app(install=False, task_retry_on_worker_lost=True)
    assert [found.check for found in installation.examine(app)] == [
        Check.NOT_INSTALLED,
        Check.RETRY_ON_WORKER_LOST,
    ]


def test_an_app_whose_tasks_cannot_be_loaded_is_found(installation: Installation) -> None:
    app = installation.app(include=["no.such.module"])
    installation.start(app)
    (found,) = installation.examine(app)
    assert found.check is Check.CONFIGURATION
    assert "No module named 'no'" in found.what


@pytest.mark.parametrize(
    ("limit", "took", "said"),
    [
        (300, 1, "may take 300 s; the grace period is 30 s"),
        (None, 90, "took up to 90.0 s; the grace period is 30 s"),
        (20, 90, None),
    ],
)
def test_a_task_that_a_deploy_would_kill_is_found(
    limit: float | None,
    took: float,
    said: str | None,
    installation: Installation,
    connect: Connect,
) -> None:
    app = installation.app(task_time_limit=limit)
    installation.start(app)
    slow_job(installation.service, connect, "shop.early", took)
    found = installation.examine(app, grace=30)
    assert [(each.check, each.what) for each in found] == (
        [(Check.GRACE_PERIOD, f"shop.early {said}.")] if said else []
    )


def test_credentials_of_a_broker_are_not_noted(installation: Installation) -> None:
    installation.broker_url = "redis://user:secret@127.0.0.1:1/0"
    app = installation.app()
    assert "secret" not in setup_of(app, installation.settings(app)).encode()


def test_the_settings_of_the_example_are_well() -> None:
    app = find_app("workers.app")
    settings = jobstate.install(app).settings
    named = [("The example", setup_of(app, settings))]
    tasks = tasks_of(app)
    assert tasks
    found = [
        *configured.redelivery(named, tasks, {}),
        *configured.connections(named),
        *configured.celery(named, tasks),
    ]
    assert found == []
