"""A round that a service does, and one in whose middle the database goes away."""

import pytest
from sqlalchemy import create_engine

from jobstate import AsyncJobService, JobStatus, StoreUnavailable, sweeping
from jobstate.store import Store
from jobstate.sweeper import Sweeper
from tests.factories import new_worker, queued_job
from tests.sweeping.scene import AT_MOST_ONCE, Scene


async def test_an_asyncio_service_does_a_round(scene: Scene, aio: AsyncJobService) -> None:
    hold = scene.lost(AT_MOST_ONCE)
    report = await aio.sweep()
    assert (report.failed, report.rescued) == (1, 0)
    assert (await aio.get_job_internal(hold.job_id)).error_code == "worker_lost"


async def test_an_asyncio_service_publishes_nothing(scene: Scene, aio: AsyncJobService) -> None:
    job = queued_job(scene.store)
    scene.time_passes(scene.settings.publish_grace)
    assert (await aio.sweep()).published == 0
    assert scene.read(job).published_at is None


async def test_an_asyncio_service_lists_workers(scene: Scene, aio: AsyncJobService) -> None:
    hold, dead = scene.held(), new_worker(scene.store)
    scene.bury(dead)
    (worker,) = await aio.workers()
    assert (worker.id, worker.holds) == (hold.worker_id, [hold.job_id])


def test_a_database_that_goes_away_in_the_middle_ends_the_round(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not taken for a job that cannot be judged, of which the next is tried."""
    for _ in range(2):
        queued_job(scene.store)
    scene.time_passes(scene.settings.publish_grace)
    gone = Store(create_engine("postgresql+psycopg://127.0.0.1:1/gone"))
    tried = []

    def publish(job_id: object) -> bool:
        tried.append(job_id)
        return bool(gone.run(sweeping.list_workers()))

    with pytest.raises(StoreUnavailable):
        Sweeper(scene.store, scene.settings, publish=publish).sweep()
    assert len(tried) == 1
    assert "could not be swept" not in caplog.text
    scene.time_passes(scene.settings.sweep_interval)
    assert scene.sweep().published == 2
    assert {scene.read(job_id).status for job_id in scene.published} == {JobStatus.QUEUED}
