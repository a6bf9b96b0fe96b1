"""How a job comes to be, and what is answered when it is there already."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import psycopg
import pytest

from jobstate import InvalidValueError, Job, JobService, JobStatus, OwnerRequired, Settings
from jobstate.creation import NewJob
from tests.factories import MESSAGE, everything

Connect = Callable[[], psycopg.Connection]


def test_a_new_job_is_queued_and_has_what_it_was_given(jobs: JobService, user_id: UUID) -> None:
    parent = uuid4()
    job = jobs.create_job(
        user_id, "report", {"year": 2026, "of": [None, 1.5, "ü"]}, parent_id=parent
    )
    assert job.status is JobStatus.QUEUED
    assert (job.user_id, job.job_type, job.parent_id) == (user_id, "report", parent)
    assert job.parameters == {"year": 2026, "of": [None, 1.5, "ü"]}
    assert (job.attempt, job.progress, job.publishes) == (0, 0, 0)
    assert (job.started_at, job.completed_at, job.worker_id, job.result) == (None, None, None, None)
    assert (job.task_name, job.queue, job.next_check_at) == (None, None, None)
    assert job.created_at.tzinfo is UTC
    assert jobs.get_job(job.id, user_id) == job


def test_its_creation_is_the_first_line_of_its_history(jobs: JobService, user_id: UUID) -> None:
    job = jobs.create_job(user_id, "report")
    (event,) = jobs.get_job_events(job.id, user_id)
    assert (event.event, event.from_status, event.to_status) == ("transition", None, "queued")
    assert (event.job_id, event.attempt, event.worker_id) == (job.id, 0, None)


@pytest.mark.parametrize("parameters", [None, {}])
def test_a_job_may_have_no_parameters(
    jobs: JobService, user_id: UUID, parameters: dict[str, object] | None
) -> None:
    assert jobs.create_job(user_id, "report", parameters).parameters == {}


@pytest.mark.parametrize("as_given", [UUID, str])
def test_a_job_may_be_given_its_id(
    jobs: JobService, user_id: UUID, as_given: Callable[[str], UUID | str]
) -> None:
    job_id = uuid4()
    assert jobs.create_job(user_id, "report", job_id=as_given(str(job_id))).id == job_id


def test_creating_a_job_with_its_id_again_returns_it(jobs: JobService, user_id: UUID) -> None:
    job = jobs.create_job(user_id, "report", {"n": 1}, job_id=uuid4())
    jobs.transition_status(job.id, JobStatus.PROCESSING)
    again = jobs.create_job(user_id, "report", {"n": 2}, job_id=job.id)
    assert again == jobs.get_job_internal(job.id)
    assert (again.status, again.parameters) == ("processing", {"n": 1})


@pytest.mark.parametrize("whose", ["somebody else", "of another type"])
def test_an_id_that_another_job_has_is_refused(
    jobs: JobService, user_id: UUID, connect: Connect, whose: str
) -> None:
    job = jobs.create_job(user_id, "report", job_id=uuid4())
    before = everything(connect(), job.id)
    owner, job_type = (uuid4(), "report") if whose == "somebody else" else (user_id, "export")
    with pytest.raises(InvalidValueError, match=f"Job id {job.id} is taken: another job has it"):
        jobs.create_job(owner, job_type, job_id=job.id)
    assert everything(connect(), job.id) == before


def test_the_same_key_of_the_same_user_and_type_is_the_same_job(
    jobs: JobService, user_id: UUID
) -> None:
    first = jobs.create_job(user_id, "report", {"n": 1}, idempotency_key="may")
    assert first.idempotency_key == "may"
    assert jobs.create_job(user_id, "report", {"n": 2}, idempotency_key="may") == first
    jobs.transition_status(first.id, JobStatus.PROCESSING)
    landed = jobs.mark_completed(first.id)
    assert jobs.create_job(user_id, "report", idempotency_key="may") == landed


def test_the_same_key_of_another_user_or_type_is_another_job(
    jobs: JobService, user_id: UUID
) -> None:
    created = [
        jobs.create_job(user_id, "report", idempotency_key="may"),
        jobs.create_job(uuid4(), "report", idempotency_key="may"),
        jobs.create_job(user_id, "export", idempotency_key="may"),
        jobs.create_job(user_id, "report", idempotency_key="june"),
        jobs.create_job(user_id, "report"),
        jobs.create_job(user_id, "report"),
    ]
    assert len({job.id for job in created}) == len(created)


def test_a_key_wins_over_a_new_id(jobs: JobService, user_id: UUID) -> None:
    first = jobs.create_job(user_id, "report", idempotency_key="may")
    assert jobs.create_job(user_id, "report", job_id=uuid4(), idempotency_key="may") == first


@pytest.mark.parametrize("seconds", [90, 90.0, timedelta(minutes=1.5)])
def test_times_may_be_a_distance_from_the_databases_clock(
    jobs: JobService, user_id: UUID, seconds: float | timedelta
) -> None:
    job = jobs.create_job(user_id, "report", expires=seconds, deadline=seconds)
    for at in (job.expires_at, job.deadline_at):
        assert at is not None
        assert timedelta(0) <= timedelta(seconds=90) - (at - job.created_at) < timedelta(seconds=1)


def test_times_may_be_moments_in_any_zone(jobs: JobService, user_id: UUID) -> None:
    at = datetime(2126, 5, 17, 12, tzinfo=timezone(timedelta(hours=-7)))
    job = jobs.create_job(user_id, "report", expires=at, deadline=at)
    assert job.expires_at == job.deadline_at == at
    assert job.deadline_at is not None
    assert job.deadline_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (datetime(2126, 5, 17), "has no time zone: it could mean several moments"),  # noqa: DTZ001 - the mistake
        ("tomorrow", "The time is a str: it must be a number"),
        (True, "The time is a bool: it must be a number"),
        (datetime(2126, 5, 17, tzinfo=UTC).date(), "The time is a date: it must be a number"),
        (float("nan"), "The time is nan: it must be a finite number"),
        (float("inf"), "The time is inf: it must be a finite number"),
        (10**400, "The time is too large"),
        (1e12, "is too far away: it is at most a thousand years from now"),
        (timedelta.max, "is too far away"),
        (timedelta.min, "is too far away"),
        (datetime.max.replace(tzinfo=UTC), "is too far away"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), "is too far away"),
    ],
)
def test_a_time_that_is_none_is_refused(
    jobs: JobService, user_id: UUID, when: float, words: str
) -> None:
    """One that Python could not read back would hide its job, and every list that it is in."""
    for times in ({"expires": when}, {"deadline": when}):
        with pytest.raises(InvalidValueError, match=words):
            jobs.create_job(user_id, "report", **times)  # type: ignore[arg-type]
    assert jobs.list_jobs(user_id).items == []


@pytest.mark.parametrize("years", [-999, 999])
def test_a_time_may_be_almost_a_thousand_years_away(
    jobs: JobService, user_id: UUID, years: int
) -> None:
    jobs.create_job(user_id, "report", deadline=timedelta(days=365 * years))
    assert len(jobs.list_jobs(user_id).items) == 1


def test_every_job_needs_an_owner(jobs: JobService) -> None:
    with pytest.raises(OwnerRequired, match="The job report has no owner: every job belongs to"):
        jobs.create_job(None, "report")


def test_a_service_from_settings_uses_them(
    open_jobs: Callable[..., JobService], jobs_url: str, user_id: UUID
) -> None:
    conf = {"jobstate_database_url": jobs_url, "jobstate_max_parameters_bytes": 10}
    jobs = open_jobs(jobs_url, settings=Settings.load(conf))
    jobs.create_job(user_id, "report", {"a": 1})
    with pytest.raises(InvalidValueError, match="Too large: 16 bytes of JSON in the parameters"):
        jobs.create_job(user_id, "report", {"a": "1234567"})


def test_a_job_for_a_worker_has_its_message_and_is_looked_after(
    jobs: JobService, user_id: UUID, connect: Connect
) -> None:
    new = NewJob(
        user_id=user_id,
        job_type="report",
        task_name="tasks.report",
        queue="slow",
        message=MESSAGE,
        eta=60,
        retry_of=uuid4(),
    )
    job: Job = jobs.create(new)
    assert job.id == new.id
    assert (job.task_name, job.queue, job.retry_of) == ("tasks.report", "slow", new.retry_of)
    assert job.eta is not None
    assert job.next_check_at is not None
    assert everything(connect(), job.id)["jobs"][0]["message"] == json.loads(MESSAGE)
    assert jobs.create(new) == job
