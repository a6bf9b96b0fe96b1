"""The two requests that change something."""

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from jobstate import Job, JobService, JobStatus
from jobstate.web.problems import PROBLEM
from tests.factories import processing_job
from tests.web.conftest import OpenClient
from tests.web.jobs import rich_job
from tests.web.sites import USER

JobIn = Callable[[JobStatus | str], Job]


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_is_asked(
    client: httpx.Client, job_in: JobIn
) -> None:
    queued = client.post(f"/api/jobs/{job_in('queued').id}/cancel")
    assert (queued.status_code, queued.json()["error_code"]) == (200, "cancelled")
    done = client.post(f"/api/jobs/{job_in('completed').id}/cancel")
    assert (done.status_code, done.json()["status"]) == (200, "completed")


def test_a_job_that_an_attempt_holds_is_asked_to_end(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    hold = processing_job(service.store, user_id=user_id)
    asked = client.post(f"/api/jobs/{hold.job_id}/cancel")
    assert (asked.status_code, asked.headers["Retry-After"]) == (202, "1")
    assert asked.json()["cancel_requested_at"] is not None
    assert asked.json()["status"] == "processing"


@pytest.mark.parametrize("only", ["all", "failed"])
def test_a_job_is_run_again_as_a_new_one(
    client: httpx.Client, service: JobService, user_id: UUID, only: str
) -> None:
    job = rich_job(service, user_id)
    answer = client.post(f"/api/jobs/{job.id}/retry", params={"only": only})
    assert answer.status_code == 202
    again = answer.json()
    assert (again["retry_of"], again["status"]) == (str(job.id), "queued")
    assert answer.headers["Location"] == again["links"]["self"]
    assert client.get(answer.headers["Location"]).json() == again


def test_what_cannot_be_run_again_is_a_conflict(client: httpx.Client, job_in: JobIn) -> None:
    for status in ("processing", "completed"):  # it has not landed; no task runs it
        answer = client.post(f"/api/jobs/{job_in(status).id}/retry")
        assert (answer.status_code, answer.headers["Content-Type"]) == (409, PROBLEM)
        assert answer.json()["title"] == "Conflict"


def test_a_retry_of_something_else_is_refused(client: httpx.Client, job_in: JobIn) -> None:
    answer = client.post(f"/api/jobs/{job_in('failed').id}/retry", params={"only": "some"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://elsewhere.example"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "https://app.example", "Sec-Fetch-Site": "same-site"}, 200),
    ],
)
def test_pages_of_other_sites_change_nothing(
    open_client: OpenClient,
    job_in: JobIn,
    user_id: UUID,
    service: JobService,
    headers: dict[str, str],
    status: int,
) -> None:
    client = open_client(trusted_origins=["https://app.example"])
    job = job_in("queued")
    path = f"/api/jobs/{job.id}/cancel"
    answer = client.post(path, headers={USER: str(user_id), **headers})
    assert answer.status_code == status
    assert service.get_job(job.id, user_id).is_terminal is (status == 200)


def test_a_page_of_the_same_origin_may_post_in_an_old_browser(
    client: httpx.Client, job_in: JobIn
) -> None:
    own = str(client.base_url).rstrip("/")
    path = f"/api/jobs/{job_in('queued').id}/cancel"
    assert client.post(path, headers={"Origin": own}).status_code == 200


def test_nothing_is_changed_by_a_get(client: httpx.Client, job_in: JobIn) -> None:
    for verb in ("cancel", "retry"):
        assert client.get(f"/api/jobs/{job_in('failed').id}/{verb}").status_code == 405
