"""What an attempt that holds its job writes: progress, items, assets, landing, release."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from jobstate import ErrorCode, ItemStatus, JobService, JobStatus, attempts, reporting
from jobstate.attempts import Hold, Landing
from jobstate.items import Outcome
from jobstate.progress import UNKNOWN, Report
from jobstate.store import Store
from tests.factories import (
    COMPLETED,
    FAILED,
    MESSAGE_WITH_FOLLOWUPS,
    PARTIAL,
    eventually,
    everything,
    hold_of,
    landed,
    processing_job,
    queued_job,
    released,
    take,
)

Connect = Callable[[], psycopg.Connection]

GOOD = Outcome(ItemStatus.SUCCEEDED)
BAD = Outcome(ItemStatus.FAILED, message="No")
SKIPPED = Outcome(ItemStatus.SKIPPED)


def record(store: Store, hold: Hold, **outcomes: Outcome) -> None:
    assert store.run(reporting.record_items(hold, outcomes)) is False


def counts(service: JobService, hold: Hold) -> tuple[int, int, int]:
    job = service.get_job_internal(hold.job_id)
    return job.items_succeeded, job.items_failed, job.items_skipped


def add_asset(store: Store, hold: Hold, path: str) -> None:
    added = reporting.add_asset(hold, "csv", "u", path, 9, content_type="text/csv", sha256="00")
    assert store.run(added) is not None


def test_progress_keeps_what_is_not_said(store: Store, service: JobService) -> None:
    hold = processing_job(store)
    store.run(reporting.report_progress(hold, Report(10, 1, 10, "Reading")))
    store.run(reporting.report_progress(hold, Report(current=2.5)))
    job = service.get_job_internal(hold.job_id)
    assert (job.progress, job.progress_current, job.progress_total) == (10, 2.5, 10)
    assert job.progress_message == "Reading"
    assert job.progress_at is not None


def test_a_total_can_be_known_no_more(store: Store, service: JobService) -> None:
    hold = processing_job(store)
    store.run(reporting.report_progress(hold, Report(10, 1, 10)))
    store.run(reporting.report_progress(hold, Report(0, 0, UNKNOWN)))
    job = service.get_job_internal(hold.job_id)
    assert (job.progress, job.progress_current, job.progress_total) == (0, 0, None)


def test_progress_touches_no_index(store: Store, connect: Connect) -> None:
    """Every write is a heap-only update: Postgres counts those."""
    hold = processing_job(store)

    def updates() -> tuple[int, int]:
        with connect() as connection:
            connection.execute("select pg_stat_force_next_flush()")
            row = connection.execute(
                "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'jobs'"
            ).fetchone()
        assert row
        return row

    store.close()  # A session's own counts are sent when it ends.
    eventually(lambda: updates()[0] > 0)
    before = updates()
    for number in range(50):
        store.run(reporting.report_progress(hold, Report(number, number, 50, f"Step {number}")))
    store.close()
    eventually(lambda: updates()[0] == before[0] + 50)
    assert updates()[1] == before[1] + 50


def test_items_are_counted_by_their_outcome(store: Store, service: JobService) -> None:
    hold = processing_job(store)
    record(store, hold, a=GOOD, b=BAD, c=GOOD, d=SKIPPED)
    assert counts(service, hold) == (2, 1, 1)


def test_the_last_outcome_of_a_repeated_key_is_counted_once(
    store: Store, service: JobService
) -> None:
    hold = processing_job(store)
    record(store, hold, a=BAD, b=GOOD)
    record(store, hold, a=GOOD, b=GOOD, c=BAD)
    record(store, hold, c=SKIPPED)
    assert counts(service, hold) == (2, 0, 1)


def test_items_of_an_earlier_attempt_are_neither_shown_nor_counted(
    store: Store, service: JobService
) -> None:
    owner = uuid4()
    old = processing_job(store, user_id=owner)
    record(store, old, a=GOOD, b=BAD)
    released(store, old)
    new = hold_of(take(store, old.job_id, ticket=1).job)
    assert service.get_job_items(new.job_id, owner) == []
    record(store, new, b=GOOD, c=SKIPPED)
    shown = service.get_job_items(new.job_id, owner)
    assert {(item.key, item.status, item.attempt) for item in shown} == {
        ("b", "succeeded", 2),
        ("c", "skipped", 2),
    }
    assert counts(service, new) == (1, 0, 1)


def test_a_batch_of_items_may_be_empty(store: Store, service: JobService) -> None:
    hold = processing_job(store)
    record(store, hold)
    assert counts(service, hold) == (0, 0, 0)


def test_assets_of_an_earlier_attempt_are_not_shown(store: Store, service: JobService) -> None:
    owner = uuid4()
    old = processing_job(store, user_id=owner)
    add_asset(store, old, "old.csv")
    released(store, old)
    new = hold_of(take(store, old.job_id, ticket=1).job)
    assert service.get_job_assets(new.job_id, owner) == []
    add_asset(store, new, "new.csv")
    (shown,) = service.get_job_assets(new.job_id, owner)
    assert (shown.storage_path, shown.attempt, shown.user_id) == ("new.csv", 2, owner)
    assert (shown.content_type, shown.sha256, shown.file_size) == ("text/csv", "00", 9)
    assert shown.stored_at is not None


def test_an_asset_that_is_still_being_written_is_not_shown(
    store: Store, service: JobService, connect: Connect
) -> None:
    owner = uuid4()
    hold = processing_job(store, user_id=owner)
    add_asset(store, hold, "half.csv")
    connect().execute("update jobstate.assets set stored_at = null")
    assert service.get_job_assets(hold.job_id, owner) == []


@pytest.mark.parametrize("landing", [COMPLETED, PARTIAL, FAILED], ids=lambda it: it.status)
def test_a_landing_ends_the_hold_and_writes_how_it_ended(store: Store, landing: Landing) -> None:
    hold = processing_job(store)
    last = Report(70, 7, 10, "Nearly there")
    done, job = store.run(attempts.land(hold, landing, last, followups=False))
    assert done
    assert job.status is landing.status
    assert job.progress == (70 if landing.status == "failed" else 100)
    assert (job.progress_current, job.progress_total) == (7, 10)
    assert job.progress_message == "Nearly there"
    assert (job.error_code, job.error_message) == (landing.error_code, landing.error_message)
    assert (job.result is None) == (landing.result is None)
    assert (job.worker_id, job.pid, job.next_check_at) == (None, None, None)
    assert job.completed_at is not None
    assert not job.followups_pending


def test_a_landing_keeps_details_for_operators(store: Store) -> None:
    landing = Landing(JobStatus.FAILED, None, "exception", "No", '{"host": "w1"}')
    assert landed(store, processing_job(store), landing)[1].error_detail == {"host": "w1"}


def test_follow_ups_are_kept_with_their_message_until_they_are_cleared(
    store: Store, connect: Connect
) -> None:
    hold, connection = processing_job(store, message=MESSAGE_WITH_FOLLOWUPS), connect()
    _, job = landed(store, hold, followups=True)
    assert job.followups_pending
    assert job.next_check_at is not None
    (row,) = everything(connection, hold.job_id)["jobs"]
    assert row["message"]["followups"] is True
    store.run(attempts.clear_followups(hold.job_id))
    (row,) = everything(connection, hold.job_id)["jobs"]
    assert (row["message"], row["followups_pending"]) == (None, False)
    assert row["next_check_at"] is None
    assert row["status"] == "completed"


def test_without_follow_ups_a_landing_forgets_the_message(store: Store, connect: Connect) -> None:
    hold = processing_job(store)
    landed(store, hold)
    assert everything(connect(), hold.job_id)["jobs"][0]["message"] is None


def test_clearing_follow_ups_that_are_not_pending_changes_nothing(
    store: Store, connect: Connect
) -> None:
    job, connection = queued_job(store, message=MESSAGE_WITH_FOLLOWUPS), connect()
    before = everything(connection, job.id)
    store.run(attempts.clear_followups(job.id))
    store.run(attempts.clear_followups(uuid4()))
    assert everything(connection, job.id) == before


def test_a_release_keeps_the_job_processing_and_says_when_it_goes_on(
    store: Store, connect: Connect
) -> None:
    hold, connection = processing_job(store), connect()
    at = datetime(2126, 5, 17, tzinfo=UTC)
    done, job = released(
        store,
        hold,
        message=MESSAGE_WITH_FOLLOWUPS,
        task_name="tasks.other",
        queue="slow",
        retries=3,
        when={"eta": at, "countdown": None},
        error_code=ErrorCode.EXCEPTION,
        detail='{"error": "No"}',
    )
    assert done
    assert (job.status, job.attempt, job.worker_id, job.pid) == ("processing", 1, None, None)
    assert (job.task_name, job.queue, job.retries) == ("tasks.other", "slow", 3)
    assert job.retry_at == at
    assert job.published_at is None
    assert job.next_check_at is not None
    found = everything(connection, hold.job_id)
    assert found["jobs"][0]["message"]["followups"] is True
    retry = found["job_events"][-1]
    assert (retry["event"], retry["attempt"], retry["worker_id"]) == ("retry", 1, hold.worker_id)
    assert (retry["error_code"], retry["detail"]) == ("exception", {"error": "No"})
    assert (retry["from_status"], retry["to_status"]) == (None, None)


def test_a_release_counts_from_the_databases_clock(store: Store) -> None:
    _, job = released(store, processing_job(store), when={"eta": None, "countdown": 60.0})
    assert job.retry_at is not None
    assert timedelta(seconds=59) < job.retry_at - job.updated_at <= timedelta(seconds=60)


def test_a_release_without_a_message_keeps_the_one_there_is(store: Store, connect: Connect) -> None:
    hold = processing_job(store, message=MESSAGE_WITH_FOLLOWUPS)
    released(store, hold, message=None)
    assert everything(connect(), hold.job_id)["jobs"][0]["message"]["followups"] is True


def test_a_further_attempt_takes_over_what_was_done(store: Store, service: JobService) -> None:
    hold = processing_job(store)
    record(store, hold, a=GOOD, b=BAD, c=SKIPPED, d=GOOD)
    released(store, hold)
    again = hold_of(take(store, hold.job_id, ticket=1).job)
    for _ in range(2):  # an answer that was lost is asked for again
        done = store.run(reporting.resume_items(again))
        assert done is not None
        assert sorted(done) == ["a", "d"]
        assert counts(service, hold) == (2, 0, 0)
    record(store, again, b=GOOD)
    assert counts(service, hold) == (3, 0, 0)
    job = service.get_job_internal(hold.job_id)
    found = service.get_job_items(job.id, job.user_id)
    assert [(item.key, item.attempt) for item in found] == [("a", 2), ("d", 2), ("b", 2)]


def test_an_attempt_with_nothing_to_take_over_still_holds_its_job(store: Store) -> None:
    hold = processing_job(store)
    assert store.run(reporting.resume_items(hold)) == []
    released(store, hold)
    assert store.run(reporting.resume_items(hold)) is None
