"""The files of a job, sent by the app."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

import jobstate
from jobstate import Asset, JobService, Settings
from jobstate.web.problems import PROBLEM
from tests.web.jobs import celery_app

CONTENT = b"<script>alert(1)</script>" * 100_000


@pytest.fixture
def service(jobs_url: str, tmp_path: Path) -> Iterator[JobService]:
    """The blocking service, with a folder for files."""
    url = (tmp_path / "files").as_uri()
    service = JobService.from_settings(Settings(database_url=jobs_url, storage_url=url))
    yield service
    service.close()


@pytest.fixture
def asset(service: JobService, user_id: UUID) -> Asset:
    """A file that nobody should open on this site."""
    with celery_app(service) as app:

        @app.task(base=jobstate.JobTask, bind=True, name=f"save-{uuid4()}")
        def save(self: jobstate.JobTask) -> None:
            self.job.save_asset("page", CONTENT, name="größe; “1”.html")

        jobstate.install(app)
        job_id = save.apply(user_id=user_id).id
    (asset,) = service.get_job_assets(job_id, user_id)
    return asset


def test_a_file_is_sent_to_be_saved_and_never_shown(client: httpx.Client, asset: Asset) -> None:
    (shown,) = client.get(f"/api/jobs/{asset.job_id}/assets").json()["items"]
    assert (shown["name"], shown["file_size"]) == ("größe; “1”.html", len(CONTENT))
    answer = client.get(shown["links"]["download"])
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe%3B%20%E2%80%9C1%E2%80%9D.html"
    )


def test_a_file_that_is_gone_is_not_found(
    client: httpx.Client, asset: Asset, tmp_path: Path
) -> None:
    (tmp_path / "files" / asset.storage_path).unlink()
    answer = client.get(f"/api/jobs/{asset.job_id}/assets/{asset.id}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, PROBLEM)


def test_no_file_has_an_id_that_is_none(client: httpx.Client, asset: Asset) -> None:
    assert client.get(f"/api/jobs/{asset.job_id}/assets/7").status_code == 404
