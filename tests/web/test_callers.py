"""What an app says of who asks: also by a coroutine, and by mistake."""

import asyncio
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import flask
import httpx
import pytest
from django.test import AsyncClient, Client, override_settings
from django.urls import include, path

from jobstate import Job, JobService, JobStatus
from jobstate.web import django as for_django
from jobstate.web import flask as for_flask
from jobstate.web.desk import Desk
from jobstate.web.exchange import Answer, Caller, Request
from jobstate.web.live import thread_watcher
from jobstate.web.routes import route_named
from tests.djangos import set_up

JobIn = Callable[[JobStatus | str], Job]

ADMIN = uuid4()


async def who(request: Any = None) -> str | None:
    """Answer later than a function that is called."""
    await asyncio.sleep(0)
    found: str | None = (flask.request if request is None else request).headers.get("X-User")
    return found


async def is_admin(request: Any = None) -> bool:
    """Say yes to one user alone."""
    return await who(request) == str(ADMIN)


def by_flask(service: JobService, where: str, user_id: UUID) -> int:
    app = flask.Flask("shop")
    blueprint = for_flask.create_blueprint(service, get_user_id=who, is_admin=is_admin)
    app.register_blueprint(blueprint)
    return app.test_client().get(where, headers={"X-User": str(user_id)}).status_code


def by_django(service: JobService, where: str, user_id: UUID) -> int:
    with _django(service):
        return int(Client().get(where, headers={"X-User": str(user_id)}).status_code)


def by_django_under_asgi(service: JobService, where: str, user_id: UUID) -> int:
    async def ask() -> int:
        answer = await AsyncClient().get(where, headers={"X-User": str(user_id)})
        return int(answer.status_code)

    with _django(service):
        return asyncio.run(ask())


def _django(service: JobService) -> Any:
    set_up()
    urls: Any = ModuleType("urls")
    found = for_django.create_urls(service, get_user_id=who, is_admin=is_admin)
    urls.urlpatterns = [path("", include((found, "jobstate")))]
    return override_settings(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"])


@pytest.mark.parametrize("status_of", [by_flask, by_django, by_django_under_asgi])
def test_an_app_may_say_asynchronously_who_asks_and_who_is_an_admin(
    service: JobService,
    job_in: JobIn,
    user_id: UUID,
    status_of: Callable[[JobService, str, UUID], int],
) -> None:
    job = job_in("processing")
    asked = [(who, status_of(service, f"/jobs/{job.id}", who)) for who in (user_id, uuid4(), ADMIN)]
    assert [status for _, status in asked] == [200, 404, 200]


def forgotten() -> object:
    """Return what an async function returns to who does not await it."""
    answer = who({})
    answer.close()
    return answer


@pytest.mark.parametrize(
    ("caller", "complaint"),
    [
        (lambda: Caller(str(uuid4()), is_admin=forgotten()), "is_admin returned a coroutine"),
        (lambda: Caller(forgotten()), "get_user_id returned a coroutine"),
        (lambda: Caller(True), "get_user_id returned a bool"),
        (lambda: Caller({"sub": "ann"}), "get_user_id returned a dict"),
    ],
)
def test_what_an_app_says_by_mistake_lets_in_nobody_and_is_logged(
    service: JobService,
    job_in: JobIn,
    caplog: pytest.LogCaptureFixture,
    caller: Callable[[], Caller],
    complaint: str,
) -> None:
    """A coroutine that nobody awaits is true."""
    job, route = job_in("processing"), route_named("read_job")
    desk = Desk(service, thread_watcher(service).events)
    request = Request(caller(), {"job_id": str(job.id)}, {}, httpx.Headers())
    with caplog.at_level(logging.ERROR, logger="jobstate"):
        answer = desk.answer(route, request)
    assert isinstance(answer, Answer)
    assert answer.status == 500
    assert complaint in caplog.text
    assert "returned" not in answer.body.decode()
