"""What the owner of jobs reads about them."""

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from jobstate import Job, JobService, JobStatus

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
