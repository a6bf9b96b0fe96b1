"""The one table of routes; every framework serves just these."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from jobstate.errors import JobStateError
from jobstate.web import handlers
from jobstate.web.exchange import Answer, Plan, Request
from jobstate.web.problems import problem_of


class Kind(Enum):
    """What a route answers with."""

    JOB = "job"
    JOBS = "jobs"
    ASSETS = "assets"
    FILE = "file"
    HISTORY = "history"
    ITEMS = "items"
    LOGS = "logs"
    STREAM = "stream"
    PAGE = "page"


def _as_json(request: Request, error: JobStateError) -> Answer:
    del request
    return problem_of(error)


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path below the base, and what answers there.

    `parameters` are those of the query. `conflicts`: the job's status may forbid it. `problem`
    answers when an error comes up.
    """

    name: str
    method: str
    path: str
    handler: Callable[[Request], Plan]
    kind: Kind
    parameters: tuple[str, ...] = ()
    success: int = 200
    conflicts: bool = False
    problem: Callable[[Request, JobStateError], Answer] = _as_json

    def base_of(self, path: str, parts: dict[str, str]) -> str:
        """Return the path below which the routes are, from the whole path of a request."""
        return path.removesuffix(self.path.format(**parts))


ROUTES = (
    Route(
        "list_jobs",
        "GET",
        "/jobs",
        handlers.list_jobs,
        Kind.JOBS,
        ("status", "job_type", "limit", "cursor", "user_id"),
    ),
    # Before the job whose id would be "events".
    Route("stream_jobs", "GET", "/jobs/events", handlers.stream_jobs, Kind.STREAM, ("user_id",)),
    Route("read_job", "GET", "/jobs/{job_id}", handlers.read_job, Kind.JOB, ("wait",)),
    Route("list_assets", "GET", "/jobs/{job_id}/assets", handlers.list_assets, Kind.ASSETS),
    Route(
        "download_asset",
        "GET",
        "/jobs/{job_id}/assets/{asset_id}",
        handlers.download_asset,
        Kind.FILE,
    ),
    Route("list_history", "GET", "/jobs/{job_id}/history", handlers.list_history, Kind.HISTORY),
    Route(
        "list_items",
        "GET",
        "/jobs/{job_id}/items",
        handlers.list_items,
        Kind.ITEMS,
        ("status", "limit", "cursor"),
    ),
    Route(
        "list_logs",
        "GET",
        "/jobs/{job_id}/logs",
        handlers.list_logs,
        Kind.LOGS,
        ("limit", "cursor"),
    ),
    Route("stream_job", "GET", "/jobs/{job_id}/events", handlers.stream_job, Kind.STREAM),
    Route(
        "cancel_job", "POST", "/jobs/{job_id}/cancel", handlers.cancel_job, Kind.JOB, success=202
    ),
    Route(
        "retry_job",
        "POST",
        "/jobs/{job_id}/retry",
        handlers.retry_job,
        Kind.JOB,
        ("only",),
        success=202,
        conflicts=True,
    ),
)


def route_named(name: str) -> Route:
    """Return the route of a name."""
    return next(route for route in ROUTES if route.name == name)
