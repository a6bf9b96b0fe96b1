"""What follows a landing is published until somebody has dispatched it."""

import pytest

from jobstate import JobStatus, attempts
from tests.factories import (
    FAILED,
    MESSAGE_WITH_FOLLOWUPS,
    POLICY,
    hold_of,
    landed,
    take,
)
from tests.sweeping.scene import AT_MOST_ONCE, MESSAGE_WITH_ERRBACKS, Scene


def message_of(scene: Scene) -> object:
    ((message,),) = scene.sql("select message from jobstate.jobs")
    return message


def test_follow_ups_that_nobody_dispatched_are_published_after_the_grace(scene: Scene) -> None:
    hold = scene.held(message=MESSAGE_WITH_FOLLOWUPS)
    landed(scene.store, hold, followups=True)
    scene.time_passes(scene.settings.publish_grace - 1)
    assert scene.sweep().published == 0, "their worker is about to"
    scene.time_passes(2)
    assert scene.sweep().published == 1
    assert scene.published == [hold.job_id]
    assert scene.read(hold).status is JobStatus.COMPLETED


def test_a_message_for_follow_ups_runs_no_body(scene: Scene) -> None:
    hold = scene.held(message=MESSAGE_WITH_FOLLOWUPS)
    landed(scene.store, hold, followups=True)
    scene.publish(hold.job_id)
    for ticket in (0, 1):
        taking = take(scene.store, hold.job_id, ticket)
        assert (taking.done, taking.followups) == (False, True)
        assert taking.job.status is JobStatus.COMPLETED


def test_dispatched_follow_ups_are_forgotten(scene: Scene) -> None:
    hold = scene.held(message=MESSAGE_WITH_FOLLOWUPS)
    landed(scene.store, hold, followups=True)
    scene.store.run(attempts.clear_followups(hold.job_id))
    assert message_of(scene) is None
    assert not scene.read(hold).followups_pending
    scene.time_passes(3600)
    assert scene.sweep().published == 0


def test_a_failure_keeps_the_message_of_a_job_that_has_errbacks(scene: Scene) -> None:
    hold = scene.held(message=MESSAGE_WITH_ERRBACKS)
    landed(scene.store, hold, FAILED, followups=True)
    scene.time_passes(scene.settings.publish_grace)
    assert scene.sweep().published == 1
    assert message_of(scene) is not None
    scene.store.run(attempts.clear_followups(hold.job_id))
    assert message_of(scene) is None


def test_an_attempt_that_fails_has_nothing_to_dispatch_but_errbacks(scene: Scene) -> None:
    hold = scene.held(message=MESSAGE_WITH_FOLLOWUPS)
    landed(scene.store, hold, FAILED, followups=True)
    assert message_of(scene) is None
    assert not scene.read(hold).followups_pending


def test_callbacks_alone_are_no_reason_to_keep_the_message_of_a_failure(scene: Scene) -> None:
    hold = scene.lost(AT_MOST_ONCE, message=MESSAGE_WITH_FOLLOWUPS)
    assert scene.sweep().failed == 1
    assert not scene.read(hold).followups_pending
    assert message_of(scene) is None
    assert scene.published == []


def test_follow_ups_that_no_worker_dispatches_are_given_up_after_a_week(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Until then they may wait in a backlog."""
    hold = scene.held(message=MESSAGE_WITH_FOLLOWUPS)
    landed(scene.store, hold, followups=True)
    for _ in range(27):
        scene.time_passes(6 * 3600)
        scene.sweep()
    assert scene.published == [hold.job_id] * 27
    assert scene.read(hold).followups_pending
    scene.time_passes(6 * 3600)
    scene.sweep()
    assert not scene.read(hold).followups_pending
    assert message_of(scene) is None
    assert "were not dispatched" in caplog.text


def test_the_pauses_between_the_tries_grow(scene: Scene) -> None:
    hold = scene.held(message=MESSAGE_WITH_FOLLOWUPS)
    landed(scene.store, hold, followups=True)
    scene.publish(hold.job_id)
    scene.published.clear()
    for publishes in (1, 2, 3, 4):
        scene.time_passes(scene.settings.publish_grace * 2 ** (publishes - 1) - 1)
        assert scene.sweep().published == 0
        scene.time_passes(2)
        assert scene.sweep().published == 1


def test_a_job_that_was_never_delivered_has_a_week_for_its_errbacks(scene: Scene) -> None:
    job = scene.queued(message=MESSAGE_WITH_ERRBACKS)
    scene.sql("update jobstate.jobs set publishes = 10, published_at = null, next_check_at = now()")
    scene.broker_is_up = False
    assert scene.sweep().failed == 1
    scene.broker_is_up = True
    scene.time_passes(6 * 24 * 3600)
    scene.sweep()
    assert scene.published == [job.id]
    assert scene.read(job).error_code == "never_delivered"


def test_a_rescued_attempt_keeps_what_follows_for_the_one_that_lands(scene: Scene) -> None:
    hold = scene.lost(POLICY, message=MESSAGE_WITH_FOLLOWUPS)
    assert scene.sweep().rescued == 1
    taking = take(scene.store, hold.job_id, ticket=1)
    assert (taking.done, taking.followups) == (True, True)
    landed(scene.store, hold_of(taking.job), followups=True)
    assert message_of(scene) is not None
