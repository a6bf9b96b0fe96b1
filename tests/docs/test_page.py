"""The examples of docs/how-to/page.md show the jobs of whoever asks."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
from django.http import HttpRequest
from django.test import Client, override_settings
from fastapi import FastAPI

from jobstate import Job, JobService
from tests.djangos import set_up
from tests.examples import Example
from tests.factories import PATIENCE
from tests.web.servers import asgi_server

DATABASE = "postgresql+psycopg://localhost/shop"
USER = "X-User"


@pytest.fixture
def job(service: JobService, user_id: object) -> Job:
    """A job of somebody."""
    return service.create_job(user_id, "orders", {"year": 2026})


@pytest.fixture
def names(examples: list[Example], jobs_url: str) -> Iterator[dict[str, Any]]:
    """What the first example of the page defines; the others go on from there."""
    names: dict[str, Any] = {"__name__": "shop"}
    first, *_ = examples
    first.replace(DATABASE, jobs_url)
    first.run(names)
    yield names
    names["jobs"].service.close()


@pytest.mark.examples("docs/how-to/page.md", "import FastAPI", "look = Look(")
def test_fastapi_shows_the_page_and_a_look_changes_it(
    examples: list[Example], names: dict[str, Any], job: Job
) -> None:
    examples[1].run(names)
    app: FastAPI = names["app"]
    app.include_router(names["router"], prefix="/exports")
    user = {USER: str(job.user_id)}
    with (
        asgi_server(app) as url,
        httpx.Client(base_url=url, headers=user, timeout=PATIENCE) as client,
    ):
        assert "Orders</a>" in client.get("/my/jobs/").text
        page = client.get(f"/exports/{job.id}").text
    assert "<h1>Orders of 2026</h1>" in page
    assert "My exports</a>" in page
    assert 'href="/static/jobs.css"' in page


@pytest.mark.examples("docs/how-to/page.md", "import FastAPI", "import Flask")
def test_flask_shows_the_page(examples: list[Example], names: dict[str, Any], job: Job) -> None:
    examples[1].run(names)
    client = names["app"].test_client()
    assert "Orders</a>" in client.get("/my/jobs/", headers={USER: str(job.user_id)}).text


@pytest.mark.examples(
    "docs/how-to/page.md", "import FastAPI", "JOBSTATE_GET_USER_ID", "urlpatterns"
)
def test_django_shows_the_page(examples: list[Example], names: dict[str, Any], job: Job) -> None:
    def user_of(request: HttpRequest) -> str | None:
        return request.headers.get(USER)

    set_up()
    urls: Any = ModuleType("shop.urls")
    settings: dict[str, Any] = {"ROOT_URLCONF": urls, "ALLOWED_HOSTS": ["*"]}
    examples[1].run(settings)
    del settings["__builtins__"]
    with pytest.MonkeyPatch.context() as patch, override_settings(**settings):
        # It reads the settings when it is imported: another test may have done so.
        patch.delitem(sys.modules, "jobstate.web.django.page_urls", raising=False)
        patch.setitem(sys.modules, "shop", ModuleType("shop"))
        shop_jobs = SimpleNamespace(jobs=names["jobs"], user_of=user_of)
        patch.setitem(sys.modules, "shop.jobs", shop_jobs)
        examples[2].run(vars(urls))
        page = Client().get("/my/jobs/", headers={USER: str(job.user_id)})
    assert "Orders</a>" in page.text
