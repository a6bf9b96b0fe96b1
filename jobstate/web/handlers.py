"""What each route does. A handler yields what it asks the service, and returns what it answers."""

import math
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from urllib.parse import quote, urlsplit

from jobstate.errors import AssetNotFound, InvalidValueError
from jobstate.reading import page_of_items, page_of_logs
from jobstate.records import Asset, Job
from jobstate.retrying import Which
from jobstate.values import owner_text
from jobstate.watching import Changes, changes
from jobstate.web.exchange import (
    Answer,
    Ask,
    Plan,
    Request,
    Stream,
    accepted_answer,
    job_answer,
    json_answer,
    tagged,
)
from jobstate.web.files import sent
from jobstate.web.problems import Forbidden
from jobstate.web.shapes import (
    Shape,
    asset_shape,
    event_shape,
    item_shape,
    job_shape,
    log_shape,
    page_shape,
)
from jobstate.web.sse import FRESH, position_of, time_of
from jobstate.web.watch import OVERLAP

LONGEST_WAIT = 30.0
"""How long a request may wait for a job to land, in seconds."""

PAGE = 50
"""How much a page of a list has where the client does not say."""

MOST_CHANGES = 500
"""How many jobs a stream of an owner begins with: those that have changed last."""

REMEMBERED = timedelta(days=1) - timedelta(seconds=OVERLAP)
"""How far back a stream of an owner can be resumed: `changes` looks no further."""

_MOST_DIGITS = 16
"""How many digits a position has at most; it lies before the year 2287."""

_RESERVED = ":/?#[]@!$&'()*+,;=%~"


def list_jobs(request: Request) -> Plan:
    """List the caller's jobs, newest first."""
    owner, query = _list_owner(request), request.query
    page = yield lambda jobs: jobs.list_jobs(
        owner,
        status=query.get("status") or None,
        job_type=query.get("job_type") or None,
        limit=_limit(request),
        cursor=_cursor(request),
    )
    return _all(request, [job_shape(job, request.base) for job in page.items], page.next_cursor)


def read_job(request: Request) -> Plan:
    """Show a job; with `wait`, wait up to so many seconds for it to land."""
    patience = _seconds(request.query.get("wait") or "0")
    job = yield from find_job(request)
    if patience and not job.is_terminal:
        job = yield lambda jobs: jobs.wait(job.id, job.user_id, patience)
    return tagged(request, job_answer(request, job))


def list_assets(request: Request) -> Plan:
    """List the files of a job."""
    assets = yield from _assets(request)
    return _all(request, [asset_shape(asset, request.base) for asset in assets])


def download_asset(request: Request) -> Plan:
    """Send a file of a job, or the client to where it is."""
    assets = yield from _assets(request)
    asset = next((one for one in assets if str(one.id) == request.path["asset_id"]), None)
    if asset is None:
        raise AssetNotFound(request.path["asset_id"])
    url = yield lambda jobs: jobs.asset_url(asset, asset.user_id)
    if url is None:
        return sent(request, asset, asset.user_id)
    if not is_of_web(url):
        raise AssetNotFound(asset.id)
    # What a task gave as a URL may hold anything; a header may not.
    location = quote(url, safe=_RESERVED)
    headers = {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Answer(302, headers)


def list_history(request: Request) -> Plan:
    """Tell the history of a job, oldest first."""
    owner = yield from _owner(request)
    events = yield lambda jobs: jobs.get_job_events(_job_id(request), owner)
    return _all(request, [event_shape(event) for event in events])


def list_items(request: Request) -> Plan:
    """List what became of the items of a job, in the order they were recorded."""
    owner = yield from _owner(request)
    asked = page_of_items(
        _job_id(request),
        owner,
        status=request.query.get("status") or None,
        limit=_limit(request),
        cursor=_cursor(request),
    )
    page = yield lambda jobs: jobs.store.run(asked)
    return _all(request, [item_shape(item) for item in page.items], page.next_cursor)


def list_logs(request: Request) -> Plan:
    """List what a job has logged, oldest first, where that is kept."""
    owner = yield from _owner(request)
    asked = page_of_logs(_job_id(request), owner, limit=_limit(request), cursor=_cursor(request))
    page = yield lambda jobs: jobs.store.run(asked)
    return _all(request, [log_shape(line) for line in page.items], page.next_cursor)


def stream_job(request: Request) -> Plan:
    """Send a job whenever it has changed, until it has landed."""
    job = yield from find_job(request)
    position = _position(request)
    if job.is_terminal and position == position_of(job.updated_at):
        # An EventSource comes back after every end; this tells it not to.
        return Answer(204, {"Cache-Control": "no-store"})
    return Stream(job.user_id, position, request.base, job=job)


def stream_jobs(request: Request) -> Plan:
    """Send the caller's jobs whenever one has changed."""
    owner, position = _list_owner(request), _position(request)
    since, overlap = (None, FRESH) if position is None else (time_of(position), OVERLAP)
    # One more than is told tells whether some are missed.
    asked = changes({}, [owner_text(owner, "The stream")], since, overlap, MOST_CHANGES + 1)
    read: Changes = yield lambda jobs: jobs.store.run(asked)
    told = replace(read, found=read.found[-MOST_CHANGES:])
    has_missed = len(read.found) > MOST_CHANGES or (
        since is not None and since < read.at - REMEMBERED
    )
    return Stream(owner, position, request.base, read=told, has_missed=has_missed)


def cancel_job(request: Request) -> Plan:
    """Ask for a job to be cancelled."""
    owner = yield from _owner(request)
    job = yield lambda jobs: jobs.cancel(_job_id(request), owner)
    return job_answer(request, job, 200 if job.is_terminal else 202)


def retry_job(request: Request) -> Plan:
    """Run a job again that has landed, as a new job."""
    only = cast("Which", request.query.get("only") or "all")  # the service checks it
    owner = yield from _owner(request)
    job = yield lambda jobs: jobs.retry(_job_id(request), owner, only)
    return accepted_answer(job, request.base)


def find_job(request: Request) -> Generator[Ask, Any, Job]:
    """Read the job that the path names, for its owner or an admin."""
    job: Job = yield (
        (lambda jobs: jobs.get_job_internal(_job_id(request)))
        if request.caller.is_admin
        else (lambda jobs: jobs.get_job(_job_id(request), request.caller.user_id))
    )
    return job


def _owner(request: Request) -> Generator[Ask, Any, object]:
    """Say in whose place the service is asked about the job that the path names."""
    if not request.caller.is_admin:
        return request.caller.user_id
    job = yield from find_job(request)
    return job.user_id


def _list_owner(request: Request) -> object:
    """Say whose jobs are listed: the caller's, or those of the user whom an admin names."""
    named = request.query.get("user_id")
    if named is None:
        return request.caller.user_id
    if not request.caller.is_admin:
        raise Forbidden(
            "The jobs of others are for admins alone: a list has your own. Leave user_id out."
        )
    return named


def _assets(request: Request) -> Generator[Ask, Any, list[Asset]]:
    owner = yield from _owner(request)
    assets: list[Asset] = yield lambda jobs: jobs.get_job_assets(_job_id(request), owner)
    return assets


def _all(request: Request, shapes: list[Shape], next_cursor: str | None = None) -> Answer:
    return tagged(request, json_answer(page_shape(shapes, next_cursor)))


def _job_id(request: Request) -> str:
    return request.path["job_id"]


def is_of_web(url: str) -> bool:
    """Tell whether a client may be sent there; what a task gave as a URL may be anything."""
    try:
        return urlsplit(url).scheme in ("", "http", "https")
    except ValueError:
        return False


def _position(request: Request) -> int | None:
    """Read where a stream broke off; what no stream has said counts as nothing."""
    text = request.headers.get("Last-Event-ID") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _limit(request: Request) -> int:
    """Read how much a page is to have; the list itself knows how much it may."""
    text = request.query.get("limit") or str(PAGE)
    try:
        return int(text)
    except ValueError:
        raise InvalidValueError(
            f"The limit {text!r} is no whole number. Pass one such as {PAGE}, or leave it out."
        ) from None


def _cursor(request: Request) -> str | None:
    return request.query.get("cursor") or None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_WAIT:
        raise InvalidValueError(
            f"The wait {text!r} is wrong: it is a number of seconds, from 0 to "
            f"{LONGEST_WAIT:g}. Ask again when the time is up."
        )
    return seconds
