"""The examples of docs/how-to/page.md show the jobs of whoever asks."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
from django.http import HttpRequest
from django.test import Client, override_settings
from fastapi import FastAPI

from jobstate import Job, JobService
from tests.djangos import set_up
from tests.web.servers import asgi_server

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "page.md"
DATABASE = "postgresql+psycopg://localhost/shop"
USER = "X-User"


@pytest.fixture
def job(service: JobService, user_id: object) -> Job:
    """A job of somebody."""
    return service.create_job(user_id, "orders", {"year": 2026})


@pytest.fixture
def examples(jobs_url: str) -> list[str]:
    """The page's Python, with this test's database for the one it names."""
    text = PAGE.read_text(encoding="utf-8").replace(DATABASE, jobs_url)
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def names(examples: list[str]) -> Iterator[dict[str, Any]]:
    """What the first example defines; the others go on from there."""
    names: dict[str, Any] = {"__name__": "shop"}
    exec(examples[0], names)  # noqa: S102 - our own documentation
    yield names
    names["jobs"].service.close()


def test_fastapi_shows_the_page_and_a_look_changes_it(
    examples: list[str], names: dict[str, Any], job: Job
) -> None:
    exec(examples[4], names)  # noqa: S102 - as above
    app: FastAPI = names["app"]
    app.include_router(names["router"], prefix="/exports")
    user = {USER: str(job.user_id)}
    with asgi_server(app) as url, httpx.Client(base_url=url, headers=user) as client:
        assert "Orders</a>" in client.get("/my/jobs/").text
        page = client.get(f"/exports/{job.id}").text
    assert "<h1>Orders of 2026</h1>" in page
    assert "My exports</a>" in page
    assert 'href="/static/jobs.css"' in page


def test_flask_shows_the_page(examples: list[str], names: dict[str, Any], job: Job) -> None:
    exec(examples[1], names)  # noqa: S102 - as above
    client = names["app"].test_client()
    assert "Orders</a>" in client.get("/my/jobs/", headers={USER: str(job.user_id)}).text


def test_django_shows_the_page(examples: list[str], names: dict[str, Any], job: Job) -> None:
    def user_of(request: HttpRequest) -> str | None:
        return request.headers.get(USER)

    set_up()
    urls: Any = ModuleType("shop.urls")
    settings: dict[str, Any] = {"ROOT_URLCONF": urls, "ALLOWED_HOSTS": ["*"]}
    exec(examples[2], settings)  # noqa: S102 - as above
    del settings["__builtins__"]
    with pytest.MonkeyPatch.context() as patch, override_settings(**settings):
        # It reads the settings when it is imported: another test may have done so.
        patch.delitem(sys.modules, "jobstate.web.django.page_urls", raising=False)
        patch.setitem(sys.modules, "shop", ModuleType("shop"))
        shop_jobs = SimpleNamespace(jobs=names["jobs"], user_of=user_of)
        patch.setitem(sys.modules, "shop.jobs", shop_jobs)
        exec(examples[3], urls.__dict__)  # noqa: S102 - as above
        page = Client().get("/my/jobs/", headers={USER: str(job.user_id)})
    assert "Orders</a>" in page.text
