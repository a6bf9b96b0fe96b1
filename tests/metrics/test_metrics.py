"""What the metrics count, and what they cost."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from jobstate import JobService, figures, metrics, sweeping
from jobstate.attempts import note
from jobstate.figures import MOST_LABELS, Cursor, Happened
from jobstate.metrics import JobMetrics
from tests.factories import (
    FAILED,
    PARTIAL,
    hold_of,
    landed,
    processing_job,
    queued_job,
    released,
    take,
)

Value = Callable[..., float | None]


@pytest.fixture(autouse=True)
def _always_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FRESH", 0.0)


@pytest.fixture
def value(service: JobService) -> Value:
    """Scrape, and return a sample; the metrics count from here on."""
    counted = JobMetrics(service)
    generate_latest(counted.registry)

    def read(name: str, **labels: str) -> float | None:
        generate_latest(counted.registry)
        return counted.registry.get_sample_value(name, labels)

    return read


def test_landings_are_counted_by_type_status_and_code(service: JobService, value: Value) -> None:
    for landing in (FAILED, FAILED, PARTIAL):
        landed(service.store, processing_job(service.store, job_type="export"), landing)
    assert value("jobstate_jobs_total", type="export", status="failed", code="exception") == 2
    assert value("jobstate_jobs_total", type="export", status="partial", code="") == 1
    assert value("jobstate_jobs_enqueued_total", type="export") == 3
    assert value("jobstate_time_to_start_seconds_count", type="export") == 3
    assert value("jobstate_run_seconds_count", type="export", status="failed") == 2
    assert value("jobstate_run_seconds_sum", type="export", status="failed") is not None


def test_nothing_is_counted_twice(service: JobService, value: Value) -> None:
    landed(service.store, processing_job(service.store))
    labels = {"type": "report", "status": "completed", "code": ""}
    assert [value("jobstate_jobs_total", **labels) for _ in range(3)] == [1, 1, 1]


def test_what_happened_before_the_start_is_not_counted(service: JobService) -> None:
    landed(service.store, processing_job(service.store))
    counted = JobMetrics(service)
    for _ in range(2):
        assert b"jobstate_jobs_total{" not in generate_latest(counted.registry)


def test_a_job_that_never_ran_has_no_times(service: JobService, value: Value) -> None:
    job = queued_job(service.store)
    service.cancel(job.id, job.user_id)
    assert service.get_job_internal(job.id).is_terminal
    assert value("jobstate_jobs_total", type="report", status="failed", code="cancelled") == 1
    assert value("jobstate_time_to_start_seconds_count", type="report") is None
    assert value("jobstate_run_seconds_count", type="report", status="failed") is None


def test_rescues_retries_and_what_was_refused_are_counted(
    service: JobService, value: Value
) -> None:
    store = service.store
    hold = processing_job(store)
    store.run(sweeping.rescue(hold))
    released(store, hold_of(take(store, hold.job_id, hold.attempt).job))
    for event in ("stale_write", "duplicate_delivery"):
        store.run(note(hold.job_id, event, 1))
    for name in ("rescues", "retries", "stale_writes", "duplicate_deliveries"):
        assert value(f"jobstate_{name}_total", type="report") == 1, name


def test_what_is_rare_begins_at_0_with_the_first_job_of_a_type(
    service: JobService, value: Value
) -> None:
    """Prometheus sees no increase in a series that begins at 1."""
    queued_job(service.store)
    for name in ("rescues", "retries", "republishes", "stale_writes", "duplicate_deliveries"):
        assert value(f"jobstate_{name}_total", type="report") == 0, name


def test_live_jobs_are_counted_by_status(service: JobService, value: Value) -> None:
    queued_job(service.store, job_type="export")
    queued_job(service.store, job_type="export", eta=3600)
    processing_job(service.store, job_type="export")
    landed(service.store, processing_job(service.store, job_type="export"))
    assert value("jobstate_jobs_live", type="export", status="queued") == 2
    assert value("jobstate_jobs_live", type="export", status="processing") == 1
    assert 0 < (value("jobstate_oldest_queued_seconds", type="export") or 0) < 60
    assert value("jobstate_workers") == 2


def test_the_sweeper_lag_is_how_long_ago_somebody_swept(service: JobService, value: Value) -> None:
    assert str(value("jobstate_sweeper_lag_seconds")) == "nan"
    service.sweep()
    assert 0 <= (value("jobstate_sweeper_lag_seconds") or -1) < 60


def test_an_event_whose_commit_comes_late_is_counted(
    service: JobService, value: Value, connect: Callable[[], Any]
) -> None:
    """Its id is lower than one that was counted already."""
    with connect() as slow:
        slow.execute("begin")
        slow.execute(
            "insert into jobstate.jobs (id, user_id, job_type)"
            " values (gen_random_uuid(), gen_random_uuid(), 'late')"
        )
        queued_job(service.store, job_type="early")
        assert value("jobstate_jobs_enqueued_total", type="early") == 1
        assert value("jobstate_jobs_enqueued_total", type="late") is None
        slow.execute("commit")
    assert value("jobstate_jobs_enqueued_total", type="late") == 1
    assert value("jobstate_jobs_enqueued_total", type="early") == 1


def test_a_history_that_was_restored_from_a_backup_is_counted_on(
    service: JobService, value: Value, connect: Callable[[], Any]
) -> None:
    for _ in range(3):
        queued_job(service.store)
    assert value("jobstate_jobs_enqueued_total", type="report") == 3
    with connect() as backup:
        backup.execute("delete from jobstate.jobs")
        backup.execute("alter table jobstate.job_events alter column id restart")
    for number in (3, 4, 5):
        assert value("jobstate_jobs_enqueued_total", type="report") == number
        queued_job(service.store)


def test_what_is_missing_from_a_history_that_was_restored_is_not_counted_twice() -> None:
    cursor = Cursor(10)
    list(cursor.take([Happened(n, "report", "retry", None, None, None) for n in (12, 14)]))
    cursor.go_back(11)
    assert (cursor.last, cursor.missing()) == (11, [11])
    cursor.go_back(20)
    assert cursor.last == 11


def test_a_missing_event_is_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = Cursor(10)
    list(cursor.take([Happened(14, "report", "retry", None, None, None)]))
    assert cursor.missing() == [11, 12, 13]
    list(cursor.take([Happened(12, "report", "retry", None, None, None)]))
    assert cursor.missing() == [11, 13]
    monkeypatch.setattr(figures, "LATEST", 0.0)
    assert cursor.missing() == []


def test_many_job_types_share_a_series(service: JobService, value: Value) -> None:
    for number in range(MOST_LABELS + 3):
        queued_job(service.store, job_type=f"type-{number}")
    assert value("jobstate_jobs_enqueued_total", type="other") == 3


def test_a_database_that_is_away_is_told_and_counters_stay(
    service: JobService, value: Value, connect: Callable[[], Any]
) -> None:
    queued_job(service.store)
    assert value("jobstate_jobs_enqueued_total", type="report") == 1
    assert value("jobstate_up") == 1
    with connect() as connection:
        connection.execute("alter table jobstate.job_events rename to elsewhere")
    assert value("jobstate_up") == 0
    assert value("jobstate_jobs_enqueued_total", type="report") == 1
    assert value("jobstate_jobs_live", type="report", status="queued") is None
    for name in ("workers", "sweeper_lag_seconds"):
        assert str(value(f"jobstate_{name}")) == "nan", name


def test_two_scrapes_at_a_time_cost_as_much_as_one(
    service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "FRESH", 3600.0)
    counted = JobMetrics(service)
    generate_latest(counted.registry)
    queued_job(service.store)
    generate_latest(counted.registry)
    live = {"type": "report", "status": "queued"}
    assert counted.registry.get_sample_value("jobstate_jobs_live", live) is None


def test_nothing_is_registered_for_the_whole_process() -> None:
    assert not [metric.name for metric in REGISTRY.collect() if metric.name.startswith("jobstate")]


@pytest.mark.parametrize(
    "operation",
    [figures.live_jobs(), figures.events_after(0, [], 10), figures.keepers()],
    ids=lambda operation: operation.statement,
)
def test_no_statement_reads_the_whole_table(
    service: JobService, connect: Callable[[], Any], operation: Any
) -> None:
    """Among many jobs that have landed."""
    with connect() as connection:
        connection.execute("alter table jobstate.jobs disable trigger user")
        connection.execute(
            "insert into jobstate.jobs (id, user_id, job_type, status, attempt, completed_at)"
            " select gen_random_uuid(), gen_random_uuid(), 'report', 'completed', 1, now()"
            " from generate_series(1, 20000)"
        )
        connection.execute(
            "insert into jobstate.job_events (job_id, event, attempt)"
            " select id, 'retry', 1 from jobstate.jobs"
        )
        connection.execute("analyze jobstate.jobs, jobstate.job_events")
        statement = service.store._queries[operation.statement]
        rows = connection.execute(f"explain {statement}", operation.params).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert "Seq Scan on jobs" not in plan, plan
    assert "Seq Scan on job_events" not in plan, plan
