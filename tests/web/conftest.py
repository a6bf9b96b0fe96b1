"""One suite for all frameworks: a test that asks for `open_client` runs against each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import httpx
import pytest

from jobstate import JobService
from jobstate.store import AsyncStore, Operation, Store
from tests.factories import PATIENCE
from tests.web.sites import SITES, USER

OpenClient = Callable[..., httpx.Client]


@pytest.fixture
def jobs_url(emptied_url: str) -> str:
    """The database that these tests use in turn."""
    return emptied_url


@pytest.fixture(params=SITES)
def open_client(request: pytest.FixtureRequest, service: JobService) -> Iterator[OpenClient]:
    """Open clients of apps of one framework; without `jobs`, on the database of `service`."""
    with ExitStack() as stack:

        def open_one(jobs: Any = None, **options: Any) -> httpx.Client:
            served = SITES[request.param](service if jobs is None else jobs, **options)
            url = stack.enter_context(served)
            return stack.enter_context(httpx.Client(base_url=url, timeout=PATIENCE))

        yield open_one


@pytest.fixture
def client(open_client: OpenClient, user_id: UUID) -> httpx.Client:
    """The client of the owner."""
    client = open_client()
    client.headers[USER] = str(user_id)
    return client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Operation[object]]:
    """Note what is asked of the database while a test watches."""
    noted: list[Operation[object]] = []

    def blocking(store: Store, operation: Operation[object], *rest: object) -> object:
        noted.append(operation)
        return runs(store, operation, *rest)  # type: ignore[arg-type]

    async def asyncio(store: AsyncStore, operation: Operation[object], *rest: object) -> object:
        noted.append(operation)
        return await aruns(store, operation, *rest)  # type: ignore[arg-type]

    runs, aruns = Store.run, AsyncStore.run
    monkeypatch.setattr(Store, "run", blocking)
    monkeypatch.setattr(AsyncStore, "run", asyncio)
    return noted
