"""What a row may hold is checked by the database, whoever writes."""

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors, sql

from jobstate import JobService, JobStatus
from tests.factories import everything

Connect = Callable[[], psycopg.Connection]

COUNTS = [
    "attempt",
    "retries",
    "rescues",
    "publishes",
    "items_succeeded",
    "items_failed",
    "items_skipped",
]

WRONG = [
    ("queued", "status = 'done'", "jobs_status_agrees"),
    ("processing", "progress = 101", "jobs_numbers_in_range"),
    ("processing", "progress = -1", "jobs_numbers_in_range"),
    ("processing", "status = 'completed'", "jobs_status_agrees"),
    ("processing", "status = 'failed'", "jobs_status_agrees"),
    ("processing", "status = 'partial'", "jobs_status_agrees"),
    ("completed", "completed_at = null", "jobs_status_agrees"),
    ("queued", "completed_at = now()", "jobs_status_agrees"),
    ("processing", "completed_at = now()", "jobs_status_agrees"),
    ("queued", "attempt = 1", "jobs_status_agrees"),
    *(
        (status, "worker_id = gen_random_uuid()", "jobs_status_agrees")
        for status in ("queued", "completed", "failed", "partial")
    ),
    *(("processing", f"{count} = -1", "jobs_numbers_in_range") for count in COUNTS),
]


@pytest.fixture
def changed(connect: Connect) -> Callable[[UUID, str], None]:
    """Change columns of a job in plain SQL."""

    def change(job_id: UUID, assignment: str) -> None:
        statement = sql.SQL("update jobstate.jobs set {} where id = %s")
        connect().execute(statement.format(sql.SQL(assignment)), (job_id,))  # type: ignore[arg-type]

    return change


@pytest.mark.parametrize(("status", "assignment", "constraint"), WRONG)
def test_a_row_that_breaks_a_rule_is_refused(
    job_in: Callable[[str], object],
    connect: Connect,
    changed: Callable[[UUID, str], None],
    status: str,
    assignment: str,
    constraint: str,
) -> None:
    job = job_in(status)
    before = everything(connect(), job.id)
    with pytest.raises(errors.CheckViolation) as refused:
        changed(job.id, assignment)
    assert refused.value.diag.constraint_name == constraint
    assert everything(connect(), job.id) == before


@pytest.mark.parametrize("value", ["'NaN'::double precision", "'Infinity'::double precision"])
def test_progress_is_a_number(
    job_in: Callable[[str], object],
    connect: Connect,
    changed: Callable[[UUID, str], None],
    value: str,
) -> None:
    job = job_in("processing")
    before = everything(connect(), job.id)
    with pytest.raises(errors.NumericValueOutOfRange):
        changed(job.id, f"progress = {value}")
    assert everything(connect(), job.id) == before


@pytest.mark.parametrize("column", ["user_id", "job_type", "parameters", "progress", "created_at"])
def test_what_every_job_has_cannot_be_missing(
    job_in: Callable[[str], object], changed: Callable[[UUID, str], None], column: str
) -> None:
    with pytest.raises(errors.NotNullViolation):
        changed(job_in("queued").id, f"{column} = null")


def test_a_processing_job_may_be_held(
    job_in: Callable[[str], object],
    service: JobService,
    changed: Callable[[UUID, str], None],
) -> None:
    job = job_in("processing")
    changed(job.id, "worker_id = gen_random_uuid()")
    assert service.get_job_internal(job.id).worker_id is not None


ASSET = """
    insert into jobstate.assets
        (id, job_id, user_id, attempt, asset_type, url, storage_path, file_size)
    values (gen_random_uuid(), %s, gen_random_uuid(), 1, 'csv', 'u', 'p', %s)
"""
ITEM = "insert into jobstate.job_items (job_id, key, attempt, status) values (%s, 'a', 1, %s)"


@pytest.mark.parametrize(
    ("statement", "wrong", "constraint"),
    [
        (ASSET, -1, "assets_file_size_not_negative"),
        (ITEM, "done", "job_items_status_known"),
    ],
)
def test_assets_and_items_have_rules_too(
    job_in: Callable[[str], object],
    connect: Connect,
    statement: str,
    wrong: object,
    constraint: str,
) -> None:
    with pytest.raises(errors.CheckViolation) as refused:
        connect().execute(statement, (job_in("processing").id, wrong))  # type: ignore[arg-type]
    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize(("statement", "value"), [(ASSET, 1), (ITEM, "failed")])
def test_what_belongs_to_a_job_cannot_be_without_one(
    connect: Connect, statement: str, value: object
) -> None:
    with pytest.raises(errors.ForeignKeyViolation):
        connect().execute(statement, (uuid4(), value))  # type: ignore[arg-type]


@pytest.mark.parametrize("statement", ["delete from {}", "truncate {} cascade"])
def test_the_history_goes_with_its_job(
    job_in: Callable[[str], object], connect: Connect, statement: str
) -> None:
    job_in("processing")
    count = "select count(*) from jobstate.job_events"
    assert connect().execute(count).fetchone() == (2,)
    connect().execute(statement.format("jobstate.jobs"))  # type: ignore[arg-type]
    assert connect().execute(count).fetchone() == (0,)


@pytest.mark.parametrize("status", JobStatus)
def test_the_rules_hold_for_what_the_service_makes(
    job_in: Callable[[JobStatus], object],
    changed: Callable[[UUID, str], None],
    status: JobStatus,
) -> None:
    """A change that breaks nothing goes through, in every status."""
    changed(job_in(status).id, "updated_at = clock_timestamp()")
