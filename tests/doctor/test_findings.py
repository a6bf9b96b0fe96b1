"""Each thing that can be wrong is found, and nothing is found where all is well."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kombu import Queue

import jobstate
from jobstate import JobService, sweeping
from jobstate.celery.find import find_app
from jobstate.celery.setup import setup_of, tasks_of
from jobstate.doctor import Check, configured, examine
from jobstate.doctor.questions import guards
from jobstate.store.migrations import guards as migrations
from tests.doctor.conftest import GOOD, Installation
from tests.factories import (
    POLICY,
    hold_of,
    landed,
    new_worker,
    processing_job,
    queued_job,
    take,
)

Told = Callable[..., list[tuple[str, str]]]
Connect = Callable[[], psycopg.Connection]

NOWHERE = "postgresql+psycopg://127.0.0.1:1/nowhere"


def test_nothing_is_found_where_all_is_well(told: Told, installation: Installation) -> None:
    queued_job(installation.service.store, queue="q")
    processing_job(installation.service.store)
    assert told(grace=400) == []


def test_workers_alone_can_be_examined(installation: Installation) -> None:
    installation.start(installation.app())
    assert installation.examine() == []


def test_a_database_that_is_away_is_a_finding_and_the_app_is_examined_all_the_same(
    installation: Installation,
) -> None:
    app = installation.app(task_acks_late=True)
    settings = replace(installation.settings(app), database_url=NOWHERE)
    found = examine(settings, app)
    assert [each.check for each in found] == [Check.DATABASE, Check.ACKS_LATE_EVERYWHERE]
    assert "Connection refused" in found[0].what


def test_a_missing_schema_is_found(installation: Installation, database_url: str) -> None:
    app = installation.app(jobstate_database_url=database_url)
    assert [found.check for found in installation.examine(app)] == [Check.SCHEMA]


def test_the_doctor_knows_every_guard_of_the_schema(service: JobService) -> None:
    found = service.store.run(guards())
    # A CHECK without a name of its own, and the index of Alembic's table.
    named = {guard for guard in found if not guard[1].endswith(("_check", "_pkc"))}
    assert named == set(migrations.guards())
    assert len(migrations.guards()) == len(named)
    assert all(found.values())


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("alter table {} disable trigger jobs_moved", "trigger jobs_moved"),
        ("drop trigger jobs_inserted on {}", "trigger jobs_inserted"),
        ("alter table {} drop constraint jobs_numbers_in_range", "check jobs_numbers_in_range"),
        ("drop index jobstate.jobs_due", "index jobs_due"),
    ],
)
def test_a_guard_that_is_gone_is_found(
    statement: str, what: str, told: Told, connect: Connect
) -> None:
    connect().execute(statement.format("jobstate.jobs").encode())
    ((check, said),) = told()
    assert check == "guards"
    assert said.startswith(f"The {what} of schema jobstate is ")


def test_a_clock_that_is_wrong_is_found(
    installation: Installation, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = installation.app()
    right = time.time
    monkeypatch.setattr("jobstate.celery.setup.time.time", lambda: right() - 60)
    installation.start(app, "celery@slow")
    ((check, said), *others) = told()
    assert check == "clock"
    assert "this machine is 60 s behind" in said
    assert [(check, "60 s behind" in said) for check, said in others] == [("clock", True)] * 2


def test_it_is_found_that_nobody_sweeps(installation: Installation, connect: Connect) -> None:
    ((check, said),) = [
        (each.check, each.what) for each in installation.examine(installation.app())
    ]
    assert (check, said.startswith("No sweeper was ever seen")) == (Check.SWEEPER, True)
    installation.service.store.run(sweeping.see(installation.settings(installation.apps[0])))
    connect().execute("update jobstate.sweeps set last_seen_at = now() - interval '1 hour'")
    (found,) = installation.examine(installation.apps[0])
    assert (found.check, "36" in found.what) == (Check.SWEEPER, True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("next_check_at = now() - interval '1 hour'", "was to be looked at"),
        ("next_check_at = null", "waits to be published, and nobody will look"),
    ],
)
def test_a_queued_job_that_is_stuck_is_found(
    change: str, reason: str, told: Told, installation: Installation, connect: Connect
) -> None:
    job = queued_job(installation.service.store)
    connect().execute(f"update jobstate.jobs set {change}".encode())  # noqa: S608 - from above
    assert told() == [("stuck_jobs", f"Job {job.id} {reason}, for more than 65 s.")]


@pytest.mark.parametrize(
    "change",
    [
        "update jobstate.workers set lease_until = now() - interval '1 hour'",
        "update jobstate.workers set dead_at = now() - interval '1 hour'",
        "delete from jobstate.workers",
    ],
)
def test_a_job_whose_worker_is_gone_is_found(
    change: str, told: Told, installation: Installation, connect: Connect
) -> None:
    hold = processing_job(installation.service.store)
    connect().execute(change.encode())
    ((check, said),) = told()
    assert check == "stuck_jobs"
    assert said.startswith(f"Job {hold.job_id} is held by a worker that is gone")


def test_a_queue_that_nobody_consumes_is_found(
    told: Told, installation: Installation, connect: Connect
) -> None:
    queued_job(installation.service.store, queue="nobody's")
    connect().execute("update jobstate.jobs set created_at = now() - interval '5 minutes'")
    ((check, said),) = told()
    assert (check, said.partition(", ")[0]) == (
        "unserved_queue",
        "Queue nobody's has 1 jobs that no worker will get",
    )


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


def test_a_worker_of_another_release_is_left_out(
    installation: Installation, connect: Connect
) -> None:
    installation.start(installation.app())
    connect().execute("update jobstate.workers set setup = '{\"clock\": 0}'")
    assert [each.check for each in installation.examine()] == []
    new_worker(installation.service.store)
    assert [each.check for each in installation.examine()] == []


def test_credentials_of_a_broker_are_not_noted(installation: Installation) -> None:
    installation.broker_url = "redis://user:secret@127.0.0.1:1/0"
    app = installation.app()
    assert "secret" not in setup_of(app, installation.settings(app)).encode()


def test_every_check_says_why_and_what_helps() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "doctor.md"
    for check in Check:
        assert check.why.endswith(".")
        assert check.remedy.endswith(".")
        assert f"## {check.value}\n" in page.read_text(encoding="utf-8")


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
