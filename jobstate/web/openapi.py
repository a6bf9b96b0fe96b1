"""What the OpenAPI document says about each route."""

import inspect
from typing import Any

from jobstate.paging import MAX_PAGE
from jobstate.states import ItemStatus, JobStatus
from jobstate.web import models
from jobstate.web.handlers import LONGEST_WAIT, PAGE
from jobstate.web.problems import PROBLEM
from jobstate.web.routes import Kind, Route

_MODELS: dict[Kind, type] = {
    Kind.JOB: models.Job,
    Kind.JOBS: models.JobList,
    Kind.ASSETS: models.AssetList,
    Kind.HISTORY: models.EventList,
    Kind.ITEMS: models.ItemList,
    Kind.LOGS: models.LogList,
}

_UUID = {"type": "string", "format": "uuid"}
_TEXT = {"type": "string"}

_STATUS = {
    Kind.JOBS: {"type": "string", "enum": list(map(str, JobStatus))},
    Kind.ITEMS: {"type": "string", "enum": list(map(str, ItemStatus))},
}

_PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "job_type": (_TEXT, "Only jobs of this type"),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE},
        "How much a page has at most",
    ),
    "cursor": (_TEXT, "The next_cursor of the page before"),
    "user_id": (_TEXT, "Whose jobs; for admins alone"),
    "wait": (
        {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT, "default": 0},
        "Answer when the job has landed, or after so many seconds",
    ),
    "only": (
        {"type": "string", "enum": ["all", "failed"], "default": "all"},
        "Which items to do again",
    ),
}

_PROBLEMS = {
    400: "A parameter is malformed.",
    401: "Nobody is logged in.",
    403: "Not allowed: a request from another site, or a list of somebody else's jobs.",
    404: "There is no such job, or it is somebody else's.",
    409: "The job's status does not allow it, or no task runs it.",
    416: "The file has none of the bytes of the range.",
    429: "The user has as many streams or waits open as one may: end one.",
    503: "The database cannot be reached; ask again.",
}

_PASSING = {429, 503}
"""Those that say when to ask again."""

_HEADERS = {
    Kind.STREAM: {"Last-Event-ID": "Where the stream broke off"},
    Kind.FILE: {
        "Range": "Which bytes to send, such as bytes=1000-1999, bytes=1000- or bytes=-500",
        "If-Range": "The ETag of the file of which the client has the rest",
    },
}

_LATER = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
_TAG = {"ETag": {"description": "For If-None-Match", "schema": _TEXT}}
_LOCATION = {"Location": {"description": "The path of the new job", "schema": _TEXT}}


def responses_of(route: Route) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route."""
    found: dict[int | str, dict[str, Any]] = {200: _success(route)}
    if route.method == "POST":
        found[202] = {**_success(route), "description": "Accepted: the job is live"}
        found[202]["headers"] = _LATER | (_LOCATION if route.conflicts else {})
        if route.conflicts:
            del found[200]
    if route.method == "GET" and route.kind in _MODELS:
        found[304] = {"description": "Not changed since the If-None-Match of the request"}
    if route.kind is Kind.STREAM:
        found[204] = {"description": "The job has landed, and the client has seen it: stop asking"}
    if route.kind is Kind.FILE:
        found[206] = {**_success(route), "description": "The bytes of the Range"}
        found[302] = {"description": "The file is elsewhere", "headers": _LOCATION}
    return found | {status: _problem(status) for status in sorted(_problems_of(route))}


def extra_of(route: Route) -> dict[str, Any]:
    """Describe the parameters of a route."""
    in_path = [name for name in ("job_id", "asset_id") if f"{{{name}}}" in route.path]
    headers = _HEADERS.get(route.kind, {})
    return {
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": _UUID} for name in in_path),
            *(_parameter(route, name) for name in route.parameters),
            *(
                {"name": name, "in": "header", "description": text, "schema": _TEXT}
                for name, text in headers.items()
            ),
        ]
    }


def summary_of(route: Route) -> str:
    """Say in a few words what a route does."""
    return (inspect.getdoc(route.handler) or "").splitlines()[0].rstrip(".")


def _success(route: Route) -> dict[str, Any]:
    match route.kind:
        case Kind.FILE:
            binary = {"schema": {"type": "string", "format": "binary"}}
            tag = {"ETag": {"description": "For If-Range", "schema": _TEXT}}
            return {"description": "The file", "content": {"*/*": binary}, "headers": tag}
        case Kind.STREAM:
            example = 'id: 1779019209000000\nevent: job\ndata: {"id": "...", "progress": 40}\n\n'
            content = {"text/event-stream": {"schema": _TEXT, "example": example}}
            return {"description": "`event: job`, with the job in JSON", "content": content}
        case kind:
            headers = (_LATER if kind is Kind.JOB else {}) | _TAG
            return {"model": _MODELS[kind], "description": "Done", "headers": headers}


def _problem(status: int) -> dict[str, Any]:
    schema = models.Problem.model_json_schema()
    described = {"description": _PROBLEMS[status], "content": {PROBLEM: {"schema": schema}}}
    return described | ({"headers": _LATER} if status in _PASSING else {})


def _problems_of(route: Route) -> set[int]:
    found = {401, 503}
    if "{job_id}" in route.path:
        found.add(404)
    if route.kind is Kind.FILE:
        found.add(416)
    if route.kind is Kind.STREAM or "wait" in route.parameters:
        found.add(429)
    if route.parameters:
        found.add(400)
    if route.method == "POST" or "user_id" in route.parameters:
        found.add(403)
    return found | ({409} if route.conflicts else set())


def _parameter(route: Route, name: str) -> dict[str, Any]:
    if name == "status":
        schema, text = _STATUS[route.kind], "Only those with this status"
    else:
        schema, text = _PARAMETERS[name]
    return {"name": name, "in": "query", "description": text, "schema": schema}
