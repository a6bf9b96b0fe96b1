"""What a simpler statement would do when two meet, and that ours does not.

Each test holds a transaction open where the simpler statement has looked and not yet written.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from jobstate import Job, JobLocked, JobStatus, attempts, reporting, sweeping
from jobstate.attempts import Hold
from jobstate.items import Outcome
from jobstate.progress import Report
from jobstate.states import ErrorCode, ItemStatus
from jobstate.store import Store
from tests.factories import (
    COMPLETED,
    PATIENCE,
    POLICY,
    eventually,
    hold_of,
    new_worker,
    processing_job,
    released,
    service_of,
    take,
    waits_for_a_lock,
)
from tests.sweeping.scene import Scene

Connect = Callable[[], psycopg.Connection]
Meanwhile = Callable[..., Future[Any]]

RESCUE_AT_ONCE = """
    update jobstate.jobs set worker_id = null, pid = null, retry_at = now()
    from jobstate.workers
    where jobs.worker_id = workers.id and workers.lease_until < clock_timestamp()
"""
RESCUE_UNSEEN = """
    update jobstate.jobs set status = 'failed', worker_id = null, completed_at = now()
    where id = %(job_id)s
"""
RESCUE_WITHOUT_ATTEMPT = """
    update jobstate.jobs set worker_id = null, pid = null, retry_at = now()
    where id = %(job_id)s and worker_id = %(worker_id)s and status = 'processing'
"""
ADD_ASSET = """
    insert into jobstate.assets (
        id, job_id, user_id, attempt, asset_type, url, storage_path, file_size, stored_at
    )
    select gen_random_uuid(), id, user_id, attempt, 'csv', 'late', 'late', 9, now()
    from jobstate.jobs
    where id = %(job_id)s and attempt = %(attempt)s and worker_id = %(worker_id)s
        and status = 'processing'
"""
RECORD_ITEM = """
    insert into jobstate.job_items (job_id, key, attempt, status)
    select id, 'a', attempt, 'failed' from jobstate.jobs
    where id = %(job_id)s and attempt = %(attempt)s and worker_id = %(worker_id)s
        and status = 'processing'
    on conflict (job_id, key) do update set attempt = excluded.attempt, status = excluded.status
"""


@pytest.fixture
def meanwhile() -> Iterator[Meanwhile]:
    """Make a call in another thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


@pytest.fixture
def opened(connect: Connect) -> psycopg.Connection:
    """A connection whose transaction stays open until it is told to commit."""
    connection = connect()
    connection.autocommit = False
    return connection


def named(hold: Hold) -> dict[str, object]:
    """Return a hold as the simpler statements bind it."""
    return {"job_id": hold.job_id, "attempt": hold.attempt, "worker_id": hold.worker_id}


def read(store: Store, hold: Hold) -> Job:
    return service_of(store).get_job_internal(hold.job_id)


def silent_job(scene: Scene) -> Hold:
    """Return the hold of a worker whose lease has just run out."""
    hold = scene.held()
    scene.silence(hold.worker_id)
    scene.seen_up()
    return hold


def test_a_rescue_in_one_statement_robs_a_worker_that_has_renewed(
    store: Store, connect: Connect, opened: psycopg.Connection, meanwhile: Meanwhile
) -> None:
    """It waits for the job's row, and does not look at the worker's row again."""
    scene, watching = Scene(store, connect()), connect()
    hold = silent_job(scene)
    store.run(reporting.report_progress(hold, Report(50)), opened)
    robbing = meanwhile(connect().execute, RESCUE_AT_ONCE)
    eventually(waits_for_a_lock(watching))
    assert store.run(sweeping.renew_lease(hold.worker_id, 60)) is True
    opened.commit()
    assert robbing.result(PATIENCE).rowcount == 1
    assert read(store, hold).worker_id is None, "a live worker's job is free for others"


def test_a_burial_and_then_a_rescue_do_not_rob_a_worker_that_has_renewed(
    store: Store, connect: Connect, opened: psycopg.Connection
) -> None:
    scene = Scene(store, connect())
    hold = silent_job(scene)
    store.run(reporting.report_progress(hold, Report(50)), opened)
    assert store.run(sweeping.renew_lease(hold.worker_id, 60), opened) is True
    assert scene.sweep().buried == 0, "nobody is given up who is renewing"
    opened.commit()
    report = scene.sweep()
    assert (report.buried, report.rescued, report.failed) == (0, 0, 0)
    assert read(store, hold).worker_id == hold.worker_id


def test_a_burial_that_came_first_makes_the_rescue_right(
    store: Store, connect: Connect, opened: psycopg.Connection
) -> None:
    """A rescue that has to wait for the job's row robs nobody: the worker cannot renew any more."""
    scene = Scene(store, connect())
    hold = silent_job(scene)
    store.run(reporting.report_progress(hold, Report(50)), opened)
    report = scene.sweep()
    assert (report.buried, report.failed) == (1, 0), "the job's row is locked"
    assert store.run(sweeping.renew_lease(hold.worker_id, 60)) is False
    opened.commit()
    assert scene.sweep().failed == 1


def test_a_rescue_that_does_not_look_again_meets_the_law(
    store: Store, connect: Connect, opened: psycopg.Connection, meanwhile: Meanwhile
) -> None:
    """The job completes after the rescuer has found it; only the trigger saves it then."""
    hold, watching = processing_job(store), connect()
    landing = attempts.land(hold, COMPLETED, None, followups=False)
    assert store.run(landing, opened)[0]
    failing = meanwhile(connect().execute, RESCUE_UNSEEN, named(hold))
    eventually(waits_for_a_lock(watching))
    opened.commit()
    with pytest.raises(psycopg.errors.CheckViolation, match="cannot become failed"):
        failing.result(PATIENCE)
    assert read(store, hold).status is JobStatus.COMPLETED


def test_a_rescue_leaves_a_job_alone_that_is_just_completing(
    store: Store, opened: psycopg.Connection
) -> None:
    """It neither waits for the row nor tries what the law forbids."""
    hold = processing_job(store)
    assert store.run(attempts.land(hold, COMPLETED, None, followups=False), opened)[0]
    assert store.run(sweeping.rescue(hold)) is None
    opened.commit()
    assert store.run(sweeping.rescue(hold)) is None
    assert read(store, hold).status is JobStatus.COMPLETED


def taken_again(store: Store) -> tuple[Hold, Hold]:
    """Return two holds of one worker on one job: an earlier one, and the one it has now."""
    worker_id = new_worker(store)
    earlier = processing_job(store)
    released(store, earlier)
    hold = hold_of(take(store, earlier.job_id, 1, worker_id=worker_id).job)
    released(store, hold)
    return hold, hold_of(take(store, earlier.job_id, 2, worker_id=worker_id).job)


def test_a_rescue_that_knows_the_worker_alone_robs_its_next_attempt(
    store: Store, connect: Connect
) -> None:
    earlier, now = taken_again(store)
    assert connect().execute(RESCUE_WITHOUT_ATTEMPT, named(earlier)).rowcount == 1
    assert read(store, now).worker_id is None


def test_a_rescue_does_not_rob_the_next_attempt_of_the_same_worker(store: Store) -> None:
    earlier, now = taken_again(store)
    assert store.run(sweeping.rescue(earlier)) is None
    assert read(store, now).worker_id == now.worker_id


def test_an_asset_that_does_not_lock_its_job_is_added_after_the_end(
    store: Store, connect: Connect, opened: psycopg.Connection
) -> None:
    hold = processing_job(store)
    store.run(sweeping.end_held(hold, ErrorCode.DEADLINE), opened)
    assert connect().execute(ADD_ASSET, named(hold)).rowcount == 1
    opened.commit()
    job = read(store, hold)
    assert job.status is JobStatus.FAILED
    assert len(service_of(store).get_job_assets(job.id, job.user_id)) == 1


def test_an_asset_waits_for_the_end_and_is_refused(
    store: Store, connect: Connect, opened: psycopg.Connection, meanwhile: Meanwhile
) -> None:
    hold, watching = processing_job(store), connect()
    store.run(sweeping.end_held(hold, ErrorCode.DEADLINE), opened)
    asset = reporting.add_asset(hold, "csv", "", "late", 9, content_type=None, sha256=None)
    adding = meanwhile(store.run, asset)
    eventually(waits_for_a_lock(watching))
    opened.commit()
    assert adding.result(PATIENCE) is None
    job = read(store, hold)
    assert service_of(store).get_job_assets(job.id, job.user_id) == []


def supersede(store: Store, hold: Hold, connection: psycopg.Connection) -> Hold:
    """Let another attempt take a job and record an item, in the connection's transaction."""
    connection.execute("update jobstate.jobs set worker_id = null where id = %s", [hold.job_id])
    worker_id = new_worker(store)
    taking = store.run(attempts.take(hold.job_id, 1, worker_id, 100, POLICY), connection)
    assert taking is not None
    second = hold_of(taking.job)
    items = {"a": Outcome(ItemStatus.SUCCEEDED)}
    assert store.run(reporting.record_items(second, items), connection) is False
    return second


def shown(store: Store, hold: Hold) -> list[str]:
    job = read(store, hold)
    return [item.status for item in service_of(store).get_job_items(job.id, job.user_id)]


def test_an_item_that_does_not_lock_its_job_overwrites_the_next_attempts(
    store: Store, connect: Connect, opened: psycopg.Connection, meanwhile: Meanwhile
) -> None:
    hold, watching = processing_job(store), connect()
    supersede(store, hold, opened)
    recording = meanwhile(connect().execute, RECORD_ITEM, named(hold))
    eventually(waits_for_a_lock(watching))
    opened.commit()
    assert recording.result(PATIENCE).rowcount == 1
    assert shown(store, hold) == [], "what the second attempt has done is gone"


def test_an_item_is_not_written_beside_the_take_and_refused_after_it(
    store: Store, opened: psycopg.Connection
) -> None:
    hold = processing_job(store)
    supersede(store, hold, opened)
    recording = reporting.record_items(hold, {"a": Outcome(ItemStatus.FAILED)})
    with pytest.raises(JobLocked):
        store.run(recording)
    opened.commit()
    assert store.run(recording) is None
    assert shown(store, hold) == [ItemStatus.SUCCEEDED]
