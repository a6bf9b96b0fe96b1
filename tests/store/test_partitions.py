"""The plan of docs/operations/scale.md: `jobs` in partitions by id, with no statement changed."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors

from jobstate import JobService, JobStatus, Settings, reporting
from jobstate.progress import Report
from jobstate.reading import list_all_jobs
from jobstate.store import Store
from jobstate.store.migrations import apply
from jobstate.store.queries import load_queries
from tests.factories import POLICY, failed_job, landed, processing_job
from tests.store.partitioned import partition
from tests.sweeping.scene import Scene

Connect = Callable[[], psycopg.Connection]

DAY = 86_400.0


@pytest.fixture
def jobs_url(database_url: str) -> str:
    """A database whose jobs are partitioned by days."""
    apply(Settings.for_database(database_url))
    url = database_url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        partition(connection)
    return database_url


def places(connection: psycopg.Connection) -> dict[UUID, str]:
    """Return in which partition each job is."""
    rows = connection.execute(
        "select id, relname from jobstate.jobs join pg_class on pg_class.oid = jobs.tableoid"
    )
    return dict(rows.fetchall())


def test_jobs_live_and_land_in_the_partition_of_their_day(
    store: Store, service: JobService, user_id: UUID, connect: Connect
) -> None:
    hold = processing_job(store, user_id=user_id)
    assert store.run(reporting.report_progress(hold, Report(50))) is False
    assert landed(store, hold)[0]
    failed = failed_job(store, user_id=user_id)
    queued = service.create_job(user_id, "report", job_id=uuid4())
    held = places(connect())
    assert {held.pop(queued.id)} == {"others"}, "its id does not ascend with time"
    assert set(held.values()) <= {"today", "tomorrow"}
    events = service.get_job_events(hold.job_id, user_id)
    assert [event.to_status for event in events] == ["queued", "processing", "completed"]
    assert len(service.get_job_items(failed.id, user_id)) == 3
    first = service.list_jobs(user_id, limit=2)
    rest = service.list_jobs(user_id, limit=2, cursor=first.next_cursor)
    ids = [queued.id, failed.id, hold.job_id]
    assert [job.id for job in [*first.items, *rest.items]] == ids
    every = store.run(list_all_jobs(status=None, job_type=None, limit=9))
    assert [job.id for job in every.items] == ids
    assert service.stats(user_id) == service.stats()
    assert service.stats(landed_within=DAY).by_status[JobStatus.FAILED] == 1


def test_the_law_holds_in_every_partition(store: Store, connect: Connect) -> None:
    for job_id in (None, uuid4()):
        hold = processing_job(store, job_id=job_id)
        landed(store, hold)
        with pytest.raises(errors.CheckViolation, match="cannot become failed"):
            connect().execute(
                "update jobstate.jobs set status = 'failed' where id = %s", [hold.job_id]
            )


def test_the_sweeper_works_through_all_partitions(store: Store, connect: Connect) -> None:
    scene = Scene(store, connect())
    again, lost = scene.lost(POLICY), scene.lost(job_id=uuid4())
    late = scene.queued(expires=timedelta(seconds=30), job_id=uuid4())
    scene.time_passes(60, late)
    report = scene.sweep()
    assert (report.rescued, report.failed) == (2, 1)
    assert {again.job_id, lost.job_id} <= set(scene.published)


def test_an_idempotency_key_and_a_live_retry_are_claimed_once(
    service: JobService, store: Store, user_id: UUID, connect: Connect
) -> None:
    first = service.create_job(user_id, "report", idempotency_key="a")
    again = service.create_job(user_id, "report", idempotency_key="a", job_id=uuid4())
    assert again == first, "although they would be in two partitions"
    assert service.create_job(user_id, "export", idempotency_key="a").id != first.id
    failed = failed_job(store, user_id=user_id)
    retry = service.retry(failed.id, user_id)
    assert service.retry(failed.id, user_id).id == retry.id
    service.cancel(retry.id, user_id)
    assert service.retry(failed.id, user_id).id != retry.id
    connect().execute(
        "update jobstate.jobs set completed_at = now() - interval '2 days' "
        "where completed_at is not null"
    )
    assert service.purge(DAY) == 2


def test_no_unique_index_but_that_of_the_id_can_span_partitions(connect: Connect) -> None:
    with pytest.raises(errors.FeatureNotSupported, match="must include all partitioning columns"):
        connect().execute(
            "create unique index on jobstate.jobs (user_id, job_type, idempotency_key)"
        )


def test_a_day_is_dropped_once_nothing_refers_to_it(store: Store, connect: Connect) -> None:
    connection = connect()
    job = failed_job(store)
    day = places(connection)[job.id]
    detach = f"alter table jobstate.jobs detach partition jobstate.{day}".encode()
    with pytest.raises(errors.ForeignKeyViolation):
        connection.execute(detach)
    connection.execute("delete from jobstate.job_items where job_id = %s", [job.id])
    connection.execute(detach)
    connection.execute(f"drop table jobstate.{day}".encode())
    assert places(connection) == {}


def test_what_names_a_job_reads_one_partition(store: Store, connect: Connect) -> None:
    connection, job_id = connect(), processing_job(store).job_id
    statement = load_queries("jobstate")["get_job_internal"]
    told = "\n".join(line for (line,) in connection.execute("explain " + statement, {"id": job_id}))
    day = places(connection)[job_id]
    assert f"{day}_pkey" in told
    assert not any(f"{other}_pkey" in told for other in {"yesterday", "others"} - {day})
