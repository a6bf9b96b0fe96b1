"""Who may do what: every route, as the owner, a stranger, nobody and an admin."""

from uuid import UUID, uuid4

import httpx
import pytest

from jobstate import Asset, Job, JobService
from jobstate.web.problems import PROBLEM
from jobstate.web.routes import ROUTES, Route
from tests.web.conftest import OpenClient
from tests.web.jobs import rich_job
from tests.web.sites import ADMIN, USER

LISTS = {"list_jobs", "stream_jobs"}

DONE = {"cancel_job": 200, "retry_job": 202, "download_asset": 302}


@pytest.fixture
def job(service: JobService, user_id: UUID) -> Job:
    """A job of the owner, with everything."""
    return rich_job(service, user_id)


@pytest.fixture
def asset(service: JobService, job: Job, user_id: UUID) -> Asset:
    """Its file."""
    (asset,) = service.get_job_assets(job.id, user_id)
    return asset


def status_of(client: httpx.Client, route: Route, asset: Asset, **query: str) -> tuple[int, str]:
    """Call a route about a job; return the status, and the body unless it is a stream."""
    path = "/api" + route.path.format(job_id=asset.job_id, asset_id=asset.id)
    with client.stream(route.method, path, params=query) as answer:
        if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
            return answer.status_code, ""
        if answer.status_code >= 400:
            answer.read()
            assert answer.headers["Content-Type"] == PROBLEM
            assert answer.json()["status"] == answer.status_code
        return answer.status_code, answer.read().decode()


def test_the_owner_may_do_everything(client: httpx.Client, asset: Asset) -> None:
    for route in ROUTES:
        assert status_of(client, route, asset)[0] == DONE.get(route.name, 200), route.name


def test_a_stranger_finds_what_nobody_finds(
    client: httpx.Client, service: JobService, asset: Asset
) -> None:
    client.headers[USER] = str(uuid4())
    for route in ROUTES:
        status, body = status_of(client, route, asset)
        if route.name in LISTS:
            assert status == 200
            assert str(asset.job_id) not in body
            continue
        assert status == 404, route.name
        path = "/api" + route.path.format(job_id=uuid4(), asset_id=uuid4())
        unknown = client.request(route.method, path)
        assert (unknown.status_code, unknown.text) == (404, body)
    assert service.get_job_internal(asset.job_id).cancel_requested_at is None


def test_nobody_may_do_anything(open_client: OpenClient, asset: Asset) -> None:
    client = open_client()
    for route in ROUTES:
        assert status_of(client, route, asset)[0] == 401, route.name


def test_an_admin_acts_in_the_place_of_the_owner(
    client: httpx.Client, asset: Asset, user_id: UUID
) -> None:
    client.headers.update({USER: str(uuid4()), ADMIN: "yes"})
    for route in ROUTES:
        query = {"user_id": str(user_id)} if route.name in LISTS else {}
        assert status_of(client, route, asset, **query)[0] == DONE.get(route.name, 200), route.name
    shown = client.get("/api/jobs", params={"user_id": str(user_id)}).json()
    assert str(asset.job_id) in {job["id"] for job in shown["items"]}
    assert client.get("/api/jobs").json()["items"] == [], "an admin's own list is the admin's"
    assert client.get(f"/api/jobs/{uuid4()}").status_code == 404


def test_nobody_else_lists_the_jobs_of_a_user(client: httpx.Client, user_id: UUID) -> None:
    client.headers[USER] = str(uuid4())
    for path in ("/api/jobs", "/api/jobs/events"):
        answer = client.get(path, params={"user_id": str(user_id)})
        assert (answer.status_code, answer.headers["Content-Type"]) == (403, PROBLEM)


@pytest.mark.parametrize("job_id", ["7", "events2", "..", "%00", "' or 1=1", "a" * 500])
def test_an_id_that_is_none_is_not_found_without_a_query(
    open_client: OpenClient, user_id: UUID, job_id: str
) -> None:
    """There is no database to ask; an id that might be one gets another answer."""
    client = open_client(JobService("postgresql+psycopg://127.0.0.1:1/none"))
    client.headers[USER] = str(user_id)
    path = f"/api/jobs/{job_id}".replace("..", "%2e%2e")
    assert client.get(path).status_code == 404
    away = client.get(f"/api/jobs/{uuid4()}")
    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")
    assert away.headers["Content-Type"] == PROBLEM
    assert "127.0.0.1" not in away.text


def test_a_file_is_found_by_its_own_job_alone(
    client: httpx.Client, service: JobService, asset: Asset, user_id: UUID
) -> None:
    other = service.create_job(user_id, "report")
    assert client.get(f"/api/jobs/{asset.job_id}/assets/{asset.id}").status_code == 302
    assert client.get(f"/api/jobs/{other.id}/assets/{asset.id}").status_code == 404
