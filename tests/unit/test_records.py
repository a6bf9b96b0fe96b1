"""Records are frozen, and turn into JSON without what their readers must not see."""

import json
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobstate import Asset, ItemStatus, Job, JobEvent, JobItem, JobStatus, Stats

NOON = datetime(2026, 5, 17, 14, tzinfo=timezone(timedelta(hours=2)))


def a_job(**columns: Any) -> Job:
    plain: dict[str, Any] = dict.fromkeys(field.name for field in fields(Job))
    plain |= {"id": uuid4(), "user_id": uuid4(), "job_type": "report", "status": "processing"}
    plain |= {"created_at": NOON, "updated_at": NOON, "error_detail": {"host": "w1"}}
    return Job.from_row(tuple((plain | columns).values()))


def test_a_job_is_read_with_its_status_and_its_times_in_utc() -> None:
    job = a_job()
    assert job.status is JobStatus.PROCESSING
    assert job.created_at == NOON
    assert job.created_at.tzinfo is UTC


@pytest.mark.parametrize("status", JobStatus)
def test_a_job_knows_whether_it_has_landed(status: JobStatus) -> None:
    landed = {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PARTIAL}
    assert a_job(status=status).is_terminal is (status in landed)


def test_the_duration_runs_from_the_first_take_to_the_landing() -> None:
    later = NOON + timedelta(minutes=5)
    assert a_job().duration is None
    assert a_job(started_at=NOON, completed_at=later).duration == timedelta(minutes=5)


def test_the_duration_of_a_running_job_goes_on() -> None:
    started = datetime.now(UTC) - timedelta(hours=1)
    running = a_job(started_at=started)
    before = running.duration
    assert before is not None
    assert before >= timedelta(hours=1)
    assert running.duration >= before


def test_a_job_in_json_hides_what_is_for_operators() -> None:
    job = a_job(result={"rows": [1]}, parent_id=UUID(int=5))
    shown = job.to_dict()
    assert "error_detail" not in shown
    assert set(shown) | {"error_detail"} == {field.name for field in fields(Job)}
    assert shown["id"] == str(job.id)
    assert shown["status"] == "processing"
    assert type(shown["status"]) is str
    assert shown["created_at"] == "2026-05-17T12:00:00+00:00"
    assert shown["parent_id"] == "00000000-0000-0000-0000-000000000005"
    assert json.loads(json.dumps(shown)) == shown


def test_a_job_in_json_shows_everything_when_it_is_asked_to() -> None:
    assert a_job().to_dict(internal=True)["error_detail"] == {"host": "w1"}


@pytest.mark.parametrize("user_id", [uuid4(), 2**40, "auth0|5"])
def test_a_job_in_json_has_its_owner_whatever_its_type(user_id: object) -> None:
    shown = a_job(user_id=user_id).to_dict()
    assert shown["user_id"] == (str(user_id) if isinstance(user_id, UUID) else user_id)
    json.dumps(shown)


def test_the_other_records_turn_into_json_too() -> None:
    job_id = uuid4()
    records = [
        Asset.from_row((uuid4(), job_id, 5, 1, "csv", "u", "p", 9, None, None, NOON, NOON)),
        JobEvent.from_row((1, job_id, NOON, "transition", None, "queued", 0, None, None, {"a": 1})),
        JobItem.from_row((job_id, "a", 1, "failed", "The first", "No", NOON)),
    ]
    for record in records:
        shown = record.to_dict()
        assert set(shown) == {field.name for field in fields(record)}
        assert json.loads(json.dumps(shown)) == shown


def test_statuses_of_events_and_items_are_enums() -> None:
    event = JobEvent.from_row((1, uuid4(), NOON, "transition", None, "queued", 0, None, None, None))
    assert event.from_status is None
    assert event.to_status is JobStatus.QUEUED
    item = JobItem.from_row((uuid4(), "a", 1, "skipped", None, None, NOON))
    assert item.status is ItemStatus.SKIPPED


def test_statistics_turn_into_json() -> None:
    stats = Stats({JobStatus.QUEUED: 2}, {"report": {JobStatus.QUEUED: 2}}, NOON)
    assert stats.to_dict() == {
        "by_status": {"queued": 2},
        "by_type": {"report": {"queued": 2}},
        "oldest_queued_at": NOON.isoformat(),
    }
    assert json.dumps(Stats({}, {}, None).to_dict())


def test_a_record_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        a_job().status = JobStatus.COMPLETED  # type: ignore[misc]


def reported_after(seconds: float, **columns: Any) -> Job:
    """A job whose attempt has run so long when it last reported."""
    at = NOON + timedelta(seconds=seconds)
    return a_job(started_at=NOON, **{"attempt_started_at": NOON, "progress_at": at, **columns})


def test_the_rest_is_expected_to_take_as_long_as_the_past_did() -> None:
    assert reported_after(60, progress=25).eta_seconds == pytest.approx(180)
    assert reported_after(60, progress=100).eta_seconds == 0


def test_amounts_tell_the_rest_finer_than_the_percentage() -> None:
    job = reported_after(10, progress=0, progress_current=1, progress_total=1000)
    assert job.eta_seconds == pytest.approx(9990)


def test_a_percentage_that_was_said_since_wins_over_the_amounts() -> None:
    job = reported_after(10, progress=50, progress_current=1, progress_total=1000)
    assert job.eta_seconds == pytest.approx(10)


def test_only_the_running_attempt_tells_the_rest() -> None:
    later = NOON + timedelta(hours=1)
    job = reported_after(3660, progress=50, attempt_started_at=later)
    assert job.eta_seconds == pytest.approx(60)


@pytest.mark.parametrize(
    "columns",
    [
        {"progress": 0},
        {"progress": 0, "progress_current": 500, "progress_total": None},
        {"progress": 0, "progress_current": 5, "progress_total": 0},
        {"progress": 100, "progress_current": 12, "progress_total": 10},
        {"progress": 50, "retry_at": NOON},
        {"progress": 50, "progress_at": None},
        {"progress": 50, "attempt_started_at": None},
        *({"progress": 50, "status": status} for status in ("queued", "completed", "failed")),
    ],
)
def test_the_rest_is_unknown_rather_than_made_up(columns: dict[str, Any]) -> None:
    assert reported_after(60, **columns).eta_seconds is None
