"""The views of the routes, for WSGI and ASGI alike."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods

from jobstate.records import Job
from jobstate.web.desk import Desk, Jobs, asyncio_service, blocking_service
from jobstate.web.exchange import Answer, Caller, Flow, Request, Stream, accepted_answer
from jobstate.web.live import INTERVAL, loop_watchers, thread_watcher
from jobstate.web.places import MAX_STREAMS
from jobstate.web.routes import ROUTES, Kind, Route, route_named

if TYPE_CHECKING:
    from jobstate.web.page import Look

Asked = Callable[[HttpRequest], Any]


def nobody(_: HttpRequest) -> bool:
    """Say that this user is no admin."""
    return False


def create_urls(
    jobs: Jobs,
    *,
    get_user_id: Asked,
    is_admin: Asked = nobody,
    trusted_origins: Collection[str] = (),
    interval: float = INTERVAL,
    max_streams: int = MAX_STREAMS,
) -> list[URLPattern]:
    """Return the URL patterns of all routes about jobs.

    Everybody sees their own jobs and nothing of others': somebody else's job is the same 404 as
    one that does not exist. Under ASGI all open streams share the event loop, under WSGI each has
    a thread of the server.

    Args:
        jobs: What `jobstate.install` returned, or a service.
        get_user_id: Returns the id of the user who makes a request; None is answered with 401. It
            may be async.
        is_admin: Says whether this user may use everybody's jobs; it may be async, too.
        trusted_origins: Other origins whose pages may cancel and retry jobs.
        interval: How often the database is asked for all open streams together, in seconds.
        max_streams: How many streams a user may have open in one process; one more is a 429.
    """
    desks = _Desks(jobs, trusted_origins, interval, max_streams)
    return _patterns(ROUTES, desks, get_user_id, is_admin)


def create_page_urls(
    jobs: Jobs,
    *,
    get_user_id: Asked,
    look: "Look | None" = None,
    max_streams: int = MAX_STREAMS,
) -> list[URLPattern]:
    """Return the URL patterns of the page of one's own jobs. Needs jinja2.

    Its forms carry Django's own token, and are obeyed only from the page itself.

    Args:
        jobs: What `jobstate.install` returned, or a service.
        get_user_id: Returns the id of the user who makes a request; None is answered with 401. It
            may be async.
        look: What is particular to your app.
        max_streams: How many streams a user may have open in one process.
    """
    # jinja2 is an extra: the routes for programs do without it.
    from jobstate.web.page import page_routes  # noqa: PLC0415

    desks = _Desks(jobs, max_streams=max_streams)
    return _patterns(page_routes(look), desks, get_user_id, nobody)


def accepted(job: Job) -> HttpResponseBase:
    """Answer that a job was enqueued: 202, its Location, when to ask for it, and its JSON."""
    route, parts = route_named("read_job"), {"job_id": str(job.id)}
    here = reverse(f"jobstate:{route.name}", kwargs=parts)
    return _response(accepted_answer(job, route.base_of(here, parts)))


class _Desks:
    """Django calls views in threads; what they stream, it sends by what it runs under."""

    def __init__(
        self,
        jobs: Jobs,
        trusted: Collection[str] = (),
        interval: float = INTERVAL,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        service = blocking_service(jobs)
        watcher = thread_watcher(service, interval)
        in_loops = loop_watchers(asyncio_service(jobs), interval)

        def in_threads(stream: Stream) -> Iterator[str]:
            return _at_rest(watcher.events(stream))

        self._under_wsgi = Desk(service, in_threads, trusted, max_streams)
        self._under_asgi = Desk(service, in_loops.events, trusted, max_streams, _unblocked)

    def of(self, http: HttpRequest) -> Desk:
        """Return the one for a request."""
        return self._under_asgi if isinstance(http, ASGIRequest) else self._under_wsgi


def _patterns(
    routes: Iterable[Route], desks: _Desks, get_user_id: Asked, is_admin: Asked
) -> list[URLPattern]:
    def view_of(route: Route) -> Callable[..., HttpResponseBase]:
        def view(http: HttpRequest, **parts: str) -> HttpResponseBase:
            caller = Caller(_told(get_user_id, http), is_admin=_told(is_admin, http))
            base = route.base_of(http.path, parts)
            csrf = ("csrfmiddlewaretoken", get_token(http)) if route.kind is Kind.PAGE else None
            is_head = http.method == "HEAD"
            request = Request(caller, parts, http.GET, http.headers, base, csrf, is_head)
            return _response(desks.of(http).answer(route, request))

        allowed = ["GET", "HEAD"] if route.method == "GET" else [route.method]
        guarded: Callable[..., HttpResponseBase] = require_http_methods(allowed)(view)
        return guarded

    return [
        path(
            route.path.removeprefix("/").replace("{", "<str:").replace("}", ">"),
            view_of(route),
            name=route.name,
        )
        for route in routes
    ]


def _told(asked: Asked, http: HttpRequest) -> Any:
    return async_to_sync(asked)(http) if iscoroutinefunction(asked) else asked(http)


def _at_rest(pieces: Iterator[str]) -> Iterator[str]:
    """Send pieces without what the request has opened: a stream would keep it for each viewer."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
    yield from pieces


async def _unblocked(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    # Django would read a whole file before it sends any of it.
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _response(answer: Answer | Flow) -> HttpResponseBase:
    headers = dict(answer.headers)
    if isinstance(answer, Flow):
        return StreamingHttpResponse(answer.pieces, status=answer.status, headers=headers)
    response = HttpResponse(answer.body, status=answer.status, headers=headers)
    if "Content-Type" not in headers:
        del response["Content-Type"]  # of nothing
    return response
