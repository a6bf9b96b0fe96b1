"""The same jobs served by each framework, to the user whom a header names."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any

import flask
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.test import override_settings
from django.urls import include, path
from fastapi import FastAPI
from fastapi import Request as FastAPIRequest

from jobstate.web import django as for_django
from jobstate.web import fastapi as for_fastapi
from jobstate.web import flask as for_flask
from jobstate.web.desk import Jobs
from jobstate.web.page import Look
from tests.djangos import set_up
from tests.web.servers import asgi_server, wsgi_server

PREFIX = "/api"
PAGE = "/my/jobs"

USER = "X-User"
ADMIN = "X-Admin"

QUICK = {"interval": 0.02}


def fastapi_app(jobs: Jobs, look: Look | None = None, **options: Any) -> FastAPI:
    """Make a FastAPI app."""

    def get_user_id(request: FastAPIRequest) -> str | None:
        return request.headers.get(USER)

    async def is_admin(request: FastAPIRequest) -> bool:
        return ADMIN in request.headers

    app = FastAPI()
    router = for_fastapi.create_router(jobs, get_user_id=get_user_id, is_admin=is_admin, **options)
    app.include_router(router, prefix=PREFIX)
    page = for_fastapi.create_page(jobs, get_user_id=get_user_id, look=look)
    app.include_router(page, prefix=PAGE)
    return app


def flask_app(jobs: Jobs, look: Look | None = None, **options: Any) -> flask.Flask:
    """Make a Flask app."""

    def get_user_id() -> str | None:
        return flask.request.headers.get(USER)

    def is_admin() -> bool:
        return ADMIN in flask.request.headers

    app = flask.Flask("shop")
    blueprint = for_flask.create_blueprint(
        jobs, get_user_id=get_user_id, is_admin=is_admin, **options
    )
    app.register_blueprint(blueprint, url_prefix=PREFIX)
    page = for_flask.create_page(jobs, get_user_id=get_user_id, look=look)
    app.register_blueprint(page, url_prefix=PAGE)
    return app


@contextmanager
def django_settings(jobs: Jobs, look: Look | None = None, **options: Any) -> Iterator[None]:
    """Have Django serve the routes; one set of them at a time."""

    def get_user_id(request: HttpRequest) -> str | None:
        return request.headers.get(USER)

    def is_admin(request: HttpRequest) -> bool:
        return ADMIN in request.headers

    urls: Any = ModuleType("urls")
    api = for_django.create_urls(jobs, get_user_id=get_user_id, is_admin=is_admin, **options)
    page = for_django.create_page_urls(jobs, get_user_id=get_user_id, look=look)
    urls.urlpatterns = [
        path(f"{PREFIX[1:]}/", include((api, "jobstate"))),
        path(f"{PAGE[1:]}/", include((page, "jobstate_page"))),
    ]
    set_up()
    with override_settings(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], APPEND_SLASH=False):
        yield


@contextmanager
def fastapi_site(jobs: Jobs, **options: Any) -> Iterator[str]:
    """Serve by FastAPI."""
    with asgi_server(fastapi_app(jobs, **QUICK, **options)) as url:
        yield url


@contextmanager
def flask_site(jobs: Jobs, **options: Any) -> Iterator[str]:
    """Serve by Flask."""
    with wsgi_server(flask_app(jobs, **QUICK, **options)) as url:
        yield url


@contextmanager
def django_asgi_site(jobs: Jobs, **options: Any) -> Iterator[str]:
    """Serve by Django under ASGI."""
    with django_settings(jobs, **QUICK, **options), asgi_server(ASGIHandler()) as url:
        yield url


@contextmanager
def django_wsgi_site(jobs: Jobs, **options: Any) -> Iterator[str]:
    """Serve by Django under WSGI."""
    with django_settings(jobs, **QUICK, **options), wsgi_server(WSGIHandler()) as url:
        yield url


SITES: dict[str, Callable[..., AbstractContextManager[str]]] = {
    "fastapi": fastapi_site,
    "flask": flask_site,
    "django-asgi": django_asgi_site,
    "django-wsgi": django_wsgi_site,
}
