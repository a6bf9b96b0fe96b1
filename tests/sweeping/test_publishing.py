"""The jobs table as the outbox: what is published when, and what is published again."""

from datetime import timedelta

import pytest

from jobstate import JobStatus, publishing, sweeping
from jobstate.states import ErrorCode
from jobstate.sweeper import SweepReport
from tests.factories import landed, queued_job, released, take
from tests.sweeping.scene import AT_MOST_ONCE, Scene

HOUR = 3600.0


def test_a_job_that_was_never_published_is_published_after_the_grace(scene: Scene) -> None:
    job = queued_job(scene.store)
    scene.time_passes(scene.settings.publish_grace - 1)
    assert scene.sweep().published == 0
    scene.time_passes(1)
    assert scene.sweep().published == 1
    assert scene.published == [job.id]
    assert scene.read(job).published_at is not None
    scene.time_passes(60)
    assert scene.sweep().published == 0


def test_what_the_broker_did_not_take_is_tried_again(scene: Scene) -> None:
    job = queued_job(scene.store)
    scene.broker_is_up = False
    for _ in range(20):
        scene.time_passes(scene.settings.sweep_interval)
        assert scene.sweep().published == 0
    assert scene.read(job).publishes == 0
    scene.broker_is_up = True
    scene.time_passes(scene.settings.sweep_interval)
    assert scene.sweep().published == 1


def test_a_backlog_is_no_loss(scene: Scene) -> None:
    """Jobs published before this one have started, and one of another queue."""
    scene.held(queue="q")
    job = scene.queued(queue="q")
    scene.later_job_started(queue="elsewhere")
    for _ in range(5):
        scene.time_passes(HOUR / 6)
        assert scene.sweep().published == 0
    assert scene.read(job).status is JobStatus.QUEUED


def test_without_evidence_a_job_is_published_again_after_an_hour_then_after_two(
    scene: Scene,
) -> None:
    scene.queued()
    for hours in (1, 2, 4):
        scene.published.clear()
        # The sweeper looks every ten minutes.
        for _ in range(hours * 6 - 1):
            scene.time_passes(HOUR / 6)
            assert scene.sweep().published == 0
        scene.time_passes(HOUR / 6 + 600)
        assert scene.sweep().published == 1


def test_a_job_that_a_later_one_has_overtaken_is_published_again(scene: Scene) -> None:
    job = scene.queued()
    scene.time_passes(1)
    scene.later_job_started()
    scene.time_passes(2 * scene.settings.lost_grace)
    assert scene.sweep().published == 1
    assert scene.published == [job.id]
    assert scene.history(job) == ["queued", "republish"]
    scene.time_passes(8 * scene.settings.lost_grace)
    assert scene.sweep().published == 0, "nothing that was published since has started"


def test_a_job_that_is_lost_time_and_again_was_never_delivered(scene: Scene) -> None:
    """Between two publications there is a pause, each twice as long as the one before."""
    job = scene.queued()
    for publishes in range(1, 11):
        assert scene.read(job).publishes == publishes
        scene.time_passes(1)
        other = scene.later_job_started()
        pause = scene.settings.lost_grace * 2**publishes
        scene.time_passes(pause - 3)
        report = scene.sweep()
        assert (report.published, report.failed) == (0, 0)
        scene.time_passes(pause)
        report = scene.sweep()
        assert report.published + report.failed == 1
        landed(scene.store, other)
    assert scene.published == [job.id] * 9
    failed = scene.read(job)
    assert (failed.status, failed.error_code) == (JobStatus.FAILED, "never_delivered")
    moves = [what for what in scene.history(job) if what != "republish"]
    assert moves == ["queued", "processing", "failed"]


def test_a_job_whose_message_is_thrown_away_ten_times_was_never_delivered(scene: Scene) -> None:
    job = scene.queued()
    scene.sql("update jobstate.jobs set published_at = null, publishes = 9, next_check_at = now()")
    assert scene.sweep().published == 1
    scene.sql("update jobstate.jobs set published_at = null, next_check_at = now()")
    assert scene.sweep().failed == 1
    assert scene.read(job).error_code == "never_delivered"


def test_a_job_whose_task_one_worker_does_not_know_is_left_to_another(scene: Scene) -> None:
    job = scene.queued()
    scene.store.run(
        publishing.put_back(job.id, 0, ErrorCode.UNKNOWN_TASK, scene.settings.lost_grace)
    )
    assert scene.read(job).status is JobStatus.QUEUED
    scene.time_passes(scene.settings.lost_grace)
    assert scene.sweep().published == 0, "it pauses, as it may be the same worker again"
    scene.time_passes(scene.settings.lost_grace)
    assert scene.sweep().published == 1
    taking = take(scene.store, job.id)
    assert taking.done
    assert taking.job.error_code is None


def test_a_worker_that_throws_away_an_old_message_disturbs_no_later_attempt(scene: Scene) -> None:
    hold = scene.held()
    before = scene.read(hold)
    for ticket in (0, 1):
        code = ErrorCode.UNKNOWN_TASK
        scene.store.run(publishing.put_back(hold.job_id, ticket, code, scene.settings.lost_grace))
    assert scene.read(hold) == before


def test_a_job_far_ahead_is_published_only_when_it_is_due(scene: Scene) -> None:
    job = queued_job(scene.store, eta=HOUR)
    for _ in range(11):
        scene.time_passes(HOUR / 12)
        assert scene.sweep().published == 0
    scene.time_passes(HOUR / 12)
    assert scene.sweep().published == 1
    assert scene.published == [job.id]


def test_a_job_does_not_wait_for_a_clock_that_was_ahead(scene: Scene) -> None:
    """It was to be looked at by that clock; sweepers have seen it go back."""
    day = 86_400
    lost, held = queued_job(scene.store), scene.held(deadline=60)
    later = queued_job(scene.store, eta=day)
    scene.time_passes(61, scene.read(held))
    scene.sql("update jobstate.jobs set next_check_at = now() + interval '1 day'")
    # A correction by some seconds is none: nobody waits for long.
    for ahead in (-30, 0, 30):
        scene.seen_up(last_seen=-ahead)
        assert scene.sweeper.sweep() == SweepReport()
    scene.seen_up(last_seen=-day)
    assert scene.sweeper.sweep() == SweepReport(published=1, failed=1)
    assert scene.published == [lost.id]
    assert scene.read(held).error_code == "deadline"
    due_at, eta = scene.read(later).next_check_at, scene.read(later).eta
    assert due_at is not None
    assert eta is not None
    assert due_at == eta - timedelta(seconds=30)


def test_a_job_that_is_due_soon_is_published_like_any_other(scene: Scene) -> None:
    queued_job(scene.store, eta=50)
    scene.time_passes(scene.settings.publish_grace)
    assert scene.sweep().published == 1


def test_a_message_that_waits_for_its_time_is_not_lost(scene: Scene) -> None:
    scene.queued(eta=50)
    scene.time_passes(40)
    scene.later_job_started()
    scene.time_passes(5)
    assert scene.sweep().published == 0


def test_a_retry_whose_message_did_not_go_out_is_published_with_its_ticket(scene: Scene) -> None:
    hold = scene.held()
    assert released(scene.store, hold)[0]
    scene.time_passes(scene.settings.publish_grace)
    assert scene.sweep().published == 1
    assert not take(scene.store, hold.job_id, ticket=0).done
    assert take(scene.store, hold.job_id, ticket=1).done


def test_a_retry_that_does_not_start_is_published_again_with_growing_pauses(scene: Scene) -> None:
    hold = scene.held()
    released(scene.store, hold)
    scene.publish(hold.job_id)
    scene.published.clear()
    for publishes in (1, 2, 3):
        pause = scene.settings.lost_grace * 2**publishes
        scene.time_passes(pause - 1)
        assert scene.sweep().published == 0
        scene.time_passes(pause)
        assert scene.sweep().published == 1


def test_a_retry_far_ahead_is_published_only_when_it_is_due(scene: Scene) -> None:
    hold = scene.held()
    released(scene.store, hold, when={"eta": None, "countdown": HOUR})
    for _ in range(11):
        scene.time_passes(HOUR / 12)
        assert scene.sweep().published == 0
    scene.time_passes(HOUR / 12)
    assert scene.sweep().published == 1


@pytest.mark.parametrize("started", [False, True])
def test_a_job_without_a_message_is_never_published_nor_rescued(
    scene: Scene, *, started: bool
) -> None:
    """Its caller drives it."""
    job = scene.driven(started=started)
    scene.later_job_started()
    for _ in range(5):
        scene.sql("update jobstate.jobs set next_check_at = now() where id = %s", job.id)
        scene.time_passes(HOUR * 24, job)
        report = scene.sweep()
        assert (report.published, report.rescued, report.failed) == (0, 0, 0)
    assert scene.read(job).status == ("processing" if started else "queued")


def test_a_failed_child_says_nothing_about_a_job_that_its_caller_drives(scene: Scene) -> None:
    job = scene.driven(started=True)
    hold = scene.lost(parent_id=job.id, policy=AT_MOST_ONCE)
    scene.sweep()
    assert scene.read(hold).status is JobStatus.FAILED
    scene.sql("update jobstate.jobs set next_check_at = now() where id = %s", job.id)
    assert scene.sweep().failed == 0
    assert scene.read(job).status is JobStatus.PROCESSING


def test_a_message_that_waits_in_a_living_worker_is_not_lost(scene: Scene) -> None:
    """For a free process, or for its rate limit, while later ones overtake it."""
    job, stale = scene.queued(), scene.queued()
    scene.later_job_started()
    scene.time_passes(3600, job)
    scene.time_passes(3600, stale)
    scene.store.run(sweeping.delivered({job.id: 0, stale.id: 1}))
    scene.sweep()
    assert scene.published == [stale.id]


def test_a_message_that_was_thrown_away_before_its_publication_was_noted_goes_out_again(
    scene: Scene,
) -> None:
    """By a worker whose clock is ahead, and that was faster than its publisher."""
    job = queued_job(scene.store)
    scene.store.run(publishing.put_back(job.id, 0, ErrorCode.EXPIRED, scene.settings.lost_grace))
    scene.store.run(publishing.note_published(job.id, 0, scene.settings.publish_grace))
    scene.time_passes(3 * scene.settings.lost_grace)
    scene.sweep()
    assert scene.published == [job.id]
    assert scene.read(job).status is JobStatus.QUEUED
