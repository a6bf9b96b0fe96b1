"""A job that was delegated: other tasks have it, and it lands with them, or without them."""

from typing import Any
from uuid import UUID

import pytest

from jobstate import Job, JobStatus, delegating
from jobstate.attempts import Hold, Landing
from tests.factories import FAILED, hold_of, landed, queued_job, released, service_of, take
from tests.sweeping.scene import MESSAGE_WITH_ERRBACKS, Scene

DAY = 24 * 3600


def delegated(scene: Scene, *, out: bool = True, **columns: Any) -> Hold:
    """Let an attempt leave its job to other tasks, which are published unless its process dies."""
    hold = scene.held(**columns)
    released(scene.store, hold, canvas='{"task": "shop.exports"}')
    if out:
        assert scene.publish(hold.job_id)
        scene.published.clear()
    return hold


def member_of(scene: Scene, hold: Hold, *, failing: bool = False) -> Job:
    """Let one of those tasks run as a job."""
    member = queued_job(scene.store, parent_id=hold.job_id)
    if failing:
        landed(scene.store, hold_of(take(scene.store, member.id).job), FAILED)
    return scene.read(member)


def succeed(scene: Scene, job_id: UUID, ticket: int) -> bool:
    """Let the last of the tasks take the job over."""
    message = '{"body": "[[], {}, {}]"}'
    return scene.store.run(
        delegating.succeed_to(job_id, ticket, "shop.sums", "celery", message, publish_grace=5)
    )


def test_tasks_that_were_not_published_before_their_process_died_are(scene: Scene) -> None:
    hold = delegated(scene, out=False)
    scene.time_passes(6)
    scene.sweep()
    assert scene.published == [hold.job_id]


def test_tasks_that_were_published_are_not_published_again(scene: Scene) -> None:
    """Nobody can tell whether plain ones run: they would run twice."""
    delegated(scene)
    for _ in range(20):
        scene.time_passes(3600)
        scene.sweep()
    assert scene.published == []


def test_a_delegated_job_fails_as_the_first_of_its_members_that_failed(scene: Scene) -> None:
    hold = delegated(scene, message=MESSAGE_WITH_ERRBACKS)
    member = member_of(scene, hold, failing=True)
    member_of(scene, hold)
    scene.time_passes(6)
    scene.sweep()
    job = scene.read(hold)
    assert (job.status, job.error_code) == (JobStatus.FAILED, member.error_code)
    assert job.error_message == member.error_message
    assert not job.followups_pending, "the member's own failure was told to the errbacks"


def test_what_a_job_had_enqueued_before_is_none_of_its_members(scene: Scene) -> None:
    hold = scene.held()
    member_of(scene, hold, failing=True)
    released(scene.store, hold, canvas="{}")
    scene.publish(hold.job_id)
    scene.time_passes(6)
    scene.sweep()
    assert not scene.read(hold).is_terminal


def test_a_member_that_fails_says_nothing_once_a_task_has_taken_the_job_over(scene: Scene) -> None:
    hold = delegated(scene)
    assert succeed(scene, hold.job_id, hold.attempt)
    member_of(scene, hold, failing=True)
    assert scene.store.run(delegating.fail_delegated(hold.job_id, hold.attempt)) is None
    scene.time_passes(6)
    scene.sweep()
    assert scene.published == [hold.job_id]
    assert not scene.read(hold).is_terminal


def test_a_task_takes_over_what_was_delegated_to_it_once(scene: Scene) -> None:
    hold = delegated(scene)
    assert succeed(scene, hold.job_id, hold.attempt)
    assert not succeed(scene, hold.job_id, hold.attempt)
    taking = take(scene.store, hold.job_id, ticket=hold.attempt)
    assert taking.done
    assert taking.job.task_name == "shop.sums"


@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_task_of_another_attempt_neither_takes_a_job_over_nor_lands_it(
    scene: Scene, wrong: int
) -> None:
    hold = delegated(scene)
    ticket = hold.attempt + wrong
    assert not succeed(scene, hold.job_id, ticket)
    done, job = scene.store.run(delegating.land_delegated(hold.job_id, ticket, '"late"'))
    assert (done, job.status) == (False, JobStatus.PROCESSING)
    landing = Landing(JobStatus.FAILED, error_code="late", error_message="Late.")
    assert scene.store.run(delegating.fail_delegated(hold.job_id, ticket, landing)) is None


def test_a_plain_task_lands_what_was_delegated_to_it(scene: Scene) -> None:
    hold = delegated(scene)
    done, job = scene.store.run(delegating.land_delegated(hold.job_id, hold.attempt, "[2, 4]"))
    assert (done, job.status, job.result) == (True, JobStatus.COMPLETED, [2, 4])
    assert scene.sql("select message from jobstate.jobs where id = %s", hold.job_id) == [(None,)]


def test_a_job_that_is_held_cannot_be_landed_like_a_delegated_one(scene: Scene) -> None:
    hold = scene.held()
    done, _ = scene.store.run(delegating.land_delegated(hold.job_id, hold.attempt, '"early"'))
    assert not done


def test_a_job_whose_plain_tasks_are_not_heard_of_for_a_day_lost_them(scene: Scene) -> None:
    hold = delegated(scene, message=MESSAGE_WITH_ERRBACKS)
    scene.time_passes(DAY - 60)
    scene.sweep()
    assert not scene.read(hold).is_terminal
    scene.time_passes(61)
    scene.sweep()
    job = scene.read(hold)
    assert (job.error_code, job.followups_pending) == ("worker_lost", True)
    scene.publish(hold.job_id)
    ((message,),) = scene.sql("select message from jobstate.jobs where id = %s", hold.job_id)
    assert "canvas" not in message, "the errbacks are told by the job's own message"


def test_a_job_waits_for_its_members_for_as_long_as_one_is_live(scene: Scene) -> None:
    hold = delegated(scene)
    member_of(scene, hold)
    scene.time_passes(2 * DAY)
    scene.sweep()
    assert not scene.read(hold).is_terminal


def test_a_delegated_job_that_is_cancelled_lands_at_once(scene: Scene) -> None:
    hold = delegated(scene)
    job = scene.read(hold)
    service_of(scene.store).cancel(job.id, job.user_id)
    assert scene.read(hold).error_code == "cancelled"
    assert not succeed(scene, hold.job_id, hold.attempt)


def test_an_attempt_that_takes_the_job_itself_forgets_the_tasks(scene: Scene) -> None:
    """As when the last task was unknown to whoever delegated: only its worker knows it is a job."""
    hold = delegated(scene)
    assert take(scene.store, hold.job_id, ticket=hold.attempt).done
    assert scene.sql("select message from jobstate.jobs where id = %s", hold.job_id) == [(None,)]
