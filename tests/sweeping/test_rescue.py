"""A job whose worker is gone: run again, kept or failed, by the policy in its row."""

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from jobstate import Job, JobStatus, reporting, sweeping
from jobstate.attempts import Hold, Policy
from jobstate.items import Outcome
from jobstate.states import ItemStatus
from tests.factories import POLICY, everything, hold_of, landed, released, take, together
from tests.sweeping.scene import MESSAGE_WITH_ERRBACKS, Scene

Connect = Callable[[], psycopg.Connection]

AT_MOST_ONCE = replace(POLICY, idempotent=False)
KEEPING = replace(AT_MOST_ONCE, keep_partial=True)


def rescue_of(scene: Scene, hold: Hold) -> Job:
    report = scene.sweep()
    assert report.rescued + report.failed == 1
    return scene.read(hold)


def test_an_idempotent_job_is_released_and_published_once(scene: Scene) -> None:
    hold = scene.lost()
    job = rescue_of(scene, hold)
    assert (job.status, job.worker_id, job.pid) == (JobStatus.PROCESSING, None, None)
    assert (job.rescues, job.attempt, job.error_code) == (1, 1, None)
    assert scene.history(hold) == ["queued", "processing", "rescue"]
    assert scene.published == [hold.job_id]
    assert scene.sweep().rescued == 0
    assert scene.published == [hold.job_id]


def test_a_rescued_job_is_taken_with_the_ticket_of_the_lost_attempt(scene: Scene) -> None:
    hold = scene.lost()
    rescue_of(scene, hold)
    assert not take(scene.store, hold.job_id, ticket=0).done
    second = take(scene.store, hold.job_id, ticket=1)
    assert second.done
    assert not landed(scene.store, hold)[0]
    assert landed(scene.store, hold_of(second.job))[0]


def test_a_job_that_always_loses_its_worker_is_given_up(scene: Scene) -> None:
    hold = scene.lost(replace(POLICY, max_rescues=2))
    for rescues in (1, 2):
        assert rescue_of(scene, hold).rescues == rescues
        hold = hold_of(
            take(scene.store, hold.job_id, rescues, policy=replace(POLICY, max_rescues=2)).job
        )
        scene.bury(hold.worker_id)
    job = rescue_of(scene, hold)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "rescues_exhausted")
    assert scene.history(hold) == ["queued", "processing", "rescue", "rescue", "failed"]
    assert scene.published == [hold.job_id] * 2


def test_an_idempotent_job_without_a_message_cannot_run_again(scene: Scene) -> None:
    """As in an eager run: nobody could publish it."""
    hold = scene.lost(message=None)
    job = rescue_of(scene, hold)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "worker_lost")


@pytest.mark.parametrize("policy", [AT_MOST_ONCE, KEEPING])
def test_a_job_that_may_run_only_once_failed_with_its_worker(scene: Scene, policy: Policy) -> None:
    hold = scene.lost(policy)
    job = rescue_of(scene, hold)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "worker_lost")
    assert job.error_message == "The worker that ran the job was lost."
    assert (job.rescues, job.progress, job.followups_pending) == (0, 0, False)
    assert scene.published == []
    assert scene.sql("select message from jobstate.jobs") == [(None,)]


def test_succeeded_items_are_kept_where_the_task_says_so(scene: Scene) -> None:
    hold = scene.held(KEEPING)
    items = {"1": Outcome(ItemStatus.SUCCEEDED, None, None)}
    assert scene.store.run(reporting.record_items(hold, items)) is False
    scene.bury(hold.worker_id)
    job = rescue_of(scene, hold)
    assert (job.status, job.error_code) == (JobStatus.PARTIAL, "worker_lost")
    assert (job.progress, job.items_succeeded) == (100, 1)


def test_failed_items_alone_are_nothing_to_keep(scene: Scene) -> None:
    hold = scene.held(KEEPING)
    scene.store.run(reporting.record_items(hold, {"1": Outcome(ItemStatus.FAILED, None, "broken")}))
    scene.bury(hold.worker_id)
    assert rescue_of(scene, hold).status is JobStatus.FAILED


@pytest.mark.parametrize("policy", [KEEPING, AT_MOST_ONCE])
def test_stored_assets_are_kept_where_the_task_says_so(scene: Scene, policy: Policy) -> None:
    hold = scene.held(policy)
    asset = reporting.add_asset(hold, "csv", "u", "s", 1, content_type=None, sha256=None)
    assert scene.store.run(asset) is not None
    scene.bury(hold.worker_id)
    job = rescue_of(scene, hold)
    assert job.status is (JobStatus.PARTIAL if policy is KEEPING else JobStatus.FAILED)


def test_assets_of_an_earlier_attempt_are_nothing_to_keep(scene: Scene) -> None:
    first = scene.held(KEEPING)
    scene.store.run(reporting.add_asset(first, "csv", "u", "s", 1, content_type=None, sha256=None))
    released(scene.store, first)
    second = hold_of(take(scene.store, first.job_id, ticket=1, policy=KEEPING).job)
    scene.bury(second.worker_id)
    assert rescue_of(scene, second).status is JobStatus.FAILED


def test_a_job_with_errbacks_that_failed_with_its_worker_is_published_for_them(
    scene: Scene,
) -> None:
    hold = scene.lost(AT_MOST_ONCE, message=MESSAGE_WITH_ERRBACKS)
    job = rescue_of(scene, hold)
    assert (job.status, job.followups_pending) == (JobStatus.FAILED, True)
    assert scene.published == [hold.job_id]


def test_a_job_that_landed_since_it_was_looked_for_stays_as_it_is(
    scene: Scene, connect: Connect
) -> None:
    connection = connect()
    hold = scene.lost()
    assert scene.store.run(sweeping.held_by_the_dead(100)) == [hold]
    landed(scene.store, hold)
    before = everything(connection, hold.job_id)
    assert scene.sweeper.rescue(hold) is None
    assert everything(connection, hold.job_id) == before


def test_a_job_that_another_attempt_took_since_it_was_looked_for_stays_as_it_is(
    scene: Scene, connect: Connect
) -> None:
    connection = connect()
    hold = scene.lost()
    released(scene.store, hold)
    take(scene.store, hold.job_id, ticket=1)
    before = everything(connection, hold.job_id)
    assert scene.sweeper.rescue(hold) is None
    assert everything(connection, hold.job_id) == before
    assert scene.sweep().rescued == 0


def test_a_job_that_somebody_writes_to_is_left_to_a_later_round(
    scene: Scene, connect: Connect
) -> None:
    scene.lost()
    writing = connect()
    with writing.transaction():
        writing.execute("select from jobstate.jobs for no key update")
        assert scene.sweep().rescued == 0
    assert scene.sweep().rescued == 1


def test_sweepers_that_meet_rescue_each_job_once(scene: Scene, connect: Connect) -> None:
    holds = [scene.lost() for _ in range(30)]
    sweepers = [Scene(scene.store, connect()) for _ in range(3)]
    scene.seen_up()
    reports = together(*(other.sweeper.sweep for other in sweepers))
    assert sum(report.rescued for report in reports) == len(holds)
    for hold in holds:
        assert scene.read(hold).rescues == 1
        assert scene.history(hold).count("rescue") == 1
        assert any(hold.job_id in other.published for other in sweepers)


def test_an_attempt_and_its_rescue_that_meet_land_the_job_once(
    scene: Scene,
) -> None:
    for _ in range(10):
        hold = scene.lost(AT_MOST_ONCE)
        scene.seen_up()
        (done, _), report = together(
            lambda hold=hold: landed(scene.store, hold),  # type: ignore[misc]
            scene.sweeper.sweep,
        )
        assert done is (report.failed == 0)
        history = scene.history(hold)
        assert history[:2] == ["queued", "processing"]
        assert len(history) == 3
