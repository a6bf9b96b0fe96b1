"""The routes for FastAPI."""

from collections.abc import Callable, Collection
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Request as HttpRequest
from fastapi.responses import JSONResponse, Response, StreamingResponse

from jobstate.records import Job
from jobstate.web.desk import AsyncDesk, Jobs, asyncio_service
from jobstate.web.exchange import Answer, Caller, Flow, Request, accepted_answer
from jobstate.web.live import INTERVAL, loop_watchers
from jobstate.web.openapi import extra_of, responses_of, summary_of
from jobstate.web.places import MAX_STREAMS
from jobstate.web.routes import ROUTES, Kind, Route, route_named

if TYPE_CHECKING:
    from jobstate.web.page import Look

__all__ = ["accepted", "create_page", "create_router"]

_NAME = "jobstate.{}"


def _nobody() -> bool:
    return False


def create_router(
    jobs: Jobs,
    *,
    get_user_id: Callable[..., Any],
    is_admin: Callable[..., Any] = _nobody,
    trusted_origins: Collection[str] = (),
    interval: float = INTERVAL,
    max_streams: int = MAX_STREAMS,
) -> APIRouter:
    """Return a router with all routes about jobs, for ``app.include_router``.

    Everybody sees their own jobs and nothing of others': somebody else's job is the same 404 as
    one that does not exist.

    Args:
        jobs: What `jobstate.install` returned, or a service.
        get_user_id: A dependency that returns the id of the user who asks; None is answered
            with 401.
        is_admin: A dependency that says whether this user may use everybody's jobs.
        trusted_origins: Other origins whose pages may cancel and retry jobs.
        interval: How often the database is asked for all open streams together, in seconds.
        max_streams: How many streams a user may have open in one process; one more is a 429.
    """
    service = asyncio_service(jobs)
    events = loop_watchers(service, interval).events
    desk = AsyncDesk(service, events, trusted_origins, max_streams)
    router = APIRouter(tags=["jobs"])
    for route in ROUTES:
        endpoint = _endpoint(route, desk, get_user_id, is_admin)
        router.add_api_route(
            route.path,
            endpoint,
            methods=[route.method],
            name=_NAME.format(route.name),
            operation_id=route.name,
            summary=summary_of(route),
            description=summary_of(route) + ".",
            status_code=route.success,
            responses=responses_of(route),
            openapi_extra=extra_of(route),
            response_class=Response if route.kind in (Kind.FILE, Kind.STREAM) else JSONResponse,
        )
        _add_head(router, route, endpoint)
    return router


def create_page(
    jobs: Jobs,
    *,
    get_user_id: Callable[..., Any],
    look: "Look | None" = None,
    max_streams: int = MAX_STREAMS,
) -> APIRouter:
    """Return a router with the page of one's own jobs, for ``app.include_router``.

    Its forms are obeyed only from the page itself; see `check_origin`. Needs jinja2.

    Args:
        jobs: What `jobstate.install` returned, or a service.
        get_user_id: A dependency that returns the id of the user who asks; None is answered
            with 401.
        look: What is particular to your app.
        max_streams: How many streams a user may have open in one process.
    """
    # jinja2 is an extra: the routes for programs do without it.
    from jobstate.web.page import page_routes  # noqa: PLC0415

    service = asyncio_service(jobs)
    desk = AsyncDesk(service, loop_watchers(service).events, max_streams=max_streams)
    router = APIRouter(include_in_schema=False)
    for route in page_routes(look):
        endpoint = _endpoint(route, desk, get_user_id, _nobody)
        router.add_api_route(
            route.path, endpoint, methods=[route.method], name=_NAME.format(route.name)
        )
        _add_head(router, route, endpoint)
    return router


def accepted(request: HttpRequest, job: Job) -> Response:
    """Answer that a job was enqueued: 202, its Location, when to ask for it, and its JSON."""
    route = route_named("read_job")
    path = request.url_for(_NAME.format(route.name), job_id=str(job.id)).path
    return _response(accepted_answer(job, route.base_of(path, {"job_id": str(job.id)})))


def _add_head(router: APIRouter, route: Route, endpoint: Callable[..., Any]) -> None:
    """Answer HEAD where GET is, as the other frameworks do; it needs no description."""
    if route.method == "GET":
        router.add_api_route(route.path, endpoint, methods=["HEAD"], include_in_schema=False)


def _endpoint(
    route: Route,
    desk: AsyncDesk,
    get_user_id: Callable[..., Any],
    is_admin: Callable[..., Any],
) -> Callable[..., Any]:
    async def endpoint(
        http: HttpRequest,
        user_id: Annotated[Any, Depends(get_user_id)],
        admin: Annotated[Any, Depends(is_admin)],
    ) -> Response:
        caller = Caller(user_id, is_admin=admin)
        base = route.base_of(_path_of(http), http.path_params)
        request = Request(
            caller,
            http.path_params,
            http.query_params,
            http.headers,
            base,
            is_head=http.method == "HEAD",
        )
        return _response(await desk.answer(route, request))

    return endpoint


def _path_of(http: HttpRequest) -> str:
    """Return the path that the client has asked for, with what a proxy has stripped of it."""
    root = http.scope.get("app_root_path", http.scope.get("root_path", "")).rstrip("/")
    path: str = http.scope["path"]
    return path if f"{path}/".startswith(f"{root}/") else root + path


class _Flowing(StreamingResponse):
    """Ends what it sends when the client is gone: nobody else would before it is collected."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pieces: Any = self.body_iterator
        async with aclosing(pieces):
            await super().__call__(scope, receive, send)


def _response(answer: Answer | Flow) -> Response:
    if isinstance(answer, Flow):
        return _Flowing(answer.pieces, answer.status, headers=dict(answer.headers))
    return Response(answer.body, answer.status, dict(answer.headers))
