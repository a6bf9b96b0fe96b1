"""Whatever a job says arrives as it was said, and stays text."""

from typing import Any
from uuid import UUID

import httpx

from jobstate import JobService
from tests.web.events import opened
from tests.web.jobs import HIDDEN, NASTY, rich_job


def test_nasty_text_is_only_text(client: httpx.Client, service: JobService, user_id: UUID) -> None:
    job = rich_job(service, user_id, NASTY)
    links = client.get(f"/api/jobs/{job.id}").json()["links"]
    said: dict[str, Any] = {}
    for name in ("self", "assets", "history", "items", "logs"):
        answer = client.get(links[name])
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert HIDDEN not in answer.text
        assert "Traceback" not in answer.text
        said[name] = answer.json()
    assert said["self"]["error_message"] == NASTY
    assert said["self"]["error_code"] == "out_of_credit"
    (asset,) = said["assets"]["items"]
    assert (asset["asset_type"], asset["content_type"]) == (NASTY, NASTY)
    assert "storage_path" not in asset
    assert "url" not in asset
    failed, skipped = said["items"]["items"]
    assert (failed["label"], failed["error_message"], failed["key"]) == (NASTY, NASTY, NASTY[:400])
    assert skipped["error_message"] == NASTY
    assert NASTY in {line["message"] for line in said["logs"]["items"]}


def test_no_text_makes_an_event_of_its_own(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, NASTY)
    service.transition_status(job.id, "processing")
    service.update_progress(job.id, 40, message=NASTY)
    with opened(client, f"/api/jobs/{job.id}/events") as events:
        read = iter(events)
        first = next(read)
        assert (first.data["progress_message"], first.data["job_type"]) == (NASTY, NASTY)
        service.mark_failed(job.id, NASTY)
        (last,) = read
        assert last.data["error_message"] == NASTY


def test_a_url_with_line_breaks_makes_no_header(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, "report")
    url = "/files/ä b\r\nSet-Cookie: a=1"
    asset = service.create_asset(job.id, user_id, "csv", url, "a.csv", 5)
    answer = client.get(f"/api/jobs/{job.id}/assets/{asset.id}", follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/files/%C3%A4%20b%0D%0ASet-Cookie:%20a=1"
    assert "Set-Cookie" not in answer.headers


def test_a_url_that_is_no_address_on_the_web_leads_nowhere(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, "report")
    for url in ("javascript:alert(1)", "file:///etc/passwd", "s3://bucket/a", "http://["):
        asset = service.create_asset(job.id, user_id, "csv", url, "a.csv", 5)
        assert client.get(f"/api/jobs/{job.id}/assets/{asset.id}").status_code == 404
