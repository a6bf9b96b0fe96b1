"""What the owner of jobs reads about them."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from jobstate import ItemStatus, Job, JobService, JobStatus, reporting
from jobstate.items import Outcome
from jobstate.logs import Line
from jobstate.web.problems import PROBLEM
from tests.factories import processing_job
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


def read_in_pages(
    client: httpx.Client, path: str, sizes: tuple[int, ...], **query: str
) -> list[Any]:
    """Read a list page by page, and check how much each has."""
    read: list[Any] = []
    cursor = None
    for size in sizes:
        params = {**query, "limit": str(sizes[0])} | ({"cursor": cursor} if cursor else {})
        page = client.get(path, params=params).json()
        assert set(page) == {"items", "next_cursor"}
        assert len(page["items"]) == size
        read += page["items"]
        cursor = page["next_cursor"]
    assert cursor is None
    return read


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


def test_a_head_is_answered_like_a_get_without_the_body(
    client: httpx.Client, job_in: JobIn
) -> None:
    job = job_in("completed")
    for path in ("/api/jobs", f"/api/jobs/{job.id}", f"/api/jobs/{job.id}/history", "/my/jobs/"):
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == str(len(got.content))
        for name in ("Content-Type", "ETag"):
            assert head.headers.get(name) == got.headers.get(name)
    unknown = client.head(f"/api/jobs/{uuid4()}")
    assert (unknown.status_code, unknown.content) == (404, b"")
    # It ends, as it has nothing to send.
    for path in ("/api/jobs/events", f"/api/jobs/{job.id}/events"):
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"].partition(";")[0] == "text/event-stream"


def test_a_list_is_read_page_by_page(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    made = [str(service.create_job(user_id, "report").id) for _ in range(5)]
    assert [job["id"] for job in read_in_pages(client, "/api/jobs", (2, 2, 1))] == made[::-1]


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


@pytest.fixture
def long_job(service: JobService, user_id: UUID) -> UUID:
    """A job of sixty items and as many lines."""
    hold = processing_job(service.store, user_id=user_id)
    statuses = [ItemStatus.FAILED] * 5 + [ItemStatus.SUCCEEDED] * 55
    items = {f"{number:02}": Outcome(status) for number, status in enumerate(statuses)}
    service.store.run(reporting.record_items(hold, items))
    lines = [Line(0.0, "INFO", "shop", f"{number:02}") for number in range(60)]
    service.store.run(reporting.write_logs(hold, lines))
    return hold.job_id


def test_items_and_logs_are_read_page_by_page(client: httpx.Client, long_job: UUID) -> None:
    path = f"/api/jobs/{long_job}"
    for name, field in (("items", "key"), ("logs", "message")):
        first = client.get(f"{path}/{name}").json()
        assert len(first["items"]) == 50, "the first page, where nobody says how long it is"
        assert first["next_cursor"]
        whole = client.get(f"{path}/{name}", params={"limit": "1000"}).json()
        assert whole["next_cursor"] is None
        assert [one[field] for one in whole["items"]] == [f"{number:02}" for number in range(60)]
        assert read_in_pages(client, f"{path}/{name}", (25, 25, 10)) == whole["items"]
    failed = read_in_pages(client, f"{path}/items", (2, 2, 1), status="failed")
    assert [item["key"] for item in failed] == ["00", "01", "02", "03", "04"]


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


BAD_CURSORS = [
    "nonsense",
    "\N{BULLET}",
    encoded("[]"),
    encoded("null"),
    encoded("[true]"),
    encoded("[0]"),
    encoded(f"[{2**63}]"),
    encoded('["2026-05-17"]'),
    encoded('["yesterday", "key"]'),
    encoded('["2026-05-17T12:00:00+00:00", 7]'),
    encoded('["2026-05-17T12:00:00+00:00", "\\u0000"]'),
    encoded('["2026-05-17T12:00:00+00:00", "\\ud800"]'),
    encoded('[null, "2026-05-17T12:00:00+00:00", "3f0c9b9e-0000-7000-8000-000000000000"]'),
]
"""Among them the cursors of other lists."""


@pytest.mark.parametrize("name", ["items", "logs"])
def test_a_list_about_a_job_refuses_a_page_that_it_cannot_give(
    client: httpx.Client, long_job: UUID, name: str
) -> None:
    path = f"/api/jobs/{long_job}/{name}"
    queries = [{"limit": limit} for limit in ("0", "-1", "1001", "many")]
    queries += [{"cursor": cursor} for cursor in BAD_CURSORS]
    for query in queries:
        answer = client.get(path, params=query)
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM), query
        assert answer.json()["detail"].startswith(f"The {next(iter(query))} ")


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
