"""The forms of the example start the real tasks, and take no more than they should."""

import io
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import UploadFile
from PIL import Image

from jobstate import Job, JobService, JobStatus
from tests.example.site import Site
from web.uploads import keep


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 20), "teal").save(content, "PNG")
    return content.getvalue()


def landed(jobs: JobService, answer: httpx.Response) -> Job:
    """Wait for the job whose page a form led to."""
    assert answer.status_code == 303, answer.text
    job_id = answer.headers["Location"].removeprefix("/jobs/")
    return jobs.wait(job_id, "ada", 60)


def uploads(jobs: JobService) -> list[tuple[Any, ...]]:
    url = jobs.settings.database_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        return connection.execute("select owner, path, bytes from demo_uploads").fetchall()


def test_uploaded_images_become_thumbnails(
    client: httpx.Client, jobs: JobService, site: Site
) -> None:
    names = ("one.png", "one.png", "../two\\three.PNG")
    files = [("images", (name, picture(), "image/png")) for name in names]
    job = landed(jobs, client.post("/thumbnails", files=files))
    assert (job.status, job.result) == (JobStatus.COMPLETED, {"images": 3})
    folder = job.parameters["folder"]
    assert folder.endswith("/one.png and 2 more")
    kept = sorted(path.name for path in (site.uploads.parent / folder).iterdir())
    assert kept == ["one-1.png", "one.png", "three.png"]
    assert ("ada", folder, 3 * len(picture())) in uploads(jobs)


@pytest.mark.parametrize("letter", ["a", "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "\U00020000"])
def test_a_name_that_no_file_system_keeps_is_shortened(
    client: httpx.Client, jobs: JobService, site: Site, letter: str
) -> None:
    """Also where each letter takes four bytes, and several files have the same name."""
    files = [("images", (letter * 300 + ".png", picture(), "image/png"))] * 12
    job = landed(jobs, client.post("/thumbnails", files=files))
    assert (job.status, job.result) == (JobStatus.COMPLETED, {"images": 12})
    folder = site.uploads.parent / job.parameters["folder"]
    assert folder.name.endswith(".png and 11 more")
    assert all(path.name.startswith(letter * 50) for path in folder.iterdir())


def test_an_uploaded_csv_is_imported(client: httpx.Client, jobs: JobService) -> None:
    text = b"name,email,country\nAda,ada@example.org,DE\nBob,bob,DE\n"
    job = landed(jobs, client.post("/import", files={"customers": ("people.csv", text)}))
    assert (job.status, job.items_failed) == (JobStatus.PARTIAL, 1)


def test_orders_are_exported_and_reported(client: httpx.Client, jobs: JobService) -> None:
    exported = landed(jobs, client.post("/export", data={"year": "2025"}))
    reported = landed(jobs, client.post("/report", data={"month": "2025-03"}))
    assert {exported.status, reported.status} == {JobStatus.COMPLETED}


@pytest.mark.parametrize(
    ("path", "files", "told"),
    [
        ("/thumbnails", [("images", ("page.html", b"<b>"))], "of the wrong kind"),
        ("/import", [("customers", ("people.exe", b"MZ"))], "of the wrong kind"),
        ("/thumbnails", [("images", ("a.png", b""))] * 51, "Choose 1 to 50"),
    ],
)
def test_what_is_no_input_is_refused(
    client: httpx.Client, jobs: JobService, path: str, files: list[Any], told: str
) -> None:
    before = uploads(jobs)
    answer = client.post(path, files=files)
    assert answer.status_code == 422
    assert told in answer.text
    assert uploads(jobs) == before


@pytest.mark.parametrize("month", ["2026-13", "1-2026-10", "2026-1000", "month"])
def test_what_is_no_month_is_refused(client: httpx.Client, month: str) -> None:
    assert client.post("/report", data={"month": month}).status_code == 422


@pytest.mark.parametrize("is_announced", [True, False])
def test_too_large_an_upload_is_refused(
    client: httpx.Client, site: Site, *, is_announced: bool
) -> None:
    """Also one that does not say beforehand how large it is."""
    before = list(site.uploads.glob("*"))
    body = io.BytesIO(
        b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
        + bytes(33 * 1024**2)
        + b"\r\n--b--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    content = body.getvalue() if is_announced else iter(lambda: body.read(65_536), b"")
    try:
        answer = client.post("/thumbnails", content=content, headers=headers)
    except (httpx.WriteError, httpx.ReadError):
        pass  # refused before all of it was sent
    else:
        assert answer.status_code == 413
        assert "at most 32 MB" in answer.text
    assert list(site.uploads.glob("*")) == before


@pytest.mark.parametrize("path", ["/user", "/export", "/thumbnails"])
def test_a_form_of_another_site_starts_nothing(client: httpx.Client, path: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    data = {"user": "grace", "year": "2026"}
    assert client.post(path, data=data, headers=headers).status_code == 403


def test_each_user_sees_their_own_jobs(client: httpx.Client) -> None:
    started = client.post("/export", data={"year": "2024"}).headers["Location"]
    assert client.get(started).status_code == 200
    assert client.post("/user", data={"user": "grace"}).status_code == 303
    assert client.get(started).status_code == 404
    assert client.post("/user", data={"user": "eve"}).status_code == 422
    client.cookies.set("user", "eve")
    assert client.get(started).status_code == 200  # ada's again: nobody is eve


def test_the_start_page_leads_to_the_jobs(client: httpx.Client) -> None:
    assert client.get("/").headers["Location"] == "/jobs/"
    assert client.get("/health").json() == {"ok": True}
    assert client.get("/static/example.css").status_code == 200


def test_an_upload_without_its_row_leaves_no_file(tmp_path: Path) -> None:
    """The row, the job and the files are there together, or not at all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBSTATE_DEMO_INPUT", str(tmp_path))
        upload = keep([UploadFile(io.BytesIO(b"x"), filename="a.png")], (".png",))
        assert (tmp_path / upload.first).read_bytes() == b"x"
        with pytest.raises(RuntimeError, match="rolled back"), upload.removed_on_error():
            raise RuntimeError("rolled back")
        assert not (tmp_path / upload.path).exists()


def test_no_file_of_an_upload_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBSTATE_DEMO_INPUT", str(tmp_path))
    names = ("a.png", "a-1.png", "a-2.png", "a.png", "a.png")
    given = [UploadFile(io.BytesIO(name.encode()), filename=name) for name in names]
    upload = keep(given, (".png",))
    assert len(list((tmp_path / upload.path).iterdir())) == len(names)
