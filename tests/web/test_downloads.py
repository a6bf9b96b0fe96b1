"""The files of a job, sent by the app."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

import jobstate
from jobstate import Asset, JobService, Settings
from jobstate.web.problems import PROBLEM
from tests.factories import eventually
from tests.web.jobs import celery_app

CONTENT = b"<script>alert(1)</script>" * 100_000

LONG = 64_000_000
"""More than the buffers hold on the way to a client, in bytes."""


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


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Leave to no collector what should be closed by who has opened it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_a_file_whose_reader_is_gone_is_closed(
    client: httpx.Client,
    asset: Asset,
    tmp_path: Path,
    connect: Callable[[], psycopg.Connection],
) -> None:
    (file,) = (path for path in (tmp_path / "files").rglob("*") if path.is_file())
    os.truncate(file, LONG)
    connect().execute("update jobstate.assets set file_size = %s", (LONG,))

    def is_open() -> bool:
        links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
        return any(os.path.realpath(link) == str(file) for link in links)

    path = f"/api/jobs/{asset.job_id}/assets/{asset.id}"
    for _ in range(3):
        with client.stream("GET", path) as answer:
            next(answer.iter_raw(1000))
    eventually(lambda: not is_open())


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=7-", slice(7, None)),
        ("bytes=-25", slice(-25, None)),
        ("bytes=-99999999", slice(0, None)),
        ("Bytes=1500000-99999999", slice(1_500_000, None)),
    ],
)
def test_a_part_of_a_file_is_sent(
    client: httpx.Client, asset: Asset, asked: str, part: slice
) -> None:
    answer = client.get(f"/api/jobs/{asset.job_id}/assets/{asset.id}", headers={"Range": asked})
    first, end, _ = part.indices(len(CONTENT))
    assert (answer.status_code, answer.content) == (206, CONTENT[part])
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(end - first)
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    "asked",
    ["bytes=-", "bytes=9-3", "bytes=0-1,5-6", "lines=0-1", "bytes=a-b", f"bytes={'9' * 40}-"],
)
def test_what_is_no_single_range_of_bytes_gets_the_whole_file(
    client: httpx.Client, asset: Asset, asked: str
) -> None:
    answer = client.get(f"/api/jobs/{asset.job_id}/assets/{asset.id}", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=-0", "bytes=99999999-99999999"])
def test_bytes_that_a_file_has_not_are_a_problem(
    client: httpx.Client, asset: Asset, asked: str
) -> None:
    answer = client.get(f"/api/jobs/{asset.job_id}/assets/{asset.id}", headers={"Range": asked})
    assert (answer.status_code, answer.headers["Content-Type"]) == (416, PROBLEM)
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_a_part_is_sent_only_of_the_file_that_the_client_has(
    client: httpx.Client, asset: Asset
) -> None:
    path = f"/api/jobs/{asset.job_id}/assets/{asset.id}"
    tag = client.get(path).headers["ETag"]
    assert tag == f'"{asset.sha256}"'
    for known, status in (
        (tag, 206),
        (f"W/{tag}", 200),
        ('"other"', 200),
        ("Tue, 01 Jan 2030 00:00:00 GMT", 200),
    ):
        answer = client.get(path, headers={"Range": "bytes=0-9", "If-Range": known})
        assert answer.status_code == status
        assert len(answer.content) == (10 if status == 206 else len(CONTENT))


@pytest.mark.parametrize("asked", [None, "bytes=0-9", "bytes=99999999-"])
def test_a_head_tells_of_the_whole_file_and_sends_none_of_it(
    client: httpx.Client, asset: Asset, asked: str | None
) -> None:
    """A range is for GET alone (RFC 9110, 14.2)."""
    path = f"/api/jobs/{asset.job_id}/assets/{asset.id}"
    answer = client.head(path, headers={} if asked is None else {"Range": asked})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["ETag"] == f'"{asset.sha256}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Range" not in answer.headers
    # Whatever were sent too much would be taken for the next answer of this connection.
    assert client.get(path, headers={"Range": "bytes=0-9"}).content == CONTENT[:10]


def test_a_range_that_ends_before_it_begins_is_none_of_an_empty_file(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    with celery_app(service) as app:

        @app.task(base=jobstate.JobTask, bind=True, name=f"save-{uuid4()}")
        def save(self: jobstate.JobTask) -> None:
            self.job.save_asset("empty", b"", name="empty.csv")

        jobstate.install(app)
        job_id = save.apply(user_id=user_id).id
    (shown,) = client.get(f"/api/jobs/{job_id}/assets").json()["items"]
    path = shown["links"]["download"]
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, "0", b"")
    answer = client.head(path)
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "0")
    for asked in ("bytes=0-", "bytes=0-9", "bytes=-5"):
        answer = client.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */0")


def test_bytes_that_another_file_has_not_are_no_problem(client: httpx.Client, asset: Asset) -> None:
    """The client asks for the rest of what it had: it gets all of what there is now."""
    path = f"/api/jobs/{asset.job_id}/assets/{asset.id}"
    asked = {"Range": "bytes=99999999-"}
    answer = client.get(path, headers={**asked, "If-Range": '"another"'})
    assert (answer.status_code, answer.content) == (200, CONTENT)
    answer = client.get(path, headers={**asked, "If-Range": f'"{asset.sha256}"'})
    assert answer.status_code == 416


def test_a_file_that_is_gone_is_not_found(
    client: httpx.Client, asset: Asset, tmp_path: Path
) -> None:
    (tmp_path / "files" / asset.storage_path).unlink()
    path = f"/api/jobs/{asset.job_id}/assets/{asset.id}"
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, PROBLEM)
    head = client.head(path)
    assert (head.status_code, head.content) == (404, b"")


def test_no_file_has_an_id_that_is_none(client: httpx.Client, asset: Asset) -> None:
    assert client.get(f"/api/jobs/{asset.job_id}/assets/7").status_code == 404
