"""Files of jobs on the page: pictures within it, everything to be saved, nothing to be run."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from celery import Celery

import jobstate
from jobstate import Asset, JobService, Settings
from tests.web.conftest import OpenClient
from tests.web.sites import PAGE, USER

HTML = b"<script>alert(1)</script>"
FILES = {
    "chart.png": ("image/png", b"\x89PNG"),
    "huge.png": ("image/png", b"\x89PNG" + bytes(5_000_001)),
    "drawing.svg": ("image/svg+xml", b"<svg/>"),
    "page.html": ("text/html", HTML),
    "grüße „5“.txt": ("text/plain", b"hello"),
}


@pytest.fixture
def service(jobs_url: str, tmp_path: Path) -> Iterator[JobService]:
    """A service with a folder for files."""
    settings = Settings(database_url=jobs_url, storage_url=(tmp_path / "files").as_uri())
    service = JobService.from_settings(settings)
    yield service
    service.close()


@pytest.fixture
def files(service: JobService, user_id: UUID) -> dict[str, Asset]:
    """The files of one job, by their names."""
    app = Celery("files", broker="memory://", set_as_current=False)
    app.conf.jobstate_database_url = service.settings.database_url
    app.conf.jobstate_storage_url = service.settings.storage_url

    @app.task(base=jobstate.JobTask, bind=True, name=f"draw-{user_id}")
    def draw(self: jobstate.JobTask) -> None:
        for name, (media_type, content) in FILES.items():
            self.job.save_asset("made", content, name=name, content_type=media_type)

    jobs = jobstate.install(app)
    job_id = draw.apply(user_id=user_id).id
    jobs.service.close()
    app.close()
    return {
        asset.storage_path.rpartition("/")[2]: asset
        for asset in service.get_job_assets(job_id, user_id)
    }


@pytest.fixture
def client(open_client: OpenClient, user_id: UUID, files: dict[str, Asset]) -> httpx.Client:
    """The client of the owner of the files."""
    assert set(files) == set(FILES)
    client = open_client()
    client.headers[USER] = str(user_id)
    return client


def page_of(asset: Asset) -> str:
    return f"{PAGE}/{asset.job_id}"


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_there_to_be_saved(
    client: httpx.Client, files: dict[str, Asset], name: str
) -> None:
    here = page_of(files[name])
    path = f"{here}/assets/{files[name].id}"
    assert f'<a href="{path}" download>{name}</a>' in client.get(here).text
    answer = client.get(path)
    media_type, content = FILES[name]
    assert answer.content == content
    assert answer.headers["Content-Type"].startswith(media_type)
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_only_small_pictures_are_shown_within_the_page(
    client: httpx.Client, files: dict[str, Asset]
) -> None:
    chart = files["chart.png"]
    page = client.get(page_of(chart)).text
    pictures = re.findall(r'<img src="(.*?)"', page)
    assert pictures == [f"{page_of(chart)}/pictures/{chart.id}"]
    answer = client.get(pictures[0])
    assert answer.headers["Content-Disposition"].startswith("inline;")
    assert answer.content == b"\x89PNG"
    for name in set(FILES) - {"chart.png"}:
        path = f"{page_of(chart)}/pictures/{files[name].id}"
        assert client.get(path).status_code == 404


def test_a_file_of_somebody_else_is_not_found(
    client: httpx.Client, files: dict[str, Asset]
) -> None:
    chart = files["chart.png"]
    client.headers[USER] = str(UUID(int=1))
    for kind in ("assets", "pictures"):
        assert client.get(f"{page_of(chart)}/{kind}/{chart.id}").status_code == 404


def test_a_file_elsewhere_is_linked_and_not_shown(
    client: httpx.Client, files: dict[str, Asset], service: JobService, user_id: UUID
) -> None:
    job_id = files["chart.png"].job_id
    places = ("https://cdn.example/a.png", "javascript:alert(1)", "http://[")
    there, *bad = (
        service.create_asset(job_id, user_id, "made", url, "a.png", 5, content_type="image/png")
        for url in places
    )
    page = client.get(page_of(there)).text
    assert f"{page_of(there)}/pictures/{there.id}" not in page
    answer = client.get(f"{page_of(there)}/assets/{there.id}")
    assert answer.headers["Location"] == "https://cdn.example/a.png"
    for asset in bad:
        assert client.get(f"{page_of(asset)}/assets/{asset.id}").status_code == 404
