"""Who gets the right to run a job, and who does not."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from jobstate import JobService, JobStatus, attempts, reporting, sweeping
from jobstate.attempts import Policy, Taking
from jobstate.items import Outcome
from jobstate.progress import Report
from jobstate.states import ItemStatus
from jobstate.store import Store
from tests.factories import (
    FAILED,
    MESSAGE_WITH_FOLLOWUPS,
    POLICY,
    everything,
    hold_of,
    landed,
    new_worker,
    processing_job,
    queued_job,
    released,
    service_of,
    take,
)

Connect = Callable[[], psycopg.Connection]
OnJob = Callable[[Store], UUID]


def test_a_take_gives_the_job_to_the_attempt(store: Store, service: JobService) -> None:
    job, worker_id = queued_job(store), new_worker(store)
    policy = Policy(idempotent=True, max_rescues=7, keep_partial=True, no_progress=60.5)
    taking = take(store, job.id, worker_id=worker_id, pid=4711, policy=policy)
    assert (taking.done, taking.lease_alive, taking.followups) == (True, True, False)
    taken = taking.job
    assert taken == service.get_job_internal(job.id)
    assert (taken.status, taken.attempt) == (JobStatus.PROCESSING, 1)
    assert (taken.worker_id, taken.pid) == (worker_id, 4711)
    assert (taken.idempotent, taken.max_rescues) == (True, 7)
    assert (taken.keep_partial, taken.no_progress) == (True, 60.5)
    assert taken.started_at is not None
    assert taken.progress_at is not None
    assert taken.next_check_at is not None
    due_in = taken.next_check_at - taken.progress_at
    assert timedelta(seconds=60) < due_in < timedelta(seconds=61)


def test_a_take_says_whether_follow_ups_wait(store: Store) -> None:
    job = queued_job(store, message=MESSAGE_WITH_FOLLOWUPS)
    assert take(store, job.id).followups
    assert take(store, job.id).followups, "a refused take says so too"


def test_a_deadline_is_when_a_taken_job_is_looked_at_again(store: Store) -> None:
    job = queued_job(store, deadline=3600)
    taken = take(store, job.id).job
    assert taken.next_check_at == taken.deadline_at == job.deadline_at


def test_a_released_job_is_taken_by_the_next_ticket(store: Store) -> None:
    hold = processing_job(store)
    released(store, hold)
    taking = take(store, hold.job_id, ticket=1)
    assert taking.done
    assert taking.job.attempt == 2
    assert taking.job.retry_at is None


def test_the_first_take_is_when_the_job_started(store: Store) -> None:
    hold = processing_job(store)
    started_at = released(store, hold)[1].started_at
    assert started_at is not None
    assert take(store, hold.job_id, ticket=1).job.started_at == started_at


def test_a_take_starts_progress_and_items_anew(store: Store) -> None:
    hold = processing_job(store)
    store.run(reporting.report_progress(hold, Report(50, 5, 10, "Halfway")))
    batch = {
        "a": Outcome(ItemStatus.SUCCEEDED),
        "b": Outcome(ItemStatus.FAILED),
        "c": Outcome(ItemStatus.SKIPPED),
    }
    store.run(reporting.record_items(hold, batch))
    left = released(store, hold)[1]
    assert left.progress == 50
    assert (left.items_succeeded, left.items_failed, left.items_skipped) == (1, 1, 1)
    job = take(store, hold.job_id, ticket=1).job
    assert (job.progress, job.progress_current, job.progress_total) == (0, None, None)
    assert job.progress_message is None
    assert (job.items_succeeded, job.items_failed, job.items_skipped) == (0, 0, 0)


def _held(store: Store) -> UUID:
    return processing_job(store).job_id


def _released(store: Store) -> UUID:
    hold = processing_job(store)
    released(store, hold)
    return hold.job_id


def _landed(store: Store) -> UUID:
    hold = processing_job(store)
    landed(store, hold, FAILED)
    return hold.job_id


@pytest.mark.parametrize(
    ("job_of", "tickets"),
    [
        (lambda store: queued_job(store).id, [1, -1, 2]),
        (_held, [0, 1, 2]),
        (_released, [0, 2]),
        (_landed, [0, 1, 2]),
    ],
    ids=["queued", "held", "released", "terminal"],
)
def test_a_job_is_not_taken_by_another_ticket_nor_when_it_is_held_or_terminal(
    store: Store, connect: Connect, job_of: OnJob, tickets: list[int]
) -> None:
    job_id, connection = job_of(store), connect()
    before = everything(connection, job_id)
    for ticket in tickets:
        taking = take(store, job_id, ticket)
        assert (taking.done, taking.lease_alive) == (False, True)
        assert taking.job == service_of(store).get_job_internal(job_id)
    assert everything(connection, job_id) == before


def _unknown(_: Store, __: psycopg.Connection) -> UUID:
    return uuid4()


def _ended(store: Store, _: psycopg.Connection) -> UUID:
    worker_id = new_worker(store)
    store.run(sweeping.end_worker(worker_id))
    return worker_id


def _buried(store: Store, connection: psycopg.Connection) -> UUID:
    worker_id = new_worker(store)
    connection.execute("update jobstate.workers set dead_at = now() where id = %s", (worker_id,))
    return worker_id


def _silent(store: Store, connection: psycopg.Connection) -> UUID:
    worker_id = new_worker(store)
    connection.execute(
        "update jobstate.workers set lease_until = now() where id = %s", (worker_id,)
    )
    return worker_id


@pytest.mark.parametrize("worker", [_unknown, _ended, _buried, _silent])
def test_a_worker_without_a_live_lease_takes_nothing(
    store: Store,
    connect: Connect,
    worker: Callable[[Store, psycopg.Connection], UUID],
) -> None:
    job, connection = queued_job(store), connect()
    before = everything(connection, job.id)
    taking = take(store, job.id, worker_id=worker(store, connection))
    assert (taking.done, taking.lease_alive) == (False, False)
    assert taking.job == job
    assert everything(connection, job.id) == before


def test_nobody_takes_nothing(store: Store) -> None:
    job = queued_job(store)
    taking = store.run(attempts.take(job.id, 0, None, 1, POLICY))
    assert taking is not None
    assert (taking.done, taking.lease_alive) == (False, False)


def test_an_unknown_job_is_not_there_to_be_taken(store: Store) -> None:
    assert store.run(attempts.take(uuid4(), 0, new_worker(store), 1, POLICY)) is None


def test_a_renewed_lease_lets_a_worker_take_again(store: Store, connect: Connect) -> None:
    job, worker_id = queued_job(store), _silent(store, connect())
    assert not take(store, job.id, worker_id=worker_id).done
    assert store.run(sweeping.renew_lease(worker_id, 60))
    assert take(store, job.id, worker_id=worker_id).done


@pytest.mark.parametrize("worker", [_ended, _buried, _unknown])
def test_a_worker_that_was_buried_cannot_renew(
    store: Store,
    connect: Connect,
    worker: Callable[[Store, psycopg.Connection], UUID],
) -> None:
    assert not store.run(sweeping.renew_lease(worker(store, connect()), 60))


def test_registering_again_revives_nobody(store: Store) -> None:
    worker_id = new_worker(store)
    store.run(sweeping.end_worker(worker_id))
    store.run(sweeping.register_worker(worker_id, "host", 1, ["q"], 60))
    assert not store.run(sweeping.renew_lease(worker_id, 60))


def test_a_worker_ends_once(store: Store, connect: Connect) -> None:
    worker_id, connection = new_worker(store), connect()
    asked = "select dead_at from jobstate.workers where id = %s"
    store.run(sweeping.end_worker(worker_id))
    first = connection.execute(asked, (worker_id,)).fetchone()
    store.run(sweeping.end_worker(worker_id))
    assert connection.execute(asked, (worker_id,)).fetchone() == first
    assert first is not None
    assert first[0] is not None


def test_the_answer_to_a_take_after_the_end_holds_what_is_to_be_dispatched(store: Store) -> None:
    hold = processing_job(store, message=MESSAGE_WITH_FOLLOWUPS)
    landed(store, hold, followups=True)
    taking: Taking = take(store, hold.job_id, ticket=0)
    assert not taking.done
    assert taking.followups
    assert taking.job.followups_pending
    assert taking.job.result == {"rows": 7}


def test_a_job_moved_by_the_service_keeps_counting_attempts(
    store: Store, service: JobService
) -> None:
    job = queued_job(store)
    assert service.transition_status(job.id, "processing").attempt == 1
    assert not take(store, job.id, ticket=0).done
    assert hold_of(take(store, job.id, ticket=1).job).attempt == 2
