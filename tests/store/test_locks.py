"""Nothing waits for ever: a row that stays locked is a database that does not answer."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, text

from jobstate import (
    AsyncJobService,
    ItemStatus,
    JobLocked,
    JobService,
    JobStatus,
    Settings,
    StoreUnavailable,
    attempts,
    publishing,
    reporting,
    sweeping,
)
from jobstate.creation import create_job
from jobstate.items import Outcome
from jobstate.logs import Line
from jobstate.operations import transition
from jobstate.progress import Report
from jobstate.store import Operation, Store, driver_connection
from tests.factories import (
    COMPLETED,
    everything,
    landed,
    new_job,
    new_worker,
    processing_job,
    queued_job,
    released,
    take,
    together,
)

Connect = Callable[[], psycopg.Connection]

LOCK = "select from jobstate.jobs for update"
LOCK_WORKERS = "select from jobstate.workers for update"
LOCK_SWEEPS = "select from jobstate.sweeps for update"


def test_every_write_gives_up_on_a_row_that_stays_locked(
    crowd: JobService, connect: Connect, user_id: UUID
) -> None:
    store, holder = crowd.store, connect()
    queued, hold = queued_job(store, user_id=user_id), processing_job(store, user_id=user_id)
    done = processing_job(store, user_id=user_id)
    landed(store, done, followups=True)
    before = [everything(holder, job_id) for job_id in (queued.id, hold.job_id, done.job_id)]
    store.run(sweeping.see(crowd.settings))
    with holder.transaction():
        holder.execute(LOCK)
        holder.execute(LOCK_WORKERS)
        holder.execute(LOCK_SWEEPS)
        store.run(create_job(new_job(user_id=user_id, idempotency_key="a"), crowd.settings), holder)
        operations: list[Operation[object]] = [
            reporting.add_asset(hold, "csv", "u", "p", 9, content_type=None, sha256=None),
            publishing.put_back(queued.id, 0, None, 1.0),
            publishing.note_published(queued.id, 0, 60),
            attempts.clear_followups(done.job_id),
            sweeping.renew_lease(hold.worker_id, 60),
            sweeping.end_worker(hold.worker_id),
            sweeping.see(crowd.settings),
            sweeping.beacon_lit(),
        ]
        answers = together(
            partial(crowd.transition_status, queued.id, JobStatus.PROCESSING),
            partial(crowd.mark_failed, hold.job_id, "No"),
            partial(crowd.update_progress, hold.job_id, 50),
            partial(crowd.create_asset, hold.job_id, user_id, "csv", "u", "p", 9),
            partial(crowd.create_job, user_id, "report", idempotency_key="a"),
            partial(take, store, queued.id, worker_id=hold.worker_id),
            partial(landed, store, hold, COMPLETED),
            partial(released, store, hold),
            *(partial(store.run, operation) for operation in operations),
        )
        assert crowd.get_job(queued.id, user_id) == queued, "readers never wait"
        raise psycopg.Rollback
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert {"lock timeout" in str(answer) for answer in answers} == {True}
    after = [everything(holder, job_id) for job_id in (queued.id, hold.job_id, done.job_id)]
    assert after == before


async def test_the_asyncio_service_gives_up_too(
    aio: AsyncJobService, service: JobService, connect: Connect, user_id: UUID
) -> None:
    job, holder = service.create_job(user_id, "report"), connect()
    with holder.transaction():
        holder.execute(LOCK)
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await aio.transition_status(job.id, JobStatus.PROCESSING)
    assert (await aio.transition_status(job.id, JobStatus.PROCESSING)).attempt == 1


def test_what_a_body_reports_waits_for_no_lock(
    store: Store, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the body itself that has the row locked, in a transaction of its own."""
    hold, holder = processing_job(store), connect()
    before = everything(holder, hold.job_id)
    reports: list[Operation[bool | None]] = [
        reporting.report_progress(hold, Report(50)),
        reporting.record_items(hold, {"a": Outcome(ItemStatus.SUCCEEDED)}),
        reporting.write_logs(hold, [Line(0.0, "INFO", "shop", "Hello")]),
    ]
    with holder.transaction(), monkeypatch.context() as endless:
        endless.setattr("jobstate.store.sync.PATIENCE", "0")
        holder.execute(LOCK)
        for report in reports:
            with pytest.raises(JobLocked):
                store.run(report)
    assert everything(holder, hold.job_id) == before
    assert [store.run(report) for report in reports] == [False, False, False]


def test_a_callers_transaction_keeps_its_own_patience(
    engine: Engine, store: Store, user_id: UUID
) -> None:
    with engine.begin() as connection:
        connection.execute(text("set local lock_timeout = '77s'"))
        inside = driver_connection(connection)
        new = new_job(user_id=user_id)
        store.run(create_job(new, Settings(database_url="")), inside)
        store.run(transition(new.id, "processing", max_result_bytes=1), inside)
        assert connection.execute(text("show lock_timeout")).scalar() == "77s"


def test_a_callers_transaction_gives_up_when_it_says_so(
    engine: Engine, store: Store, connect: Connect
) -> None:
    hold, holder = processing_job(store), connect()
    with holder.transaction(), engine.begin() as connection:
        holder.execute(LOCK)
        connection.execute(text("set local lock_timeout = '10ms'"))
        landing = attempts.land(hold, COMPLETED, None, followups=False)
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            store.run(landing, driver_connection(connection))
        connection.rollback()


def test_patience_ends_with_the_statement(store: Store, service: JobService) -> None:
    """The connection goes back to the pool as it was, also after a transaction."""
    job = queued_job(store)
    with store.transaction() as transaction:
        transaction.run(transition(job.id, "processing", max_result_bytes=1))
    service.mark_completed(job.id)
    pooled = store.engine.raw_connection()
    cursor = pooled.cursor()
    assert cursor.execute("show lock_timeout").fetchone() == ("0",)
    pooled.close()


def test_rows_of_dead_workers_that_are_locked_are_forgotten_later(
    crowd: JobService, connect: Connect
) -> None:
    worker_id, holder = new_worker(crowd.store), connect()
    old = "update jobstate.workers set dead_at = now() - interval '2 days' where id = %s"
    holder.execute(old, (worker_id,))
    count = "select count(*) from jobstate.workers"
    with holder.transaction():
        holder.execute(LOCK_WORKERS)
        crowd.store.run(sweeping.forget_workers())
    assert holder.execute(count).fetchone() == (1,)
    crowd.store.run(sweeping.forget_workers())
    assert holder.execute(count).fetchone() == (0,)
