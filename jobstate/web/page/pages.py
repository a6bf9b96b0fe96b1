"""The pages: what each reads, and what it shows of that to the owner of the jobs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from jobstate.errors import (
    AssetNotFound,
    InvalidStateTransitionError,
    JobNotFound,
    JobStateError,
    NotRetryable,
)
from jobstate.reading import count_logs
from jobstate.records import Asset, Job, JobLog, Stats
from jobstate.states import ItemStatus, JobStatus
from jobstate.web import handlers
from jobstate.web.exchange import Answer, Plan, Request
from jobstate.web.files import sent
from jobstate.web.page import text
from jobstate.web.page.look import STATIC, Artist, Look, content
from jobstate.web.problems import problem_of
from jobstate.web.routes import Kind, Route
from jobstate.web.shapes import asset_name

MOST_ITEMS = 100
"""How many failed items are shown."""

MOST_LINES = 1000
"""How many lines of a log are shown: all that one attempt keeps."""

MOST_PICTURE = 5_000_000
"""How large a picture may be to be shown within the page, in bytes."""

PICTURES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
"""What is shown within the page: nothing that can carry a script, as SVG can."""


def page_routes(look: Look | None = None) -> tuple[Route, ...]:
    """Return the routes of the page, each below the path where it is mounted."""
    pages = Pages(look or Look())
    stream_jobs, stream_job = handlers.stream_jobs, handlers.stream_job
    return (
        pages.route("jobs", "GET", "/", pages.jobs),
        pages.route("static", "GET", "/static/{name}", pages.static),
        # Before the job whose id would be "events".
        Route("page_stream_jobs", "GET", "/events", stream_jobs, Kind.STREAM),
        pages.route("job", "GET", "/{job_id}", pages.job),
        Route("page_stream_job", "GET", "/{job_id}/events", stream_job, Kind.STREAM),
        pages.route("cancel", "POST", "/{job_id}/cancel", pages.cancel),
        pages.route("retry", "POST", "/{job_id}/retry", pages.retry),
        pages.route("asset", "GET", "/{job_id}/assets/{asset_id}", handlers.download_asset),
        pages.route("picture", "GET", "/{job_id}/pictures/{asset_id}", pages.picture),
    )


class Pages:
    """Draws the pages, and does what their forms ask for."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._artist = Artist(look)

    def route(self, name: str, method: str, path: str, handler: Callable[[Request], Plan]) -> Route:
        """Return a route that answers with a page, also when something is wrong."""
        return Route(f"page_{name}", method, path, handler, Kind.PAGE, problem=self.problem)

    def problem(self, request: Request, error: JobStateError) -> Answer:
        """Answer with a page that says what is wrong."""
        plain = problem_of(error)
        what, why = text.PROBLEMS.get(plain.status, text.PROBLEMS[500])
        drawn = self._artist.draw("problem.html", request, {"what": what, "why": why}, plain.status)
        wait = {name: it for name, it in plain.headers.items() if name == "Retry-After"}
        return replace(drawn, headers={**drawn.headers, **wait})

    def jobs(self, request: Request) -> Plan:
        """Show the caller's jobs, the newest first: `status`, `type` and `cursor` choose which."""
        owner, query = request.caller.user_id, request.query
        status, job_type = query.get("status") or None, query.get("type") or None
        cursor = query.get("cursor") or None
        page = yield lambda jobs: jobs.list_jobs(
            owner, status=status, job_type=job_type, limit=self._look.page_size, cursor=cursor
        )
        stats: Stats = yield lambda jobs: jobs.stats(owner)
        here = {"status": status, "type": job_type}
        context = {
            "jobs": page.items,
            "status": status,
            "job_type": job_type,
            "types": sorted({*stats.by_type, *([job_type] if job_type else [])}),
            "choices": _choices(stats, status, job_type),
            "later": cursor is not None,
            "newest": _href(here) if cursor else None,
            "older": page.next_cursor and _href({**here, "cursor": page.next_cursor}),
        }
        return self._artist.draw("jobs.html", request, context)

    def job(self, request: Request, problem: str | None = None) -> Plan:
        """Show all that there is about a job."""
        job: Job = yield from handlers.find_job(request)
        failed: list[Any] = []
        if job.items_failed:
            failed = yield lambda jobs: jobs.get_job_items(
                job.id, job.user_id, ItemStatus.FAILED, limit=MOST_ITEMS
            )
        assets: list[Asset] = yield lambda jobs: jobs.get_job_assets(job.id, job.user_id)
        events = yield lambda jobs: jobs.get_job_events(job.id, job.user_id)
        logs: list[JobLog] = yield lambda jobs: jobs.get_job_logs(
            job.id, job.user_id, limit=MOST_LINES
        )
        lines = len(logs)
        if lines == MOST_LINES:
            lines = yield lambda jobs: jobs.store.run(count_logs(job.id))
        files = [_file(request.base, asset) for asset in assets]
        context = {
            "job": job,
            "name": self._artist.title_of(job),
            "problem": problem,
            "files": files,
            "pictures": [each for each in files if each["picture"]],
            "recorded": job.items_succeeded + job.items_failed + job.items_skipped,
            "failed": failed,
            "hidden": job.items_failed - len(failed),
            "events": text.timeline(job, events),
            "logs": logs,
            "lines": lines,
        }
        return self._artist.draw("job.html", request, context, 409 if problem else 200)

    def cancel(self, request: Request) -> Plan:
        """Ask for a job to be cancelled, and go back to it."""
        yield from handlers.cancel_job(request)
        return _see(f"{request.base}/{request.path['job_id']}")

    def retry(self, request: Request) -> Plan:
        """Run a job again, or its failed items (`only`), and go to the new one."""
        try:
            accepted = yield from handlers.retry_job(request)
        except (NotRetryable, InvalidStateTransitionError) as error:
            return (yield from self.job(request, text.refusal(error)))
        assert isinstance(accepted, Answer)  # noqa: S101 - neither a file nor a stream
        return _see(f"{request.base}/{accepted.headers['Location'].rpartition('/')[2]}")

    def picture(self, request: Request) -> Plan:
        """Send a picture that is shown within the page, from here: its CSP allows no other host."""
        job: Job = yield from handlers.find_job(request)
        assets: list[Asset] = yield lambda jobs: jobs.get_job_assets(job.id, job.user_id)
        asset = next((one for one in assets if str(one.id) == request.path["asset_id"]), None)
        if asset is None or not _is_picture(asset):
            raise AssetNotFound(request.path["asset_id"])
        return sent(request, asset, job.user_id, "inline")

    def static(self, request: Request) -> Plan:
        """Send one of the page's own files. Its URL changes with it, so it may be kept."""
        name = request.path["name"]
        if name not in STATIC:
            raise JobNotFound(name)
        headers = {
            "Content-Type": STATIC[name],
            "Cache-Control": "private, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        }
        return Answer(200, headers, content(name))
        yield  # a plan that asks nothing


def _see(path: str) -> Answer:
    """Answer that the page to look at is there."""
    return Answer(303, {"Location": quote(path), "Cache-Control": "no-store"})


def _href(query: Mapping[str, str | None]) -> str:
    return "?" + urlencode({name: value for name, value in query.items() if value})


def _file(base: str, asset: Asset) -> dict[str, object]:
    """Return what the page says of a file."""
    here = f"{quote(base)}/{asset.job_id}"
    return {
        "name": asset_name(asset),
        "type": asset.asset_type,
        "size": asset.file_size,
        "href": f"{here}/assets/{asset.id}",
        "picture": f"{here}/pictures/{asset.id}" if _is_picture(asset) else None,
    }


def _is_picture(asset: Asset) -> bool:
    # What has a URL of the web is where a task has stored it itself.
    return (
        asset.content_type in PICTURES
        and asset.file_size <= MOST_PICTURE
        and not handlers.is_of_web(asset.url)
    )


def _choices(stats: Stats, status: str | None, job_type: str | None) -> list[dict[str, object]]:
    """Return the links that choose a status, each with the number of jobs behind it."""
    counts = stats.by_type.get(job_type, {}) if job_type else stats.by_status
    every = {
        "text": "All",
        "count": sum(counts.values()),
        "chosen": status is None,
        "href": _href({"type": job_type}),
    }
    each = [
        {
            "text": text.STATUSES[one],
            "count": counts.get(one, 0),
            "chosen": status == one,
            "href": _href({"status": one.value, "type": job_type}),
        }
        for one in JobStatus
    ]
    return [every, *each]
