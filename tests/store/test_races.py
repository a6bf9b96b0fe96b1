"""Writers that meet at one job: one wins, the others hear the truth."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from uuid import UUID, uuid4

import psycopg
import pytest

from jobstate import (
    InvalidStateTransitionError,
    Job,
    JobLocked,
    JobService,
    JobStatus,
    Settings,
    attempts,
    is_terminal_state,
    reporting,
    sweeping,
)
from jobstate.creation import create_job
from jobstate.progress import Report
from jobstate.states import ErrorCode
from jobstate.store import Store
from tests.factories import (
    COMPLETED,
    FAILED,
    PATIENCE,
    POLICY,
    eventually,
    everything,
    landed,
    new_job,
    new_worker,
    processing_job,
    queued_job,
    released,
    service_of,
    take,
    together,
    waits_for_a_lock,
)

Connect = Callable[[], psycopg.Connection]

MANY = 12

LAND = "update jobstate.jobs set status = 'failed', completed_at = now(), worker_id = null"
TAKE = "update jobstate.jobs set status = 'processing', attempt = 1, worker_id = gen_random_uuid()"


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], object]], Future[object]]]:
    """Make a call in another thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def landings(connection: psycopg.Connection, job_id: UUID) -> list[str]:
    events = everything(connection, job_id)["job_events"]
    return [event["to_status"] for event in events if is_terminal_state(event["to_status"])]


@pytest.mark.parametrize("_", range(3))
def test_of_many_who_land_a_job_exactly_one_does(
    crowd: JobService, connect: Connect, job_in: Callable[[str], Job], _: int
) -> None:
    job = job_in("processing")
    calls = [
        partial(crowd.mark_completed, job.id, {"by": 1}),
        partial(crowd.mark_failed, job.id, "No"),
        partial(crowd.mark_partial, job.id),
    ]
    answers = together(*calls * (MANY // 3))
    (winner,) = [answer for answer in answers if isinstance(answer, Job)]
    losers = [answer for answer in answers if answer is not winner]
    assert {type(loser) for loser in losers} == {InvalidStateTransitionError}
    assert {loser.current for loser in losers} == {winner.status}
    assert crowd.get_job_internal(job.id) == winner
    assert landings(connect(), job.id) == [winner.status]


def test_of_an_attempt_and_an_operator_one_lands_the_job(
    crowd: JobService, connect: Connect
) -> None:
    connection = connect()
    for _ in range(5):
        hold = processing_job(crowd.store)
        done, operator = together(
            lambda hold=hold: landed(crowd.store, hold)[0],
            partial(crowd.mark_failed, hold.job_id, "Stopped"),
        )
        assert done is isinstance(operator, InvalidStateTransitionError)
        assert landings(connection, hold.job_id) == ["completed" if done else "failed"]


def test_of_many_workers_exactly_one_takes_a_job(crowd: JobService, connect: Connect) -> None:
    store, connection = crowd.store, connect()
    workers = [new_worker(store) for _ in range(MANY)]
    for _ in range(3):
        job = queued_job(store)
        takings = together(*(partial(take, store, job.id, worker_id=it) for it in workers))
        (winner,) = [taking for taking in takings if taking.done]
        assert {taking.job.worker_id for taking in takings} == {winner.job.worker_id}
        assert crowd.get_job_internal(job.id) == winner.job
        assert winner.job.attempt == 1
        assert len(everything(connection, job.id)["job_events"]) == 2


def test_of_many_deliveries_after_a_release_exactly_one_takes_the_job(crowd: JobService) -> None:
    store = crowd.store
    hold = processing_job(store)
    released(store, hold)
    workers = [new_worker(store) for _ in range(MANY)]
    takings = together(*(partial(take, store, hold.job_id, 1, worker_id=it) for it in workers))
    assert [taking.done for taking in takings].count(True) == 1
    assert crowd.get_job_internal(hold.job_id).attempt == 2


def test_everybody_who_races_with_one_idempotency_key_gets_the_same_job(
    crowd: JobService, connect: Connect, user_id: UUID
) -> None:
    for key in ("a", "b", "c"):
        create = partial(crowd.create_job, user_id, "report", {"by": 1}, idempotency_key=key)
        answers = together(*[create] * MANY)
        assert len({job.id for job in answers}) == 1
    assert connect().execute("select count(*) from jobstate.jobs").fetchone() == (3,)


def test_everybody_who_races_with_one_id_gets_the_same_job(
    crowd: JobService, connect: Connect, user_id: UUID
) -> None:
    job_id = uuid4()
    answers = together(*[partial(crowd.create_job, user_id, "report", job_id=job_id)] * MANY)
    assert {job.id for job in answers} == {job_id}
    assert connect().execute("select count(*) from jobstate.jobs").fetchone() == (1,)


@pytest.mark.parametrize("commits", ["commit", "rollback"])
def test_a_key_that_is_not_committed_yet_is_waited_for(
    store: Store,
    connect: Connect,
    meanwhile: Callable[..., Future[Job]],
    user_id: UUID,
    commits: str,
) -> None:
    first = new_job(user_id=user_id, idempotency_key="a")
    holder, observer = connect(), connect()
    holder.autocommit = False
    store.run(create_job(first, Settings(database_url="")), holder)
    service = service_of(store)
    waiting = meanwhile(service.create_job, user_id, "report", idempotency_key="a")
    eventually(waits_for_a_lock(observer))
    getattr(holder, commits)()
    answer = waiting.result(PATIENCE)
    assert (answer.id == first.id) is (commits == "commit")
    assert observer.execute("select count(*) from jobstate.jobs").fetchone() == (1,)


@pytest.mark.parametrize("verb", ["mark_completed", "mark_partial"])
def test_a_landing_that_waited_for_another_reports_the_state_after_it(
    service: JobService,
    connect: Connect,
    job_in: Callable[[str], Job],
    meanwhile: Callable[..., Future[Job]],
    verb: str,
) -> None:
    job, holder, observer = job_in("processing"), connect(), connect()
    with holder.transaction():
        holder.execute(LAND)
        waiting = meanwhile(getattr(service, verb), job.id)
        eventually(waits_for_a_lock(observer))
    with pytest.raises(InvalidStateTransitionError) as refused:
        waiting.result(PATIENCE)
    assert refused.value.current is JobStatus.FAILED
    assert landings(observer, job.id) == ["failed"]


def test_a_landing_that_waited_for_one_that_is_undone_is_done(
    service: JobService,
    connect: Connect,
    job_in: Callable[[str], Job],
    meanwhile: Callable[..., Future[Job]],
) -> None:
    job, holder, observer = job_in("processing"), connect(), connect()
    with holder.transaction(force_rollback=True):
        holder.execute(LAND)
        waiting = meanwhile(service.mark_completed, job.id)
        eventually(waits_for_a_lock(observer))
    assert waiting.result(PATIENCE).status is JobStatus.COMPLETED
    assert landings(observer, job.id) == ["completed"]


def test_an_attempts_landing_that_waited_for_another_reports_the_state_after_it(
    store: Store, connect: Connect, meanwhile: Callable[..., Future[tuple[bool, Job]]]
) -> None:
    hold, holder, observer = processing_job(store), connect(), connect()
    with holder.transaction():
        holder.execute(LAND)
        waiting = meanwhile(landed, store, hold, COMPLETED)
        eventually(waits_for_a_lock(observer))
    done, job = waiting.result(PATIENCE)
    assert not done
    assert job.status is JobStatus.FAILED
    assert job == service_of(store).get_job_internal(hold.job_id)


def test_a_take_that_waited_for_another_reports_the_state_after_it(
    store: Store, connect: Connect, meanwhile: Callable[..., Future[attempts.Taking]]
) -> None:
    job, holder, observer = queued_job(store), connect(), connect()
    with holder.transaction():
        holder.execute(TAKE)
        waiting = meanwhile(take, store, job.id)
        eventually(waits_for_a_lock(observer))
    taking = waiting.result(PATIENCE)
    assert not taking.done
    assert taking.job.status is JobStatus.PROCESSING
    assert taking.job == service_of(store).get_job_internal(job.id)


def test_progress_beside_a_landing_waits_for_nothing_and_is_lost_with_the_hold(
    store: Store, connect: Connect
) -> None:
    hold, holder = processing_job(store), connect()
    report = reporting.report_progress(hold, Report(percent=50))
    with holder.transaction():
        holder.execute(LAND)
        assert store.run(attempts.check_held(hold)) is False, "what may be undone changes nothing"
        with pytest.raises(JobLocked):
            store.run(report)
    assert store.run(report) is None
    assert service_of(store).get_job_internal(hold.job_id).progress == 0


def test_a_job_that_fails_unstarted_is_taken_and_landed_as_one(
    store: Store, connect: Connect
) -> None:
    """The two statements commit together, and both steps are in the history."""
    job, worker_id = queued_job(store), new_worker(store)
    with store.transaction() as transaction:
        taking = transaction.run(attempts.take(job.id, 0, worker_id, 1, POLICY))
        assert taking is not None
        hold = attempts.Hold(job.id, taking.job.attempt, worker_id)
        assert service_of(store).get_job_internal(job.id) == job, "nobody sees half of it"
        assert transaction.run(attempts.land(hold, FAILED, None, followups=False))[0]
    events = everything(connect(), job.id)["job_events"]
    assert [event["to_status"] for event in events] == ["queued", "processing", "failed"]


def test_a_landing_and_a_deadline_that_meet_agree_on_who_was_first(store: Store) -> None:
    for _ in range(10):
        hold = processing_job(store)
        (done, told), ended = together(
            lambda hold=hold: landed(store, hold),  # type: ignore[misc]
            lambda hold=hold: store.run(sweeping.end_held(hold, ErrorCode.DEADLINE)),  # type: ignore[misc]
        )
        assert done is (ended is None)
        assert told == service_of(store).get_job_internal(hold.job_id)
        assert told.error_code == (None if done else "deadline")


def test_a_landing_and_a_cancellation_that_meet_both_hear_the_truth(store: Store) -> None:
    """A job that runs is only told; so the landing wins, and is what both see."""
    service = service_of(store)
    user_id = uuid4()
    for _ in range(10):
        hold = processing_job(store, user_id=user_id)
        (done, told), cancelled = together(
            lambda hold=hold: landed(store, hold),  # type: ignore[misc]
            lambda hold=hold: service.cancel(hold.job_id, user_id),  # type: ignore[misc]
        )
        assert done
        assert told == service.get_job_internal(hold.job_id)
        assert told.status is JobStatus.COMPLETED
        assert cancelled.status in (JobStatus.PROCESSING, JobStatus.COMPLETED)
        assert service.cancel(hold.job_id, user_id).status is JobStatus.COMPLETED
