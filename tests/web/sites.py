"""The same jobs served by each framework, to the user whom a header names."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from fastapi import FastAPI
from fastapi import Request as FastAPIRequest

from jobstate.web import fastapi
from jobstate.web.desk import Jobs
from jobstate.web.page import Look
from tests.web.servers import asgi_server

PREFIX = "/api"
PAGE = "/my/jobs"

USER = "X-User"
ADMIN = "X-Admin"


def fastapi_app(jobs: Jobs, look: Look | None = None, **options: Any) -> FastAPI:
    """Make a FastAPI app."""

    def get_user_id(request: FastAPIRequest) -> str | None:
        return request.headers.get(USER)

    async def is_admin(request: FastAPIRequest) -> bool:
        return ADMIN in request.headers

    app = FastAPI()
    router = fastapi.create_router(jobs, get_user_id=get_user_id, is_admin=is_admin, **options)
    app.include_router(router, prefix=PREFIX)
    page = fastapi.create_page(jobs, get_user_id=get_user_id, look=look)
    app.include_router(page, prefix=PAGE)
    return app


@contextmanager
def fastapi_site(jobs: Jobs, **options: Any) -> Iterator[str]:
    """Serve by FastAPI."""
    with asgi_server(fastapi_app(jobs, **{"interval": 0.02, **options})) as url:
        yield url


SITES: dict[str, Callable[..., AbstractContextManager[str]]] = {"fastapi": fastapi_site}
