"""A worker that dies while a file is stored, in every moment, leaves no orphan: no file, no row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jobstate import Job, JobTask
from jobstate.embedded import Redis
from jobstate.storage import PART
from tests.assets.buckets import S3
from tests.faults.site import FaultySite
from tests.worker.database import new_database
from tests.worker.process import eventually

MOMENTS = ["after the row", "in the middle", "after the file", "after the end"]


class AssetSite(FaultySite):
    """A site whose files are in a folder, or in S3 below a prefix."""

    folder: Path
    s3: S3
    prefix: str | None = None

    def task(self, name: str) -> JobTask:
        """Return a task that saves files."""
        found: JobTask = self.app.tasks[f"tests.assets.tasks.{name}"]
        return found

    def files(self, job: Job) -> dict[str, int]:
        """Return the files of a job by their path below its folder, with their sizes."""
        home = f"{job.user_id}/{job.id}/"
        if self.prefix is not None:
            found = self.s3.files(f"{self.prefix}/{home}")
            return {name: len(data) for name, data in found.items()}
        root = self.folder / home
        paths = [path for path in root.rglob("*") if path.is_file()]
        return {str(path.relative_to(root)): path.stat().st_size for path in paths}

    def rows(self, job: Job) -> list[tuple[Any, ...]]:
        """Return the rows of a job's assets: attempt, and whether the file is said to be there.

        Without those whose files were removed, and are looked for once more.
        """
        return self.sql(
            "select attempt, stored_at is not null from jobstate.assets where job_id = %s "
            "and cleaned_at is null order by attempt",
            job.id,
        )

    def clean(self, job: Job, attempt: int | None) -> None:
        """Wait until a job has the file of this attempt, or none, and nothing else."""
        rows = [] if attempt is None else [(attempt, True)]
        files = {} if attempt is None else {f"{attempt}/result.bin": 3 * PART}
        eventually(lambda: self.rows(job) == rows, f"the rows {rows}")
        eventually(lambda: self.files(job) == files, f"the files {files}")
        if self.prefix is not None:
            unfinished = f"{self.prefix}/{job.user_id}/{job.id}/"
            eventually(lambda: not self.s3.unfinished(unfinished), "the end of cut-off uploads")


@pytest.fixture(scope="module", params=["folder", "s3"])
def site(
    request: pytest.FixtureRequest,
    postgres_url: str,
    _template: str,
    s3: S3,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AssetSite]:
    """A site with one worker for each kind of storage, which survives what its children do."""
    folder, prefix = tmp_path_factory.mktemp("assets"), uuid4().hex
    url = folder.as_uri() if request.param == "folder" else s3.url(prefix)
    conf: dict[str, Any] = {"imports": ("tests.assets.tasks",), "jobstate_storage_url": url}
    with (
        Redis() as broker,
        new_database(postgres_url, _template) as database_url,
        AssetSite(tmp_path_factory.mktemp("worker"), database_url, broker.url, **conf) as site,
    ):
        site.folder, site.s3 = folder, s3
        site.prefix = prefix if request.param == "s3" else None
        site.start()
        yield site
        assert site.worker is not None
        assert site.worker.shut_down() == 0, site.worker.log
        assert "stumbled" not in site.worker.log


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_next_attempt_has_its_file_and_the_first_has_none(site: AssetSite, moment: str) -> None:
    job = site.enqueue("saves_and_dies", moment)
    assert site.completed(job).result == 2
    site.clean(job, 2)


@pytest.mark.parametrize("moment", MOMENTS[:3])
def test_a_job_that_is_not_run_again_has_no_file(site: AssetSite, moment: str) -> None:
    job = site.enqueue("saves_once_and_dies", moment)
    site.failed(job, "worker_lost", "")
    site.clean(job, None)


def test_a_job_that_fails_after_its_file_was_stored_keeps_it(site: AssetSite) -> None:
    job = site.enqueue("saves_once_and_dies", "after the end")
    site.failed(job, "worker_lost", "")
    site.clean(job, 1)


@pytest.mark.parametrize("moment", ["in the middle", "after the file"])
def test_a_superseded_attempt_that_goes_on_changes_nothing(site: AssetSite, moment: str) -> None:
    """Its child goes on while the job is somebody else's, and its file is gone in the end."""
    job = site.enqueue("saves_at_the_gate", moment)
    site.running(job)
    # What a burial does: nobody holds the job, and it is published again.
    site.sql(
        "update jobstate.jobs set worker_id = null, pid = null, retry_at = now(), "
        "published_at = null, next_check_at = now() where id = %s",
        job.id,
    )
    assert site.completed(job).result == 2
    site.let(job)
    eventually(lambda: sorted(site.gates.notes(f"tried:{job.id}")) == [1, 2], "both attempts")
    assert site.gates.notes(f"saved:{job.id}") == [2]
    site.clean(job, 2)


def test_a_cancelled_upload_leaves_nothing(site: AssetSite) -> None:
    job = site.enqueue("saves_at_the_gate", "in the middle")
    site.running(job)
    site.service.cancel(job.id, job.user_id)
    site.let(job)
    site.failed(job, "cancelled", "")
    site.clean(job, None)
