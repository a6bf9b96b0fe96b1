"""Old jobs are deleted, files first; on request, and by the retention."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from jobstate import (
    AsyncJobService,
    InvalidValueError,
    JobService,
    JobStatus,
    Settings,
)
from tests.assets.scene import FileScene
from tests.factories import COMPLETED, FAILED, MESSAGE_WITH_FOLLOWUPS, PARTIAL, landed

DAY = 86_400.0


def old_job(scene: FileScene, days: float, landing: Any = COMPLETED, *, files: int = 1) -> UUID:
    """Make a job that landed so many days ago, with files."""
    hold = scene.held()
    for number in range(files):
        scene.stored(hold, str(number))
    assert landed(scene.store, hold, landing)[0]
    scene.landed_ago(days * DAY, hold.job_id)
    return hold.job_id


def left(scene: FileScene) -> set[UUID]:
    return {job_id for (job_id,) in scene.sql("select id from jobstate.jobs")}


@pytest.fixture
def service(emptied_url: str, tmp_path: Path) -> Any:
    """The service of an app whose files are where the scene has them."""
    url = (tmp_path / "store").as_uri()
    settings = Settings.load({"jobstate_database_url": emptied_url, "jobstate_storage_url": url})
    service = JobService.from_settings(settings)
    yield service
    service.close()


def test_jobs_that_landed_long_ago_go_with_all_they_have(
    scene: FileScene, service: JobService
) -> None:
    old, young = old_job(scene, 31, files=3), old_job(scene, 29)
    assert service.purge(timedelta(days=30)) == 1
    assert left(scene) == {young}
    assert len(scene.rows()) == 1
    assert scene.sql("select id from jobstate.job_events where job_id = %s", old) == []
    assert len([path for path in scene.root.rglob("*") if path.is_file()]) == 1
    assert service.purge(timedelta(days=30)) == 0


def test_only_jobs_of_the_statuses_that_are_named_go(scene: FileScene, service: JobService) -> None:
    jobs = {landing.status: old_job(scene, 2, landing) for landing in (COMPLETED, FAILED, PARTIAL)}
    assert service.purge(DAY, ["failed"]) == 1
    assert left(scene) == {jobs[JobStatus.COMPLETED], jobs[JobStatus.PARTIAL]}
    assert service.purge(DAY) == 2


def test_a_live_job_is_never_purged(scene: FileScene, service: JobService) -> None:
    scene.queued()
    scene.held()
    scene.time_passes(10 * DAY)
    assert service.purge(0) == 0
    assert len(left(scene)) == 2


def test_the_parent_of_a_live_job_stays(scene: FileScene, service: JobService) -> None:
    parent = old_job(scene, 2)
    child = scene.held(parent_id=parent)
    assert service.purge(DAY) == 0
    landed(scene.store, child)
    assert service.purge(DAY) == 1
    assert left(scene) == {child.job_id}


def test_a_job_whose_callbacks_are_not_dispatched_stays(
    scene: FileScene, service: JobService
) -> None:
    hold = scene.held(message=MESSAGE_WITH_FOLLOWUPS)
    landed(scene.store, hold, followups=True)
    scene.landed_ago(DAY, hold.job_id)
    assert service.purge(1) == 0


def test_a_job_whose_files_cannot_be_removed_stays_and_keeps_no_other(scene: FileScene) -> None:
    with_files, without = old_job(scene, 3), old_job(scene, 2, files=0)
    scene.files.is_down = lambda _: True
    assert scene.cleaner.purge({JobStatus.COMPLETED: DAY}) == 1
    assert left(scene) == {with_files}
    assert scene.cleaner.purge({JobStatus.COMPLETED: DAY}) == 0
    assert len(scene.files.asked) == 1
    assert without not in left(scene)


def test_a_job_whose_file_cannot_be_removed_keeps_no_newer_one(scene: FileScene) -> None:
    stuck, *others = (old_job(scene, age) for age in (5, 4, 3))
    scene.files.is_down = lambda path: str(stuck) in path
    assert scene.cleaner.purge({JobStatus.COMPLETED: DAY}) == len(others)
    assert left(scene) == {stuck}


def test_files_that_are_elsewhere_keep_no_newer_job_and_are_told_of_once(
    scene: FileScene,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As after the storage was changed: more stay than a round looks at."""
    monkeypatch.setattr("jobstate.cleaning.BATCH", 1)
    monkeypatch.setattr("jobstate.cleaning.ROUNDS", 2)
    monkeypatch.setattr("jobstate.cleaning.TURN", 600.0)
    scene.settings = Settings(database_url="unused", retention={JobStatus.COMPLETED: DAY})
    elsewhere = {old_job(scene, age) for age in (9, 8, 7)}
    scene.keep_files_in(tmp_path / "new")
    for age in (4, 3):
        old_job(scene, age)
    for _ in range(6):
        scene.sweep()
    assert left(scene) == elsewhere
    assert caplog.text.count("is not in the storage that is set now") == len(elsewhere)
    scene.keep_files_in(scene.root.parent / "store")
    for _ in range(3):
        scene.sweep()
    assert left(scene) == set()


def test_a_job_with_very_many_files_is_done_with_little_by_little(
    scene: FileScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    retention = {JobStatus.COMPLETED: DAY}
    scene.settings = Settings(database_url="unused", retention=retention)
    scene.keep_files_in(scene.root)
    job_id = old_job(scene, 2, files=3)
    monkeypatch.setattr("jobstate.cleaning.TURN", 600.0)

    def take_the_whole_turn(_: str) -> bool:
        scene.sweeper._cleaner._turn_ends_at = 0.0
        return False

    scene.files.is_down = take_the_whole_turn
    assert [scene.sweep().purged, len(scene.rows())] == [0, 2]
    assert [scene.sweep().purged, len(scene.rows())] == [0, 1]
    assert left(scene) == {job_id}
    scene.files.is_down = lambda _: False
    assert scene.sweep().purged == 1


def test_without_a_storage_only_jobs_without_files_go(scene: FileScene, emptied_url: str) -> None:
    with_files = old_job(scene, 3)
    old_job(scene, 3, files=0)
    assert JobService(emptied_url).purge(DAY) == 1
    assert left(scene) == {with_files}


def test_thousands_go_in_batches(scene: FileScene, service: JobService) -> None:
    for _ in range(230):
        service.create_job(UUID(int=7), "report")
    scene.sql("update jobstate.jobs set status = 'processing', attempt = 1")
    scene.sql(
        "update jobstate.jobs set status = 'failed', completed_at = now() - interval '2 days'"
    )
    assert service.purge(DAY) == 230


async def test_the_asyncio_service_purges_too(scene: FileScene, service: JobService) -> None:
    old_job(scene, 2)
    aio = AsyncJobService.from_settings(service.settings)
    assert await aio.purge(DAY) == 1
    await aio.close()


def test_the_sweeper_keeps_each_status_as_long_as_the_settings_say(scene: FileScene) -> None:
    retention = {JobStatus.COMPLETED: DAY, JobStatus.FAILED: 10 * DAY}
    scene.settings = Settings(database_url="unused", retention=retention)
    scene.keep_files_in(scene.root)
    gone, failed, partial = (
        old_job(scene, 2),
        old_job(scene, 2, FAILED),
        old_job(scene, 100, PARTIAL),
    )
    assert scene.sweep().purged == 1
    assert left(scene) == {failed, partial}
    assert not list(scene.root.rglob(f"{gone}/*"))


def test_without_a_retention_nothing_goes(scene: FileScene) -> None:
    old_job(scene, 10_000)
    assert scene.sweep().purged == 0


@pytest.mark.parametrize(
    ("older_than", "statuses", "message"),
    [
        (-1, ["failed"], "negative"),
        (float("nan"), ["failed"], "finite"),
        ("1", ["failed"], "number"),
        (1, ["queued"], "cannot be purged"),
        (1, ["gone"], "unknown"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    service: JobService, older_than: Any, statuses: list[str], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        service.purge(older_than, statuses)
