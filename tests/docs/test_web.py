"""The examples of the pages about web apps do what the pages say."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from jobstate import JobService
from tests.djangos import set_up
from tests.examples import Example
from tests.factories import PATIENCE
from tests.web.servers import asgi_server, wsgi_server

USER = "X-User"


@pytest.fixture
def local(examples: list[Example], jobs_url: str, broker_url: str) -> list[Example]:
    """The examples, with this test's servers for those they name."""
    for example in examples:
        example.replace("postgresql+psycopg://localhost/shop", jobs_url)
        example.replace("redis://localhost/0", broker_url)
    return examples


def run(*examples: Example) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "shop"}
    for example in examples:
        example.run(names)
    return names


def check_export(answer: httpx.Response, client: httpx.Client) -> str:
    """Follow the answer to an export; return the job's id."""
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    job = client.get(answer.headers["Location"]).json()
    assert job == answer.json()
    assert client.get("/api/jobs").json()["items"] == [job]
    return str(job["id"])


@pytest.mark.examples("docs/how-to/live.md", "service.watch")
def test_the_jobs_that_the_page_watches_are_seen_until_they_have_landed(
    examples: list[Example],
    user_id: object,
    service: JobService,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = service.create_job(user_id, "export")
    service.cancel(job.id, user_id)
    (example,) = examples
    jobs = SimpleNamespace(service=service)
    example.run({"jobs": jobs, "job_id": job.id, "user_id": user_id})
    assert capsys.readouterr().out == "failed 0\n"


@pytest.mark.examples("docs/how-to/live.md", "httpx.stream")
@pytest.mark.examples("docs/how-to/fastapi.md")
def test_the_page_about_fastapi_and_the_one_about_streams(
    local: list[Example], user_id: object, service: JobService, capsys: pytest.CaptureFixture[str]
) -> None:
    *routes, watch = local
    names = run(*routes)
    headers = {USER: str(user_id)}
    with (
        asgi_server(names["app"]) as url,
        httpx.Client(base_url=url, headers=headers, timeout=PATIENCE) as client,
    ):
        job_id = check_export(client.post("/exports"), client)
        service.cancel(job_id, user_id)
        watch.run({"url": url, "job_id": job_id, "headers": headers})
        assert client.get("/docs").status_code == 200
    assert capsys.readouterr().out == "failed 0\n"


@pytest.mark.examples("docs/how-to/flask.md")
def test_the_page_about_flask(local: list[Example], user_id: object) -> None:
    names = run(*local)
    headers = {USER: str(user_id)}
    with (
        wsgi_server(names["app"]) as url,
        httpx.Client(base_url=url, headers=headers, timeout=PATIENCE) as client,
    ):
        job_id = check_export(client.post("/exports"), client)
        assert client.get(f"/my/jobs/{job_id}").status_code == 200
    names["jobs"].service.close()


class Login:
    """A middleware that takes the user from a header."""

    def __init__(self, get_response: Any) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Log in whom the header names."""
        name = request.headers.get(USER)
        user: Any = SimpleNamespace(pk=name, is_authenticated=bool(name), is_superuser=False)
        request.user = user
        response: HttpResponse = self._get_response(request)
        return response


@pytest.fixture
def shop(local: list[Example], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The page's Django project, as modules."""
    set_up()
    made: dict[str, Any] = {"shop": ModuleType("shop")}
    for example in local:
        file = example.code.partition("\n")[0].removeprefix("# ")
        name = file.removesuffix(".py").replace("/", ".")
        made[name] = ModuleType(name)
        if name.startswith("shop"):
            monkeypatch.setitem(sys.modules, name, made[name])
    monkeypatch.setitem(sys.modules, "shop", made["shop"])
    files = dict(zip(list(made)[1:], local, strict=True))
    for name in ("settings", "shop.jobs"):
        files[name].run(vars(made[name]))
    chosen = {key: value for key, value in vars(made["settings"]).items() if key.isupper()}
    for name in ("urls", "page_urls"):
        monkeypatch.delitem(sys.modules, f"jobstate.web.django.{name}", raising=False)
    middleware = ["django.middleware.csrf.CsrfViewMiddleware", f"{__name__}.Login"]
    with override_settings(**chosen, MIDDLEWARE=middleware, ROOT_URLCONF=made["urls"]):
        for name in ("urls", "shop.views"):
            files[name].run(vars(made[name]))
        made["urls"].urlpatterns.append(path("exports", made["shop.views"].export))
        yield made["shop.jobs"]
    made["shop.jobs"].jobs.service.close()


@pytest.mark.examples("docs/how-to/django.md")
def test_the_page_about_django(shop: ModuleType, user_id: object) -> None:
    client = Client(enforce_csrf_checks=True, headers={USER: str(user_id)})
    assert client.post("/exports").status_code == 403
    page = client.get("/my/jobs/")
    assert page.status_code == 200
    token = {"X-CSRFToken": client.cookies["csrftoken"].value}
    answer = client.post("/exports", headers=token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    job = client.get(answer.headers["Location"]).json()
    assert client.get("/api/jobs").json()["items"] == [job]
    assert client.post(job["links"]["cancel"]).status_code == 403
    assert client.post(job["links"]["cancel"], headers=token).status_code == 200
    assert client.get(f"/my/jobs/{job['id']}").status_code == 200
    assert Client().get("/api/jobs").status_code == 401
    assert shop.jobs.service.get_job(job["id"], user_id).error_code == "cancelled"
