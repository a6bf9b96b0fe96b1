"""The routes for Flask."""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, request, url_for

from jobstate.records import Job
from jobstate.web.desk import Desk, Jobs, blocking_service
from jobstate.web.exchange import Answer, Caller, Flow, Request, accepted_answer
from jobstate.web.live import INTERVAL, thread_watcher
from jobstate.web.places import MAX_STREAMS
from jobstate.web.routes import ROUTES, Route, route_named

if TYPE_CHECKING:
    from jobstate.web.page import Look

__all__ = ["accepted", "create_blueprint", "create_page"]


def _nobody() -> bool:
    return False


def create_blueprint(
    jobs: Jobs,
    *,
    get_user_id: Callable[[], Any],
    is_admin: Callable[[], Any] = _nobody,
    trusted_origins: Collection[str] = (),
    interval: float = INTERVAL,
    max_streams: int = MAX_STREAMS,
    name: str = "jobstate",
) -> Blueprint:
    """Return a blueprint with all routes about jobs, for ``app.register_blueprint``.

    Everybody sees their own jobs and nothing of others': somebody else's job is the same 404 as
    one that does not exist. Each open stream has a thread of the server.

    Args:
        jobs: What `jobstate.install` returned, or a service.
        get_user_id: Returns the id of the user who asks; None is answered with 401. It may be
            async, where Flask is installed with its extra of that name.
        is_admin: Says whether this user may use everybody's jobs; it may be async, too.
        trusted_origins: Other origins whose pages may cancel and retry jobs.
        interval: How often the database is asked for all open streams together, in seconds.
        max_streams: How many streams a user may have open in one process; one more is a 429.
        name: The name of the blueprint.
    """
    service = blocking_service(jobs)
    events = thread_watcher(service, interval).events
    desk = Desk(service, events, trusted_origins, max_streams)
    return _blueprint(name, ROUTES, desk, get_user_id, is_admin)


def create_page(
    jobs: Jobs,
    *,
    get_user_id: Callable[[], Any],
    look: "Look | None" = None,
    max_streams: int = MAX_STREAMS,
    name: str = "jobstate_page",
) -> Blueprint:
    """Return a blueprint with the page of one's own jobs, for ``app.register_blueprint``.

    Its forms are obeyed only from the page itself; see `check_origin`. They carry the token of
    Flask-WTF where that is installed in the app. Needs jinja2.

    Args:
        jobs: What `jobstate.install` returned, or a service.
        get_user_id: Returns the id of the user who asks; None is answered with 401. It may be
            async, where Flask is installed with its extra of that name.
        look: What is particular to your app.
        max_streams: How many streams a user may have open in one process.
        name: The name of the blueprint.
    """
    # jinja2 comes with Flask, but not with the others.
    from jobstate.web.page import page_routes  # noqa: PLC0415

    service = blocking_service(jobs)
    desk = Desk(service, thread_watcher(service).events, max_streams=max_streams)
    return _blueprint(name, page_routes(look), desk, get_user_id, _nobody)


def accepted(job: Job, name: str = "jobstate") -> Response:
    """Answer that a job was enqueued: 202, its Location, when to ask for it, and its JSON.

    `name` is that of the blueprint.
    """
    route, parts = route_named("read_job"), {"job_id": str(job.id)}
    path = url_for(f"{name}.{route.name}", _external=False, **parts)
    return _response(accepted_answer(job, route.base_of(path, parts)))


def _blueprint(
    name: str,
    routes: Iterable[Route],
    desk: Desk,
    get_user_id: Callable[[], Any],
    is_admin: Callable[[], Any],
) -> Blueprint:
    blueprint = Blueprint(name, __name__)
    for route in routes:
        blueprint.add_url_rule(
            route.path.replace("{", "<").replace("}", ">"),
            endpoint=route.name,
            view_func=_view(route, desk, get_user_id, is_admin),
            methods=[route.method],
        )
    return blueprint


def _view(
    route: Route, desk: Desk, get_user_id: Callable[[], Any], is_admin: Callable[[], Any]
) -> Callable[..., Response]:
    def view(**parts: str) -> Response:
        called = current_app.ensure_sync  # they may be async
        caller = Caller(called(get_user_id)(), is_admin=called(is_admin)())
        base = route.base_of(request.script_root + request.path, parts)
        is_head = request.method == "HEAD"
        asked = Request(caller, parts, request.args, request.headers, base, _csrf(), is_head)
        return _response(desk.answer(route, asked))

    return view


def _csrf() -> tuple[str, str] | None:
    token = current_app.jinja_env.globals.get("csrf_token")  # Flask-WTF puts it there
    return ("csrf_token", token()) if callable(token) else None


def _response(answer: Answer | Flow) -> Response:
    if isinstance(answer, Flow):
        return Response(answer.pieces, answer.status, headers=dict(answer.headers))
    # Of an empty body, Flask would say that it has no length, which a HEAD asks for.
    response = Response(answer.body or None, answer.status, dict(answer.headers))
    if "Content-Type" not in answer.headers:
        del response.headers["Content-Type"]  # of nothing
    return response
