"""Where requests are answered: the service is asked what a route's plan asks."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from inspect import isawaitable
from itertools import chain
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary, finalize

from jobstate.aio import AsyncJobService
from jobstate.errors import ConfigurationError, JobStateError, OwnerRequired
from jobstate.service import JobService
from jobstate.web.exchange import Answer, Caller, Download, Flow, Plan, Request, Stream
from jobstate.web.origins import check_origin
from jobstate.web.places import MAX_STREAMS, Places, places_of
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


_blocking: WeakKeyDictionary[AsyncJobService, JobService] = WeakKeyDictionary()
_asyncio: WeakKeyDictionary[JobService, AsyncJobService] = WeakKeyDictionary()


def blocking_service(jobs: Jobs) -> JobService:
    """Return the one blocking service of these jobs: what is asked of it is shared."""
    if not isinstance(jobs, AsyncJobService):
        return jobs if isinstance(jobs, JobService) else jobs.service
    if jobs not in _blocking:
        _blocking[jobs] = JobService.from_settings(jobs.settings)
    return _blocking[jobs]


def asyncio_service(jobs: Jobs) -> AsyncJobService:
    """Return the one asyncio service of these jobs; see `blocking_service`."""
    if not isinstance(jobs, JobService):
        return jobs if isinstance(jobs, AsyncJobService) else jobs.aio
    if jobs not in _asyncio:
        _asyncio[jobs] = AsyncJobService.from_settings(jobs.settings)
    return _asyncio[jobs]


class Desk:
    """Answers requests, whatever the framework, by the blocking service.

    Args:
        service: The service.
        events: How a stream is sent; see `ThreadWatcher`. A framework may send by an event loop
            what it has asked for in a thread.
        trusted: Other origins that may post; see `check_origin`.
        max_streams: How many streams a user may have open in this process.
        pieces: How a file is sent, piece by piece.
    """

    def __init__(
        self,
        service: JobService,
        events: Callable[[Stream], Any],
        trusted: Collection[str] = (),
        max_streams: int = MAX_STREAMS,
        pieces: Callable[[Iterator[bytes]], Any] = iter,
    ) -> None:
        self._service = service
        self._streams = _Streams(places_of(service), max_streams, events)
        self._pieces = pieces
        self._trusted = frozenset(trusted)

    def answer(self, route: Route, request: Request) -> Answer | Flow:
        """Answer a request, or with the problem that came up."""
        try:
            with self._streams.waiting(request):
                asked = self._ask(_plan(route, request, self._trusted))
            answer = self._begun(request, asked)
        except JobStateError as error:
            answer = route.problem(request, error)
        return _bodiless(answer) if request.is_head else answer

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

    def _begun(self, request: Request, result: Answer | Download | Stream) -> Answer | Flow:
        match result:
            case Download() if request.is_head:
                # Whether it can be read comes up as it would otherwise.
                for _ in self._service.open_asset(result.asset, result.owner, end=1):
                    pass
                return Answer(result.status, result.headers)
            case Download():
                pieces = self._service.open_asset(
                    result.asset, result.owner, start=result.start, end=result.end
                )
                # What is wrong with a file comes up now, when it can still be said.
                whole = chain([next(pieces, b"")], pieces)
                return Flow(result.headers, self._pieces(whole), result.status)
            case Stream():
                return self._streams.begun(request, result)
            case answer:
                return answer


class AsyncDesk:
    """Answers requests, whatever the framework, by the asyncio service; see `Desk`."""

    def __init__(
        self,
        service: AsyncJobService,
        events: Callable[[Stream], Any],
        trusted: Collection[str] = (),
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self._service = service
        self._streams = _Streams(places_of(service), max_streams, events)
        self._trusted = frozenset(trusted)

    async def answer(self, route: Route, request: Request) -> Answer | Flow:
        """Answer a request, or with the problem that came up."""
        try:
            with self._streams.waiting(request):
                asked = await self._ask(_plan(route, request, self._trusted))
            answer = await self._begun(request, asked)
        except JobStateError as error:
            answer = route.problem(request, error)
        return _bodiless(answer) if request.is_head else answer

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

    async def _begun(self, request: Request, result: Answer | Download | Stream) -> Answer | Flow:
        match result:
            case Download() if request.is_head:
                async for _ in self._service.open_asset(result.asset, result.owner, end=1):
                    pass
                return Answer(result.status, result.headers)
            case Download():
                pieces = self._service.open_asset(
                    result.asset, result.owner, start=result.start, end=result.end
                )
                whole = _chain(await anext(pieces, b""), pieces)
                return Flow(result.headers, whole, result.status)
            case Stream():
                return self._streams.begun(request, result)
            case answer:
                return answer


class _Streams:
    """Begins streams and waits, as many as a user may have."""

    def __init__(self, places: Places, max_streams: int, events: Callable[[Stream], Any]) -> None:
        self._places = places
        self._max_streams = max_streams
        self._events = events

    def begun(self, request: Request, stream: Stream) -> Answer | Flow:
        """Begin a stream for who asks, whoever owns the jobs.

        Raises:
            TooManyStreams: They have all open that they may.
        """
        if request.is_head:
            return Answer(200, HEADERS)
        leave = self._place_for(request)
        pieces = self._events(replace(stream, leave=leave))
        # A framework may drop what it has not begun to send, and nothing in it would ever run.
        finalize(pieces, leave).atexit = False
        return Flow(HEADERS, pieces)

    @contextmanager
    def waiting(self, request: Request) -> Iterator[None]:
        """Answer a request in the block; one that waits for a landing counts like a stream.

        Raises:
            TooManyStreams: They have all open that they may.
        """
        leave = self._place_for(request) if request.query.get("wait") else lambda: None
        try:
            yield
        finally:
            leave()

    def _place_for(self, request: Request) -> Callable[[], None]:
        return self._places.take(str(request.caller.user_id), self._max_streams)


def _plan(route: Route, request: Request, trusted: Collection[str]) -> Plan:
    """Plan the answer to a request, for a caller who may make it."""
    if route.method == "POST":
        check_origin(request.headers, trusted)
    _check_caller(request.caller)
    return (yield from route.handler(request))


def _check_caller(caller: Caller) -> None:
    """Let in whom the app has named; what it says by mistake lets in nobody.

    Raises:
        OwnerRequired: It says that nobody asks.
        ConfigurationError: It says what makes no sense, such as an answer that is still to come.
    """
    user_id = caller.user_id
    if user_id is None:
        raise OwnerRequired("The request")
    if isinstance(user_id, bool) or not isinstance(user_id, UUID | int | str):
        raise ConfigurationError(
            f"get_user_id returned a {type(user_id).__name__}: an owner is a UUID, an integer or "
            "text, and None is nobody. Have it return the user's primary key."
        )
    # Anything that is not awaited is true.
    if isawaitable(caller.is_admin):
        raise ConfigurationError(
            f"is_admin returned a {type(caller.is_admin).__name__}, which nobody awaits: it must "
            "say yes or no. Write it with async def, or have it return a bool."
        )


async def _chain(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def _bodiless(answer: Answer | Flow) -> Answer | Flow:
    """Keep of an answer what a HEAD is sent: its headers, and how long the body would be."""
    if isinstance(answer, Flow) or not answer.body:
        return answer
    length = {"Content-Length": str(len(answer.body))}
    return replace(answer, headers={**answer.headers, **length}, body=b"")
