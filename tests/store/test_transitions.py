"""No writer can break the rules of a job's life: the database itself refuses, here as from psql."""

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors

from jobstate import VALID_TRANSITIONS, JobStatus, is_terminal_state
from tests.factories import everything

Connection = psycopg.Connection
Connect = Callable[[], Connection]

INSERT = "insert into jobstate.jobs (id, user_id, job_type) values (%s, %s, 'report')"

MOVE = """
    update jobstate.jobs set
        status = %(to)s,
        attempt = case when %(to)s = 'queued' then 0 else 1 end,
        completed_at = case when %(terminal)s then now() end
    where id = %(id)s
"""

PAIRS = [(current, target) for current in JobStatus for target in JobStatus]


def move(connection: Connection, job_id: UUID, target: str) -> None:
    """Move a job as a program would that keeps all rules but the order."""
    terminal = is_terminal_state(target)
    connection.execute(MOVE, {"id": job_id, "to": target, "terminal": terminal})


def raw_job(connection: Connection, status: str) -> UUID:
    """Insert a job and move it to a status, in SQL alone."""
    job_id = uuid4()
    connection.execute(INSERT, (job_id, uuid4()))
    path = [] if status == "queued" else ["processing"]
    path += [status] if is_terminal_state(status) else []
    for step in path:
        move(connection, job_id, step)
    return job_id


def transitions(connection: Connection, job_id: UUID) -> list[tuple[str | None, str]]:
    events = everything(connection, job_id)["job_events"]
    return [(event["from_status"], event["to_status"]) for event in events]


def test_the_database_allows_exactly_the_transitions_of_the_library(connect: Connect) -> None:
    """What is legal is asked of the database, pair by pair."""
    connection = connect()
    allowed = set()
    for current, target in PAIRS:
        job_id = raw_job(connection, current)
        before = everything(connection, job_id)
        try:
            move(connection, job_id, target)
        except errors.CheckViolation:
            assert everything(connection, job_id) == before
        else:
            allowed.add((current, target))
    moves = {(current, target) for current, legal in VALID_TRANSITIONS.items() for target in legal}
    assert allowed == moves | {(status, status) for status in JobStatus}


@pytest.mark.parametrize(("current", "target"), PAIRS)
def test_a_move_is_done_and_recorded_or_refused_and_clear(
    connect: Connect, current: JobStatus, target: JobStatus
) -> None:
    connection = connect()
    job_id = raw_job(connection, current)
    before = everything(connection, job_id)
    past = transitions(connection, job_id)
    if target in VALID_TRANSITIONS[current]:
        move(connection, job_id, target)
        assert transitions(connection, job_id) == [*past, (current, target)]
    elif target == current:
        move(connection, job_id, target)
        assert transitions(connection, job_id) == past
    else:
        with pytest.raises(errors.CheckViolation) as refused:
            move(connection, job_id, target)
        diagnosis = refused.value.diag
        assert diagnosis.constraint_name == "jobs_valid_transition"
        assert diagnosis.message_primary == f"Job {job_id} cannot become {target}: it is {current}"
        assert "queued -> processing -> completed" in str(diagnosis.message_hint)
        assert everything(connection, job_id) == before


@pytest.mark.parametrize("status", [status for status in JobStatus if status != "queued"])
def test_a_new_job_must_be_queued(connect: Connect, status: JobStatus) -> None:
    connection = connect()
    job_id = uuid4()
    completed_at = "now()" if is_terminal_state(status) else "null"
    statement = f"""
        insert into jobstate.jobs (id, user_id, job_type, status, completed_at)
        values (%s, %s, 'report', %s, {completed_at})
    """  # noqa: S608 - one of two words from above
    with pytest.raises(errors.CheckViolation, match="a new job must be queued"):
        connection.execute(statement, (job_id, uuid4(), status))  # type: ignore[arg-type]
    assert everything(connection, job_id)["jobs"] == []


def test_an_upsert_obeys_the_same_rules(connect: Connect) -> None:
    connection = connect()
    job_id = raw_job(connection, "completed")
    before = everything(connection, job_id)
    statement = INSERT + " on conflict (id) do update set status = 'queued', completed_at = null"
    with pytest.raises(errors.CheckViolation):
        connection.execute(statement, (job_id, uuid4()))  # type: ignore[arg-type]
    assert everything(connection, job_id) == before


def test_one_statement_over_many_jobs_moves_all_or_none(connect: Connect) -> None:
    connection = connect()
    good, bad = raw_job(connection, "processing"), raw_job(connection, "completed")
    before = everything(connection, good)
    with pytest.raises(errors.CheckViolation, match=str(bad)):
        connection.execute("update jobstate.jobs set status = 'failed', completed_at = now()")
    assert everything(connection, good) == before


def test_every_step_of_a_transaction_is_in_the_history(connect: Connect) -> None:
    connection = connect()
    job_id = raw_job(connection, "queued")
    with connection.transaction():
        move(connection, job_id, "processing")
        move(connection, job_id, "failed")
    assert transitions(connection, job_id) == [
        (None, "queued"),
        ("queued", "processing"),
        ("processing", "failed"),
    ]


def test_the_history_names_the_attempt_the_worker_and_the_reason(connect: Connect) -> None:
    connection = connect()
    job_id, worker_id = raw_job(connection, "queued"), uuid4()
    connection.execute(
        "update jobstate.jobs set status = 'processing', attempt = 1, worker_id = %s", (worker_id,)
    )
    connection.execute(
        "update jobstate.jobs set status = 'failed', error_code = 'worker_lost', "
        "completed_at = now(), worker_id = null"
    )
    _, taken, failed = everything(connection, job_id)["job_events"]
    assert (taken["attempt"], taken["worker_id"], taken["error_code"]) == (1, worker_id, None)
    assert (failed["attempt"], failed["worker_id"]) == (1, worker_id)
    assert failed["error_code"] == "worker_lost"
    assert {taken["event"], failed["event"]} == {"transition"}


def test_a_purged_job_takes_everything_along(connect: Connect) -> None:
    connection = connect()
    job_id = raw_job(connection, "completed")
    connection.execute(
        "insert into jobstate.job_items (job_id, key, attempt, status) "
        "values (%s, 'a', 1, 'succeeded')",
        (job_id,),
    )
    connection.execute("delete from jobstate.jobs where id = %s", (job_id,))
    assert not any(everything(connection, job_id).values())
