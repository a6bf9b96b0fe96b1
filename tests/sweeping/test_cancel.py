"""A cancellation: at once where nobody runs the job, after a grace where somebody does."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from jobstate import (
    AsyncJobService,
    Job,
    JobNotFound,
    JobService,
    JobStatus,
    NotOwner,
    attempts,
    reporting,
    sweeping,
)
from jobstate.progress import Report
from tests.factories import (
    PARTIAL,
    PATIENCE,
    eventually,
    hold_of,
    landed,
    queued_job,
    released,
    take,
    together,
    waits_for_a_lock,
)
from tests.sweeping.scene import MESSAGE_WITH_ERRBACKS, Scene


class Cancelling:
    """Either service's `cancel`, called the same way."""

    def __init__(self, service: JobService | AsyncJobService) -> None:
        self._service = service

    async def __call__(self, job_id: object, user_id: object) -> Job:
        """Cancel a job."""
        answer: Any = self._service.cancel(job_id, user_id)  # type: ignore[arg-type]
        return answer if isinstance(answer, Job) else await answer


@pytest.fixture(params=["sync", "async"])
def cancel(request: pytest.FixtureRequest, service: JobService, aio: AsyncJobService) -> Cancelling:
    """The `cancel` of both services."""
    return Cancelling(service if request.param == "sync" else aio)


async def test_a_queued_job_lands_at_once(scene: Scene, cancel: Cancelling) -> None:
    job = queued_job(scene.store)
    cancelled = await cancel(job.id, job.user_id)
    assert (cancelled.status, cancelled.error_code) == (JobStatus.FAILED, "cancelled")
    assert cancelled == scene.read(job)
    assert scene.history(job) == ["queued", "cancel_requested", "processing", "failed"]
    assert not take(scene.store, job.id).done


async def test_a_released_job_lands_at_once(scene: Scene, cancel: Cancelling) -> None:
    hold = scene.held()
    released(scene.store, hold)
    cancelled = await cancel(hold.job_id, scene.read(hold).user_id)
    assert (cancelled.status, cancelled.error_code) == (JobStatus.FAILED, "cancelled")
    assert scene.history(hold) == ["queued", "processing", "retry", "cancel_requested", "failed"]
    assert not take(scene.store, hold.job_id, ticket=1).done


async def test_a_running_job_is_told_and_lands_only_after_the_grace(
    scene: Scene, cancel: Cancelling
) -> None:
    hold = scene.held()
    asked = await cancel(hold.job_id, scene.read(hold).user_id)
    assert (asked.status, asked.worker_id) == (JobStatus.PROCESSING, hold.worker_id)
    assert asked.cancel_requested_at is not None
    assert scene.store.run(reporting.report_progress(hold, Report(percent=5))) is True
    scene.time_passes(scene.settings.cancel_grace - 1)
    assert scene.sweep().failed == 0
    scene.time_passes(2)
    assert scene.sweep().failed == 1
    assert scene.read(hold).error_code == "cancelled"
    assert scene.store.run(sweeping.ended_among([hold.job_id])) == {hold.job_id}
    assert not landed(scene.store, hold)[0]


async def test_a_body_that_ends_within_the_grace_lands_as_it_ends(
    scene: Scene, cancel: Cancelling
) -> None:
    hold = scene.held()
    await cancel(hold.job_id, scene.read(hold).user_id)
    assert landed(scene.store, hold, PARTIAL)[0]
    scene.time_passes(60)
    assert scene.sweep().failed == 0
    assert scene.read(hold).status is JobStatus.PARTIAL


async def test_a_retry_is_no_way_out_of_a_cancellation(scene: Scene, cancel: Cancelling) -> None:
    hold = scene.held()
    await cancel(hold.job_id, scene.read(hold).user_id)
    released(scene.store, hold)
    scene.publish(hold.job_id)
    scene.time_passes(scene.settings.sweep_interval)
    assert scene.sweep().failed == 1
    assert scene.read(hold).error_code == "cancelled"


async def test_a_rescue_is_no_way_out_of_a_cancellation(scene: Scene, cancel: Cancelling) -> None:
    hold = scene.lost()
    await cancel(hold.job_id, scene.read(hold).user_id)
    scene.sweep()
    scene.time_passes(scene.settings.cancel_grace)
    scene.sweep()
    assert scene.read(hold).error_code == "cancelled"


async def test_who_takes_a_job_after_its_cancellation_is_ended_too(
    scene: Scene, cancel: Cancelling
) -> None:
    hold = scene.held()
    await cancel(hold.job_id, scene.read(hold).user_id)
    released(scene.store, hold)
    second = hold_of(take(scene.store, hold.job_id, ticket=1).job)
    assert scene.store.run(attempts.check_held(second)) is True
    scene.time_passes(scene.settings.cancel_grace)
    assert scene.sweep().failed == 1


async def test_cancelling_again_changes_nothing(scene: Scene, cancel: Cancelling) -> None:
    hold = scene.held()
    owner = scene.read(hold).user_id
    first = await cancel(hold.job_id, owner)
    scene.time_passes(5)
    again = await cancel(hold.job_id, owner)
    assert again.cancel_requested_at is not None
    assert first.cancel_requested_at is not None
    assert again.cancel_requested_at < first.cancel_requested_at, "only the clock was moved"
    assert scene.history(hold).count("cancel_requested") == 1


@pytest.mark.parametrize("held", [True, False])
async def test_a_stranger_cannot_cancel_a_job(
    scene: Scene, cancel: Cancelling, *, held: bool
) -> None:
    job = scene.read(scene.held()) if held else queued_job(scene.store)
    with pytest.raises(NotOwner):
        await cancel(job.id, uuid4())
    assert scene.read(job) == job


async def test_an_unknown_job_cannot_be_cancelled(cancel: Cancelling) -> None:
    with pytest.raises(JobNotFound):
        await cancel(uuid4(), uuid4())


async def test_a_job_that_has_landed_stays_as_it_is(scene: Scene, cancel: Cancelling) -> None:
    hold = scene.held()
    _, job = landed(scene.store, hold)
    assert await cancel(job.id, job.user_id) == job
    assert scene.history(hold) == ["queued", "processing", "completed"]


async def test_errbacks_hear_of_a_cancellation(scene: Scene, cancel: Cancelling) -> None:
    job = queued_job(scene.store, message=MESSAGE_WITH_ERRBACKS)
    assert (await cancel(job.id, job.user_id)).followups_pending
    assert scene.sweep().published == 1
    assert scene.published == [job.id]


def test_a_cancellation_and_a_take_that_meet_agree(scene: Scene, service: JobService) -> None:
    for _ in range(15):
        job = scene.queued()
        cancelled, taking = together(
            lambda job=job: service.cancel(job.id, job.user_id),  # type: ignore[misc]
            lambda job=job: take(scene.store, job.id),  # type: ignore[misc]
        )
        now = scene.read(job)
        assert now.cancel_requested_at is not None
        if taking.done:
            assert (cancelled.status, now.status) == (JobStatus.PROCESSING, JobStatus.PROCESSING)
            assert scene.store.run(attempts.check_held(hold_of(taking.job))) is True
        else:
            assert (now.status, now.error_code) == (JobStatus.FAILED, "cancelled")


def test_somebody_who_waits_for_the_job_does_not_keep_it_from_landing_at_once(
    scene: Scene, service: JobService, connect: Callable[[], psycopg.Connection]
) -> None:
    """Between the request and the end nobody gets in."""
    job = scene.queued()
    lock = "select from jobstate.jobs for no key update"
    watcher, first, second = connect(), connect(), connect()
    first.execute("begin")
    first.execute(lock)
    with ThreadPoolExecutor(2) as pool:
        cancelling = pool.submit(service.cancel, job.id, job.user_id)
        eventually(waits_for_a_lock(watcher))
        second.execute("begin")
        locking = pool.submit(second.execute, lock)
        eventually(waits_for_a_lock(watcher, sessions=2))
        first.execute("rollback")
        assert cancelling.result(PATIENCE).error_code == "cancelled"
        locking.result(PATIENCE)


def test_a_job_that_its_caller_drives_is_cancelled_at_once(
    scene: Scene, service: JobService
) -> None:
    for started in (False, True):
        job = scene.driven(started=started)
        assert service.cancel(job.id, job.user_id).error_code == "cancelled"
