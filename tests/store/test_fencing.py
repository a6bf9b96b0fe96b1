"""No write of an attempt that no longer holds its job is ever visible."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from jobstate import JobNotFound, JobStatus, attempts, reporting
from jobstate.attempts import Hold
from jobstate.items import Outcome
from jobstate.logs import Line
from jobstate.progress import Report
from jobstate.states import ItemStatus
from jobstate.store import Store
from tests.factories import (
    COMPLETED,
    FAILED,
    PARTIAL,
    everything,
    landed,
    processing_job,
    queued_job,
    released,
    service_of,
    superseded_job,
)

Connect = Callable[[], psycopg.Connection]


def report_progress(store: Store, hold: Hold) -> object:
    return store.run(reporting.report_progress(hold, Report(50, 5, 10, "Halfway")))


def record_items(store: Store, hold: Hold) -> object:
    batch = {"a": Outcome(ItemStatus.SUCCEEDED, "The first"), "b": Outcome(ItemStatus.FAILED)}
    return store.run(reporting.record_items(hold, batch))


def add_asset(store: Store, hold: Hold) -> object:
    added = reporting.add_asset(hold, "csv", "u", "p", 9, content_type=None, sha256=None)
    return store.run(added)


def write_logs(store: Store, hold: Hold) -> object:
    return store.run(reporting.write_logs(hold, [Line(0.0, "INFO", "shop", "Hello")]))


def check_held(store: Store, hold: Hold) -> object:
    return store.run(attempts.check_held(hold))


def complete(store: Store, hold: Hold) -> object:
    return landed(store, hold, COMPLETED, followups=True)


def fail(store: Store, hold: Hold) -> object:
    return landed(store, hold, FAILED)


def end_partial(store: Store, hold: Hold) -> object:
    return landed(store, hold, PARTIAL)


def release(store: Store, hold: Hold) -> object:
    return released(store, hold)


ASKING = [report_progress, record_items, write_logs, add_asset, check_held]
GUARDED = [complete, fail, end_partial, release]
Verb = Callable[[Store, Hold], object]


def after_another_attempt(store: Store) -> Hold:
    return superseded_job(store)[0]


def of_another_worker(store: Store) -> Hold:
    return replace(processing_job(store), worker_id=uuid4())


def of_a_later_attempt(store: Store) -> Hold:
    hold = processing_job(store)
    return replace(hold, attempt=hold.attempt + 1)


def after_the_release(store: Store) -> Hold:
    hold = processing_job(store)
    released(store, hold)
    return hold


def after_the_landing(store: Store) -> Hold:
    hold = processing_job(store)
    landed(store, hold, FAILED)
    return hold


def after_somebody_elses_landing(store: Store) -> Hold:
    hold = processing_job(store)
    service_of(store).mark_failed(hold.job_id, "Stopped by an operator")
    return hold


def before_the_take(store: Store) -> Hold:
    return Hold(queued_job(store).id, 0, uuid4())


REASONS = [
    after_another_attempt,
    of_another_worker,
    of_a_later_attempt,
    after_the_release,
    after_the_landing,
    after_somebody_elses_landing,
    before_the_take,
]
Reason = Callable[[Store], Hold]


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("verb", ASKING)
def test_a_superseded_attempt_writes_nothing_and_hears_that_it_is_superseded(
    store: Store, connect: Connect, verb: Verb, reason: Reason
) -> None:
    hold, connection = reason(store), connect()
    before = everything(connection, hold.job_id)
    assert verb(store, hold) is None
    assert everything(connection, hold.job_id) == before


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("verb", GUARDED)
def test_a_superseded_attempt_cannot_land_nor_release_and_hears_where_the_job_is(
    store: Store, connect: Connect, verb: Verb, reason: Reason
) -> None:
    hold, connection = reason(store), connect()
    before = everything(connection, hold.job_id)
    truth = service_of(store).get_job_internal(hold.job_id)
    assert verb(store, hold) == (False, truth)
    assert everything(connection, hold.job_id) == before


@pytest.mark.parametrize("verb", ASKING)
def test_the_holder_is_heard(store: Store, verb: Verb) -> None:
    """True would mean that the job is to be cancelled; an asset is returned itself."""
    assert verb(store, processing_job(store)) not in (None, True)


@pytest.mark.parametrize("verb", [report_progress, record_items, write_logs, check_held])
def test_the_holder_hears_of_a_cancellation(store: Store, connect: Connect, verb: Verb) -> None:
    hold = processing_job(store)
    connect().execute("update jobstate.jobs set cancel_requested_at = now()")
    assert verb(store, hold) is True


@pytest.mark.parametrize("verb", GUARDED)
def test_the_holder_lands_and_releases(store: Store, verb: Verb) -> None:
    hold = processing_job(store)
    done, job = verb(store, hold)  # type: ignore[misc]
    assert done
    assert job.worker_id is None
    assert job == service_of(store).get_job_internal(hold.job_id)


@pytest.mark.parametrize("verb", ASKING)
def test_writing_to_a_job_that_was_purged_is_like_losing_it(store: Store, verb: Verb) -> None:
    assert verb(store, Hold(uuid4(), 1, uuid4())) is None


@pytest.mark.parametrize("verb", GUARDED)
def test_landing_a_job_that_was_purged_says_so(store: Store, verb: Verb) -> None:
    with pytest.raises(JobNotFound):
        verb(store, Hold(uuid4(), 1, uuid4()))


def test_a_superseded_attempt_does_not_disturb_the_one_that_holds_the_job(store: Store) -> None:
    old, new = superseded_job(store)
    for verb in (*ASKING, *GUARDED):
        verb(store, old)
    done, job = landed(store, new)
    assert done
    assert (job.status, job.attempt, job.progress) == (JobStatus.COMPLETED, 2, 100)
    assert (job.items_succeeded, job.items_failed) == (0, 0)
