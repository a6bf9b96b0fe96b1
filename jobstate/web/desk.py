"""Where requests are answered: the service is asked what a route's plan asks."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from itertools import chain
from typing import Any, Protocol

from jobstate.aio import AsyncJobService
from jobstate.errors import JobStateError, OwnerRequired
from jobstate.service import JobService
from jobstate.web.exchange import Answer, Download, Flow, Plan, Request, Stream
from jobstate.web.origins import check_origin
from jobstate.web.routes import Route
from jobstate.web.sse import HEADERS


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


class Desk:
    """Answers requests, whatever the framework, by the blocking service.

    Args:
        service: The service.
        events: How a stream is sent; see `ThreadWatcher`. A framework may send by an event loop
            what it has asked for in a thread.
        trusted: Other origins that may post; see `check_origin`.
        pieces: How a file is sent, piece by piece.
    """

    def __init__(
        self,
        service: JobService,
        events: Callable[[Stream], Any],
        trusted: Collection[str] = (),
        pieces: Callable[[Iterator[bytes]], Any] = iter,
    ) -> None:
        self._service = service
        self._events = events
        self._pieces = pieces
        self._trusted = frozenset(trusted)

    def answer(self, route: Route, request: Request) -> Answer | Flow:
        """Answer a request, or with the problem that came up."""
        try:
            return self._begun(self._ask(_plan(route, request, self._trusted)))
        except JobStateError as error:
            return route.problem(request, error)

    def _ask(self, plan: Plan) -> Answer | Download | Stream:
        """Ask what a plan asks, and tell it what is raised."""
        try:
            asked = next(plan)
            while True:
                try:
                    reply = asked(self._service)
                except JobStateError as error:
                    asked = plan.throw(error)
                else:
                    asked = plan.send(reply)
        except StopIteration as end:
            result: Answer | Download | Stream = end.value
            return result

    def _begun(self, result: Answer | Download | Stream) -> Answer | Flow:
        match result:
            case Download():
                pieces = self._service.open_asset(
                    result.asset, result.owner, start=result.start, end=result.end
                )
                # What is wrong with a file comes up now, when it can still be said.
                whole = chain([next(pieces, b"")], pieces)
                return Flow(result.headers, self._pieces(whole), result.status)
            case Stream():
                return Flow(HEADERS, self._events(result))
            case answer:
                return answer


class AsyncDesk:
    """Answers requests, whatever the framework, by the asyncio service; see `Desk`."""

    def __init__(
        self,
        service: AsyncJobService,
        events: Callable[[Stream], Any],
        trusted: Collection[str] = (),
    ) -> None:
        self._service = service
        self._events = events
        self._trusted = frozenset(trusted)

    async def answer(self, route: Route, request: Request) -> Answer | Flow:
        """Answer a request, or with the problem that came up."""
        try:
            return await self._begun(await self._ask(_plan(route, request, self._trusted)))
        except JobStateError as error:
            return route.problem(request, error)

    async def _ask(self, plan: Plan) -> Answer | Download | Stream:
        """Ask what a plan asks, and tell it what is raised."""
        try:
            asked = next(plan)
            while True:
                try:
                    # Both services have the same methods; these are awaited.
                    reply = await asked(self._service)  # type: ignore[arg-type]
                except JobStateError as error:
                    asked = plan.throw(error)
                else:
                    asked = plan.send(reply)
        except StopIteration as end:
            result: Answer | Download | Stream = end.value
            return result

    async def _begun(self, result: Answer | Download | Stream) -> Answer | Flow:
        match result:
            case Download():
                pieces = self._service.open_asset(
                    result.asset, result.owner, start=result.start, end=result.end
                )
                whole = _chain(await anext(pieces, b""), pieces)
                return Flow(result.headers, whole, result.status)
            case Stream():
                return Flow(HEADERS, self._events(result))
            case answer:
                return answer


def _plan(route: Route, request: Request, trusted: Collection[str]) -> Plan:
    """Plan the answer to a request, for a caller who may make it."""
    if route.method == "POST":
        check_origin(request.headers, trusted)
    if request.caller.user_id is None:
        raise OwnerRequired("The request")
    return (yield from route.handler(request))


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
