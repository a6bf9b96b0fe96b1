"""What an app gives the routes, and what it gets from them."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.test import RequestFactory, override_settings
from django.urls import include, path, set_urlconf
from fastapi import FastAPI, Request
from fastapi.responses import Response

import jobstate
from jobstate import AsyncJobService, ConfigurationError, Job, JobService, JobStatus
from jobstate.web import django as for_django
from jobstate.web import fastapi as for_fastapi
from jobstate.web import flask as for_flask
from jobstate.web import live
from tests.djangos import django_connection, set_up
from tests.factories import PATIENCE, eventually
from tests.web.conftest import OpenClient
from tests.web.events import opened
from tests.web.jobs import celery_app
from tests.web.servers import asgi_server, wsgi_server
from tests.web.sites import USER, django_settings, fastapi_app, flask_app

JobIn = Callable[[JobStatus | str], Job]


@pytest.mark.parametrize("kind", ["installed", "blocking", "asyncio"])
def test_jobs_are_given_as_what_install_returns_or_as_a_service(
    open_client: OpenClient, service: JobService, job_in: JobIn, user_id: UUID, kind: str
) -> None:
    job = job_in("processing")
    with celery_app(service) as app:
        jobs: Any = {
            "installed": lambda: jobstate.install(app),
            "blocking": lambda: service,
            "asyncio": lambda: AsyncJobService(service.settings.database_url),
        }[kind]()
        client = open_client(jobs)
        client.headers[USER] = str(user_id)
        assert client.get("/api/jobs").json()["items"][0]["id"] == str(job.id)
        with opened(client, f"/api/jobs/{job.id}/events") as events:
            service.mark_completed(job.id)
            assert [event.data["status"] for event in events][-1] == "completed"


def accepted_by_fastapi(service: JobService, job: Job) -> httpx.Response:
    app: FastAPI = fastapi_app(service)

    @app.post("/exports")
    async def export(request: Request) -> Response:
        return for_fastapi.accepted(request, job)

    with asgi_server(app) as url:
        return httpx.post(f"{url}/exports", timeout=PATIENCE)


def accepted_by_flask(service: JobService, job: Job) -> httpx.Response:
    app = flask_app(service)
    app.add_url_rule("/exports", view_func=lambda: for_flask.accepted(job), methods=["POST"])
    with wsgi_server(app) as url:
        return httpx.post(f"{url}/exports", timeout=PATIENCE)


def accepted_by_django(service: JobService, job: Job) -> httpx.Response:
    with django_settings(service):
        set_urlconf(settings.ROOT_URLCONF)
        answer: Any = for_django.accepted(job)
        set_urlconf(None)
        return httpx.Response(
            answer.status_code, headers=dict(answer.items()), content=answer.content
        )


@pytest.mark.parametrize("accept", [accepted_by_fastapi, accepted_by_flask, accepted_by_django])
def test_an_app_answers_with_where_to_ask_what_becomes_of_a_job(
    service: JobService, user_id: UUID, accept: Callable[[JobService, Job], httpx.Response]
) -> None:
    job = service.create_job(user_id, "report")
    answer = accept(service, job)
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    assert answer.headers["Location"] == f"/api/jobs/{job.id}"
    assert answer.json()["links"]["self"] == f"/api/jobs/{job.id}"


def test_django_reads_from_its_settings_whose_jobs_are_shown_to_whom(
    service: JobService, job_in: JobIn, user_id: UUID
) -> None:
    job, user = job_in("queued"), {USER: str(user_id)}
    given = {"JOBSTATE_JOBS": service, "JOBSTATE_GET_USER_ID": lambda http: http.headers.get(USER)}
    with django_settings(service), override_settings(**given):
        for name, here in (("urls", "/jobs"), ("page_urls", "/")):
            view = _fresh(name).urlpatterns[0].callback
            shown = view(RequestFactory().get(here, headers=user))
            assert str(job.id) in shown.content.decode()
            assert view(RequestFactory().get(here)).status_code == 401


def test_django_reads_from_its_settings_how_many_streams_a_user_may_have(
    service: JobService, user_id: UUID
) -> None:
    given = {
        "JOBSTATE_JOBS": service,
        "JOBSTATE_GET_USER_ID": lambda _: user_id,
        "JOBSTATE_MAX_STREAMS": 0,
    }
    with django_settings(service), override_settings(**given):
        for name in ("urls", "page_urls"):
            views = {url.name: url.callback for url in _fresh(name).urlpatterns}
            (stream_jobs,) = (view for name, view in views.items() if "stream_jobs" in name)
            assert stream_jobs(RequestFactory().get("/events")).status_code == 429


def test_a_stream_under_wsgi_keeps_no_connection_of_djangos(
    service: JobService, job_in: JobIn, user_id: UUID, connect: Callable[[], psycopg.Connection]
) -> None:
    """What the login was read by would be open as long as the stream: one for each viewer."""
    job, look = job_in("processing"), connect()
    set_up()

    def of_login() -> int:
        row = look.execute(
            "select count(*) from pg_stat_activity where application_name = 'login'"
        ).fetchone()
        return int(row[0]) if row else -1

    with django_connection(service.settings.database_url) as connection:
        alias, seen = connection.alias, []

        def log_in(_: object) -> UUID:
            with connections[alias].cursor() as cursor:
                cursor.execute("set application_name = 'login'")
            seen.append(of_login())
            return user_id

        urls: Any = ModuleType("urls")
        found = for_django.create_urls(service, get_user_id=log_in)
        urls.urlpatterns = [path("", include((found, "jobstate")))]
        with (
            override_settings(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"]),
            wsgi_server(WSGIHandler()) as url,
            httpx.Client(base_url=url, timeout=PATIENCE) as client,
            opened(client, f"/jobs/{job.id}/events") as events,
        ):
            read = iter(events)
            next(read)
            assert seen == [1]
            eventually(lambda: of_login() == 0)
            service.mark_completed(job.id)
            assert [event.data["status"] for event in read] == ["completed"]


def test_django_says_which_setting_is_missing() -> None:
    set_up()
    with pytest.raises(ConfigurationError, match=r"JOBSTATE_JOBS is not set.*dotted path"):
        _fresh("urls")


def _fresh(name: str) -> Any:
    """Import a module of URLs as if for the first time: it reads the settings."""
    module = f"jobstate.web.django.{name}"
    sys.modules.pop(module, None)
    return __import__(module, fromlist=["urlpatterns"])


PROGRAM = """
import sys, uvicorn
from jobstate import JobService
from tests.web.sites import fastapi_app
uvicorn.run(fastapi_app(JobService(sys.argv[1])), port=0, log_level="info")
"""


def test_a_server_that_is_asked_to_end_ends_its_streams(
    service: JobService, job_in: JobIn, user_id: UUID, tmp_path: Path
) -> None:
    """It waits for every connection before it tells the app that it ends."""
    job, log = job_in("processing"), tmp_path / "log"
    command = [sys.executable, "-c", PROGRAM, service.settings.database_url]
    with log.open("w") as out, subprocess.Popen(command, stderr=out, stdout=out) as server:
        try:
            eventually(lambda: "running on http" in log.read_text())
            url = "http://" + log.read_text().partition("running on http://")[2].split()[0]
            with (
                httpx.Client(
                    base_url=url, headers={USER: str(user_id)}, timeout=PATIENCE
                ) as client,
                opened(client, f"/api/jobs/{job.id}/events") as events,
                httpx.Client(base_url=url, headers={USER: str(user_id)}, timeout=PATIENCE) as other,
                opened(other, "/api/jobs/events") as all_events,
            ):
                next(iter(events))
                server.send_signal(signal.SIGTERM)
                assert [event.data["status"] for event in events] == []
                assert len(list(all_events)) == 1
            server.wait(PATIENCE)
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("name", "going_on", "ending"), [("should_exit", False, True), ("alive", True, False)]
)
def test_a_server_notes_its_end_where_it_handles_the_signal(
    name: str, going_on: object, ending: object
) -> None:
    """`should_exit` is of uvicorn, `alive` of gunicorn's workers."""

    class Server:
        def handle_exit(self, *_: object) -> None:
            """Note it."""

    server = Server()
    before = signal.signal(signal.SIGTERM, server.handle_exit)
    try:
        assert not live.is_ending()
        setattr(server, name, going_on)
        assert not live.is_ending()
        setattr(server, name, ending)
        assert live.is_ending()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not live.is_ending()


@pytest.mark.parametrize(
    ("root_path", "asked", "base"),
    [
        ("/proxy", "/api", "/proxy/api"),  # a proxy strips it
        ("/proxy", "/proxy/api", "/proxy/api"),  # uvicorn --root-path
        ("", "/api", "/api"),
        ("/a", "/api", "/a/api"),
    ],
)
async def test_links_lead_back_through_a_proxy(
    service: JobService, job_in: JobIn, user_id: UUID, root_path: str, asked: str, base: str
) -> None:
    job = job_in("processing")
    transport = httpx.ASGITransport(app=fastapi_app(service), root_path=root_path)
    headers = {USER: str(user_id)}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://shop", headers=headers
    ) as client:
        shown = (await client.get(f"{asked}/jobs/{job.id}")).json()
        assert shown["links"]["self"] == f"{base}/jobs/{job.id}"
        page = await client.get(f"{asked.removesuffix('/api')}/my/jobs/%3Fx")
    assert page.status_code == 404
    assert f'src="{base.removesuffix("/api")}/my/jobs/static/page.js' in page.text


def test_each_event_loop_has_viewers_of_its_own(
    service: JobService, job_in: JobIn, user_id: UUID
) -> None:
    """Clients for tests run each request in a new loop."""
    app, job = fastapi_app(service, interval=0.01), job_in("processing")

    async def watched() -> str:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            path = f"/api/jobs/{job.id}"
            answer = await client.get(path, headers={USER: str(user_id)})
            return str(answer.json()["status"])

    for _ in range(2):
        assert asyncio.run(watched()) == "processing"
