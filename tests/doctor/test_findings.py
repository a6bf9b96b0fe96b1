"""Each thing that can be wrong is found, and nothing is found where all is well."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from jobstate import JobService, sweeping
from jobstate.doctor import Check, examine
from jobstate.doctor.questions import guards
from jobstate.store.migrations import guards as migrations
from tests.doctor.conftest import Installation
from tests.factories import new_worker, processing_job, queued_job

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


def test_a_worker_of_another_release_is_left_out(
    installation: Installation, connect: Connect
) -> None:
    installation.start(installation.app())
    connect().execute("update jobstate.workers set setup = '{\"clock\": 0}'")
    assert [each.check for each in installation.examine()] == []
    new_worker(installation.service.store)
    assert [each.check for each in installation.examine()] == []


def test_every_check_says_why_and_what_helps() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "doctor.md"
    for check in Check:
        assert check.why.endswith(".")
        assert check.remedy.endswith(".")
        assert f"## {check.value}\n" in page.read_text(encoding="utf-8")
