"""What the owner of jobs reads about them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest

from jobstate import Job, JobService, JobStatus
from jobstate.web.problems import PROBLEM
from tests.web.conftest import OpenClient
from tests.web.jobs import rich_job
from tests.web.sites import USER

SHOWN = {
    "id",
    "job_type",
    "status",
    "progress",
    "progress_current",
    "progress_total",
    "progress_message",
    "eta_seconds",
    "result",
    "error_code",
    "error_message",
    "items",
    "attempt",
    "parent_id",
    "retry_of",
    "created_at",
    "started_at",
    "updated_at",
    "completed_at",
    "cancel_requested_at",
    "is_terminal",
    "links",
}

JobIn = Callable[[JobStatus | str], Job]


def test_a_job_is_shown_with_where_everything_about_it_is(
    client: httpx.Client, job_in: JobIn
) -> None:
    job = job_in("processing")
    shown = client.get(f"/api/jobs/{job.id}").json()
    assert set(shown) == SHOWN
    assert (shown["id"], shown["status"], shown["is_terminal"]) == (
        str(job.id),
        "processing",
        False,
    )
    assert shown["items"] == {"succeeded": 0, "failed": 0, "skipped": 0}
    links = dict(shown["links"])
    assert client.get(links.pop("self")).json() == shown
    assert links == {
        name: f"/api/jobs/{job.id}/{name}"
        for name in ("assets", "history", "items", "logs", "events", "cancel", "retry")
    }


@pytest.mark.parametrize("status", JobStatus)
def test_a_live_job_says_when_to_ask_again(
    client: httpx.Client, job_in: JobIn, status: JobStatus
) -> None:
    job = job_in(status)
    answer = client.get(f"/api/jobs/{job.id}")
    assert answer.json()["status"] == status
    assert answer.headers.get("Retry-After") == (None if job.is_terminal else "1")


def test_what_the_client_has_already_is_not_sent_again(
    client: httpx.Client, job_in: JobIn, service: JobService
) -> None:
    job = job_in("processing")
    path = f"/api/jobs/{job.id}"
    tag = client.get(path).headers["ETag"]
    same = client.get(path, headers={"If-None-Match": f'"other", {tag}'})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    service.update_progress(job.id, 50)
    changed = client.get(path, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["progress"]) == (200, 50)


def test_a_list_is_read_page_by_page(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    made = [str(service.create_job(user_id, "report").id) for _ in range(5)]
    read: list[str] = []
    cursor = None
    for size in (2, 2, 1):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/jobs", params=params).json()
        assert set(page) == {"items", "next_cursor"}
        assert len(page["items"]) == size
        read += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
    assert read == made[::-1]
    assert cursor is None


def test_a_list_is_narrowed(client: httpx.Client, job_in: JobIn) -> None:
    jobs = {status: job_in(status) for status in JobStatus}
    for status, job in jobs.items():
        shown = client.get("/api/jobs", params={"status": status}).json()["items"]
        assert [one["id"] for one in shown] == [str(job.id)]
    assert len(client.get("/api/jobs", params={"job_type": "report"}).json()["items"]) == 5
    assert client.get("/api/jobs", params={"job_type": "other"}).json()["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        "status=gone",
        "limit=0",
        "limit=1001",
        "limit=many",
        "cursor=nonsense",
        "job_type=%00",
    ],
)
def test_a_list_refuses_a_parameter_that_it_cannot_use(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/api/jobs?{query}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)
    assert answer.json()["detail"]


def test_all_that_there_is_about_a_job_is_listed(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    job = rich_job(service, user_id)
    links = client.get(f"/api/jobs/{job.id}").json()["links"]
    found = {name: client.get(links[name]).json() for name in ("history", "items", "logs")}
    assert all(page["next_cursor"] is None for page in found.values())
    assert [line["to_status"] for line in found["history"]["items"]] == [
        "queued",
        "processing",
        "failed",
    ]
    assert [item["status"] for item in found["items"]["items"]] == ["failed", "skipped"]
    assert [line["level"] for line in found["logs"]["items"]] == ["WARNING"]
    failed = client.get(links["items"], params={"status": "failed"}).json()["items"]
    assert failed == found["items"]["items"][:1]
    assert client.get(links["items"], params={"status": "lost"}).status_code == 400


def test_a_long_poll_answers_with_the_landing(
    client: httpx.Client, job_in: JobIn, service: JobService
) -> None:
    job = job_in("processing")
    path = f"/api/jobs/{job.id}"
    assert client.get(path, params={"wait": "0.01"}).json()["status"] == "processing"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get, path, params={"wait": "30"})
        service.mark_completed(job.id)
        assert waiting.result().json()["status"] == "completed"


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "inf", "soon"])
def test_nobody_waits_for_as_long_as_they_like(
    client: httpx.Client, job_in: JobIn, wait: str
) -> None:
    answer = client.get(f"/api/jobs/{job_in('queued').id}", params={"wait": wait})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)


def test_a_database_without_tables_is_no_secret_told(
    open_client: OpenClient, database_url: str, user_id: UUID
) -> None:
    client = open_client(JobService(database_url))
    answer = client.get("/api/jobs", headers={USER: str(user_id)})
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, PROBLEM)
    assert "migrate" not in answer.text
