"""Jobs, workers and attempts in any state, and the tools to watch them; for tests of the store."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from jobstate import ItemStatus, Job, JobService, JobStatus, Settings, attempts, reporting, sweeping
from jobstate.attempts import Hold, Landing, Policy, Taking
from jobstate.creation import NewJob, create_job
from jobstate.items import Outcome
from jobstate.store import Store

PATIENCE = 60.0

MESSAGE = '{"body": "[[], {}, {}]", "followups": false}'
MESSAGE_WITH_FOLLOWUPS = '{"body": "[[], {}, {}]", "followups": true}'

CALL = (
    '{"task_name": "tasks.report", "queue": "q",'
    ' "message": {"body": "[[7], {}, {}]", "followups": false, "errbacks": false}}'
)

POLICY = Policy(idempotent=True, max_rescues=3, keep_partial=False, no_progress=None)

COMPLETED = Landing(JobStatus.COMPLETED, result='{"rows": 7}')
FAILED = Landing(JobStatus.FAILED, error_code="exception", error_message="No")
PARTIAL = Landing(JobStatus.PARTIAL, result='{"rows": 3}')


def service_of(store: Store) -> JobService:
    """Return a service on the connections of a store."""
    return JobService(store.engine)


def new_job(**columns: Any) -> NewJob:
    """Describe a job of somebody, with a message."""
    given = {"user_id": uuid4(), "job_type": "report", "task_name": "tasks.report", "queue": "q"}
    return NewJob(**{**given, "message": MESSAGE, **columns})


def queued_job(store: Store, **columns: Any) -> Job:
    """Insert a queued job."""
    settings = Settings(database_url="unused")
    job = store.run(create_job(new_job(**columns), settings))
    assert job is not None
    return job


def new_worker(store: Store, lease: float = 60.0) -> UUID:
    """Register a worker with a live lease."""
    worker_id = uuid4()
    store.run(sweeping.register_worker(worker_id, "host", 1, ["q"], lease))
    return worker_id


def take(
    store: Store,
    job_id: UUID,
    ticket: int = 0,
    *,
    worker_id: UUID | None = None,
    pid: int = 100,
    policy: Policy = POLICY,
) -> Taking:
    """Take a job, with a new worker unless one is given."""
    worker_id = worker_id or new_worker(store)
    taking = store.run(attempts.take(job_id, ticket, worker_id, pid, policy))
    assert taking is not None
    return taking


def hold_of(job: Job) -> Hold:
    """Return the hold of the attempt that holds a job."""
    assert job.worker_id is not None
    return Hold(job.id, job.attempt, job.worker_id)


def processing_job(store: Store, **columns: Any) -> Hold:
    """Insert a job and take it."""
    taking = take(store, queued_job(store, **columns).id)
    assert taking.done
    return hold_of(taking.job)


def released(store: Store, hold: Hold, **changes: Any) -> tuple[bool, Job]:
    """Release a held job for a retry."""
    given: dict[str, Any] = {
        "message": MESSAGE,
        "task_name": None,
        "queue": None,
        "retries": 1,
        "when": {"eta": None, "countdown": 0.0},
        "publish_grace": 5.0,
        "error_code": None,
        "detail": "{}",
    }
    return store.run(attempts.release(hold, **given | changes))


def landed(
    store: Store, hold: Hold, landing: Landing = COMPLETED, *, followups: bool = False
) -> tuple[bool, Job]:
    """Land a held job."""
    return store.run(attempts.land(hold, landing, None, followups=followups, publish_grace=5.0))


def failed_job(store: Store, **columns: Any) -> Job:
    """Insert a job that fails, with one item that succeeded and two that failed."""
    hold = processing_job(store, **{"call": CALL, **columns})
    good, bad = Outcome(ItemStatus.SUCCEEDED), Outcome(ItemStatus.FAILED)
    store.run(reporting.record_items(hold, {"good": good, "bad": bad, "7": bad}))
    done, job = landed(store, hold, FAILED)
    assert done
    return job


def superseded_job(store: Store) -> tuple[Hold, Hold]:
    """Return the hold of an attempt that lost its job, and of the one that has it now."""
    old = processing_job(store)
    released(store, old)
    taking = take(store, old.job_id, ticket=1)
    assert taking.done
    return old, hold_of(taking.job)


def everything(connection: psycopg.Connection, job_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Read all that there is of a job: its whole row, history, items and assets."""
    found = {}
    with connection.cursor(row_factory=dict_row) as cursor:
        for table, key, order in (
            ("jobs", "id", "id"),
            ("job_events", "job_id", "id"),
            ("job_items", "job_id", "key"),
            ("job_logs", "job_id", "id"),
            ("assets", "job_id", "id"),
        ):
            statement = f"select * from jobstate.{table} where {key} = %s order by {order}"  # noqa: S608 - names from above
            found[table] = cursor.execute(statement, (job_id,)).fetchall()  # type: ignore[arg-type]
    return found


def together(*calls: Callable[[], object]) -> list[Any]:
    """Make all calls at the same moment; return what each returned or raised."""
    barrier = Barrier(len(calls))

    def start(call: Callable[[], object]) -> object:
        barrier.wait(PATIENCE)
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(start, calls))


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail when it does not within the deadline."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def waits_for_a_lock(connection: psycopg.Connection, sessions: int = 1) -> Callable[[], bool]:
    """Tell whether so many sessions of the connection's database wait for a lock."""
    statement = """
        select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'
    """

    def asked() -> bool:
        row = connection.execute(statement).fetchone()
        return row is not None and row[0] >= sessions

    return asked
