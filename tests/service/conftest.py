"""One suite for both services: a test that asks for `jobs` runs against each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any, cast

import pytest

from jobstate import AsyncJobService, JobService


class Awaited:
    """An asyncio service whose methods can be called like the blocking one's."""

    def __init__(self, service: AsyncJobService) -> None:
        self._service = service
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Any:
        """Return the method, awaited when it is called."""
        member = getattr(self._service, name)
        if isasyncgenfunction(member):
            return lambda *args: self._each(member(*args))
        if not iscoroutinefunction(member):
            return member
        return lambda *args, **kwargs: self._runner.run(member(*args, **kwargs))

    def _each(self, found: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(found, None)

        while (one := self._runner.run(following())) is not None:
            yield one

    def end(self) -> None:
        """Close the service and its event loop."""
        self._runner.run(self._service.close())
        self._runner.close()


@pytest.fixture
def jobs_url(emptied_url: str) -> str:
    """The database that these tests use in turn."""
    return emptied_url


@pytest.fixture(params=["blocking", "asyncio"])
def open_jobs(request: pytest.FixtureRequest) -> Iterator[Callable[..., JobService]]:
    """Open services of either kind."""
    opened: list[JobService | Awaited] = []

    def open_one(*args: Any, **kwargs: Any) -> JobService:
        if request.param == "blocking":
            opened.append(JobService(*args, **kwargs))
        else:
            opened.append(Awaited(AsyncJobService(*args, **kwargs)))
        return cast("JobService", opened[-1])

    yield open_one
    for service in opened:
        if isinstance(service, Awaited):
            service.end()
        else:
            service.close()


@pytest.fixture
def jobs(open_jobs: Callable[..., JobService], jobs_url: str) -> JobService:
    """Either service, on the same database as `service`."""
    return open_jobs(jobs_url)
