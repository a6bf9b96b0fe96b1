"""Which service answers, and how it is asked what a route's plan asks."""

from collections.abc import AsyncIterator, Collection, Iterator
from typing import Protocol

from jobstate.aio import AsyncJobService
from jobstate.errors import JobStateError
from jobstate.service import JobService
from jobstate.web.exchange import Answer, Download, Plan, Request, Stream
from jobstate.web.handlers import check_caller
from jobstate.web.origins import check_origin
from jobstate.web.problems import problem_of
from jobstate.web.routes import Route


class Services(Protocol):
    """What `jobstate.install` returns."""

    @property
    def service(self) -> JobService:
        """The blocking service."""

    @property
    def aio(self) -> AsyncJobService:
        """The asyncio service."""


Jobs = Services | JobService | AsyncJobService
"""Where the jobs are: what `jobstate.install` returned, or a service for the same database."""

Result = Answer | Download | Stream


def blocking_service(jobs: Jobs) -> JobService:
    """Return the blocking service of these jobs."""
    if isinstance(jobs, AsyncJobService):
        return JobService.from_settings(jobs.settings)
    return jobs if isinstance(jobs, JobService) else jobs.service


def asyncio_service(jobs: Jobs) -> AsyncJobService:
    """Return the asyncio service of these jobs."""
    if isinstance(jobs, JobService):
        return AsyncJobService.from_settings(jobs.settings)
    return jobs if isinstance(jobs, AsyncJobService) else jobs.aio


def plan(route: Route, request: Request, host: str, trusted: Collection[str]) -> Plan:
    """Plan the answer to a request, for a caller who may make it; see `check_origin`.

    It ends with an answer, or with the problem that came up.
    """
    try:
        if route.method == "POST":
            check_origin(request.headers, host, trusted)
        check_caller(request)
        return (yield from route.handler(request))
    except JobStateError as error:
        return route.problem(request, error)


def ask(planned: Plan, service: JobService) -> Result:
    """Answer as planned. What the service raises, the plan hears of."""
    try:
        asked = next(planned)
        while True:
            try:
                reply = asked(service)
            except JobStateError as error:
                asked = planned.throw(error)
            else:
                asked = planned.send(reply)
    except StopIteration as end:
        result: Result = end.value
        return result


async def aask(planned: Plan, service: AsyncJobService) -> Result:
    """Answer as planned. What the service raises, the plan hears of."""
    try:
        asked = next(planned)
        while True:
            try:
                # Both services have the same methods; these are awaited.
                reply = await asked(service)  # type: ignore[arg-type]
            except JobStateError as error:
                asked = planned.throw(error)
            else:
                asked = planned.send(reply)
    except StopIteration as end:
        result: Result = end.value
        return result


def opened(download: Download, service: JobService) -> Iterator[bytes] | Answer:
    """Open a file and return its pieces, or the problem that came up."""
    try:
        pieces = service.open_asset(download.asset, download.owner)
        first = next(pieces, b"")
    except JobStateError as error:
        return problem_of(error)
    return _joined(first, pieces)


async def aopened(download: Download, service: AsyncJobService) -> AsyncIterator[bytes] | Answer:
    """Open a file and return its pieces, or the problem that came up."""
    try:
        pieces = service.open_asset(download.asset, download.owner)
        first = await anext(pieces, b"")
    except JobStateError as error:
        return problem_of(error)
    return _ajoined(first, pieces)


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


async def _ajoined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
