"""Ends that come by the clock: expiry, the queue's timeout, deadlines, silence of a body."""

from dataclasses import replace

import pytest

from jobstate import ItemStatus, JobService, JobStatus, reporting, sweeping
from jobstate.attempts import ending
from jobstate.items import Outcome
from jobstate.progress import Report
from jobstate.states import ErrorCode
from tests.factories import POLICY, hold_of, landed, queued_job, released, take
from tests.sweeping.scene import MESSAGE_WITH_ERRBACKS, Scene

KEEPING = replace(POLICY, keep_partial=True, no_progress=30.0)
SILENT_AFTER_30 = replace(POLICY, no_progress=30.0)


def failed_as(scene: Scene, code: str) -> None:
    """Sweep; the only job must fail like this, and only then."""
    report = scene.sweep()
    assert (report.failed, report.published, report.rescued) == (1, 0, 0)
    ((status, found),) = scene.sql("select status, error_code from jobstate.jobs")
    assert (status, found) == ("failed", code)


@pytest.mark.parametrize("published", [True, False])
def test_a_queued_job_expires(scene: Scene, *, published: bool) -> None:
    job = scene.queued(expires=60) if published else queued_job(scene.store, expires=60)
    scene.time_passes(55)
    assert scene.sweep().failed == 0
    scene.time_passes(6)
    failed_as(scene, "expired")
    moves = [what for what in scene.history(job) if what != "republish"]
    assert moves == ["queued", "processing", "failed"]


def test_a_released_job_expires(scene: Scene) -> None:
    hold = scene.held(expires=60)
    released(scene.store, hold)
    scene.publish(hold.job_id)
    scene.time_passes(61)
    failed_as(scene, "expired")
    assert scene.history(hold) == ["queued", "processing", "retry", "failed"]


def test_a_running_job_does_not_expire(scene: Scene) -> None:
    hold = scene.held(expires=60)
    scene.time_passes(61)
    scene.sql("update jobstate.jobs set next_check_at = now()")
    assert scene.sweep().failed == 0
    assert scene.read(hold).status is JobStatus.PROCESSING


def test_a_job_that_was_taken_since_it_was_found_expired_runs(scene: Scene) -> None:
    job = scene.queued(expires=60)
    scene.time_passes(61)
    (found,) = scene.store.run_all(sweeping.due(scene.settings, 10))
    assert found.finding == "expired"
    hold = hold_of(take(scene.store, job.id).job)
    assert not scene.sweeper._end(found, ErrorCode.EXPIRED)
    assert landed(scene.store, hold)[0]


def test_a_job_waits_no_longer_in_its_queue_than_the_settings_allow(scene: Scene) -> None:
    scene = scene.with_settings(queue_timeout=600)
    job = scene.queued()
    for _ in range(59):
        scene.time_passes(10)
        assert scene.sweep().failed == 0
    scene.time_passes(11)
    failed_as(scene, "expired")
    assert scene.read(job).attempt == 1


def test_a_job_far_ahead_waits_for_its_time_and_not_in_the_queue(scene: Scene) -> None:
    scene = scene.with_settings(queue_timeout=600)
    job = queued_job(scene.store, eta=3600)
    scene.time_passes(700)
    assert scene.sweep().failed == 0
    assert scene.read(job).status is JobStatus.QUEUED


def test_a_queued_job_fails_at_its_deadline(scene: Scene) -> None:
    scene.queued(deadline=60)
    scene.time_passes(55)
    assert scene.sweep().failed == 0
    scene.time_passes(6)
    failed_as(scene, "deadline")


def test_a_released_job_fails_at_its_deadline(scene: Scene) -> None:
    hold = scene.held(deadline=60)
    released(scene.store, hold)
    scene.time_passes(61)
    failed_as(scene, "deadline")


def test_a_running_job_fails_at_its_deadline_and_its_body_is_fenced_out(scene: Scene) -> None:
    hold = scene.held(deadline=60)
    scene.time_passes(59)
    assert scene.sweep().failed == 0
    scene.time_passes(2)
    failed_as(scene, "deadline")
    assert scene.store.run(reporting.report_progress(hold, Report(percent=99))) is None
    done, job = landed(scene.store, hold)
    assert (done, job.status) == (False, JobStatus.FAILED)
    assert scene.store.run(sweeping.ended_among([hold.job_id])) == {hold.job_id}


def test_a_body_that_reports_nothing_for_too_long_fails(scene: Scene) -> None:
    scene.held(SILENT_AFTER_30)
    scene.time_passes(29)
    assert scene.sweep().failed == 0
    scene.time_passes(2)
    failed_as(scene, "no_progress")


@pytest.mark.parametrize("code", ["time_limit", "deadline", "no_progress"])
def test_what_an_interrupted_job_has_done_is_kept_where_its_task_says_so(
    scene: Scene, code: str
) -> None:
    """Its callbacks follow, and the run is terminated all the same."""
    for policy, kept in ((KEEPING, True), (replace(KEEPING, keep_partial=False), False)):
        hold = scene.held(policy, message=MESSAGE_WITH_ERRBACKS)
        items = {"1": Outcome(ItemStatus.SUCCEEDED)}
        assert scene.store.run(reporting.record_items(hold, items)) is False
        scene.time_passes(31)
        job = scene.store.run(sweeping.end_held(hold, ErrorCode(code)))
        assert job is not None
        assert (job.status, job.error_code) == ("partial" if kept else "failed", code)
        assert (job.progress, job.followups_pending) == (100 if kept else 0, True)
        if code != "time_limit":
            assert scene.store.run(sweeping.ended_among([hold.job_id])) == {hold.job_id}


def test_an_interrupted_job_that_has_done_nothing_failed(scene: Scene) -> None:
    hold = scene.held(KEEPING)
    scene.store.run(reporting.record_items(hold, {"1": Outcome(ItemStatus.FAILED)}))
    job = scene.store.run(sweeping.end_held(hold, ErrorCode.DEADLINE))
    assert job is not None
    assert (job.status, job.progress) == (JobStatus.FAILED, 0)


def test_a_file_that_was_stored_is_kept_too(scene: Scene) -> None:
    hold = scene.held(KEEPING, deadline=60)
    asset = reporting.add_asset(hold, "csv", "u", "s", 1, content_type=None, sha256=None)
    assert scene.store.run(asset) is not None
    scene.time_passes(61)
    assert scene.sweep().failed == 1
    assert scene.read(hold).status is JobStatus.PARTIAL


def test_a_cancelled_job_keeps_its_items_and_failed(scene: Scene) -> None:
    """Its owner has ended it: that is no interruption."""
    hold = scene.held(KEEPING)
    scene.store.run(reporting.record_items(hold, {"1": Outcome(ItemStatus.SUCCEEDED)}))
    job = scene.store.run(sweeping.end_held(hold, ErrorCode.CANCELLED))
    assert job is not None
    assert (job.status, job.error_code) == (JobStatus.FAILED, "cancelled")
    assert job.items_succeeded == 1


def test_the_silence_of_a_body_counts_from_its_last_report(scene: Scene) -> None:
    hold = scene.held(SILENT_AFTER_30)
    for _ in range(5):
        scene.time_passes(20)
        assert scene.store.run(reporting.report_progress(hold, Report(percent=1))) is False
        assert scene.sweep().failed == 0
    scene.time_passes(29)
    assert scene.sweep().failed == 0
    scene.time_passes(2)
    failed_as(scene, "no_progress")


def test_an_item_that_is_recorded_ends_the_silence(scene: Scene) -> None:
    hold = scene.held(SILENT_AFTER_30)
    for number in range(3):
        scene.time_passes(20)
        items = {str(number): Outcome(ItemStatus.SUCCEEDED)}
        assert scene.store.run(reporting.record_items(hold, items)) is False
        assert scene.sweep().failed == 0
    scene.time_passes(31)
    failed_as(scene, "no_progress")


def test_a_body_that_is_heard_of_since_it_was_found_silent_goes_on(scene: Scene) -> None:
    hold = scene.held(SILENT_AFTER_30)
    scene.time_passes(31)
    (found,) = scene.store.run_all(sweeping.due(scene.settings, 10))
    assert found.finding == "no_progress"
    assert scene.store.run(reporting.report_progress(hold, Report(percent=1))) is False
    assert not scene.sweeper._end(found, ErrorCode.NO_PROGRESS)
    assert landed(scene.store, hold)[0]


def test_a_job_that_waits_for_its_retry_is_not_silent(scene: Scene) -> None:
    hold = scene.held(SILENT_AFTER_30)
    released(scene.store, hold, when={"eta": None, "countdown": 600})
    scene.time_passes(300)
    assert scene.sweep().failed == 0


def test_a_report_since_a_body_was_found_silent_does_not_save_it_twice(scene: Scene) -> None:
    """Only who holds the job at that attempt is ended."""
    hold = scene.held(SILENT_AFTER_30)
    released(scene.store, hold)
    take(scene.store, hold.job_id, ticket=1, policy=SILENT_AFTER_30)
    assert scene.store.run(sweeping.end_held(hold, ErrorCode.NO_PROGRESS)) is None
    assert scene.read(hold).status is JobStatus.PROCESSING


def test_an_end_of_an_attempt_that_is_over_does_not_end_the_next(scene: Scene) -> None:
    hold = scene.held()
    released(scene.store, hold)
    end = sweeping.end_unheld(hold.job_id, 0, ending(ErrorCode.EXPIRED))
    assert scene.store.run_all(end) is None
    assert not scene.read(hold).is_terminal


@pytest.mark.parametrize("limit", ["expires", "deadline"])
def test_a_job_that_its_caller_drives_has_its_limits_too(
    scene: Scene, service: JobService, user_id: object, limit: str
) -> None:
    service.create_job(user_id, "report", **{limit: 60})  # type: ignore[arg-type]
    scene.time_passes(61)
    failed_as(scene, "expired" if limit == "expires" else limit)


def test_a_driven_job_that_has_begun_fails_at_its_deadline(
    scene: Scene, service: JobService, user_id: object
) -> None:
    job = service.create_job(user_id, "report", deadline=60)
    service.transition_status(job.id, JobStatus.PROCESSING)
    scene.time_passes(61)
    failed_as(scene, "deadline")


def test_a_job_with_errbacks_that_fails_by_the_clock_is_published_for_them(scene: Scene) -> None:
    job = scene.queued(deadline=60, message=MESSAGE_WITH_ERRBACKS)
    scene.time_passes(61)
    assert scene.sweep().failed == 1
    assert scene.read(job).followups_pending
    assert scene.published == [job.id]
