"""Nobody has more streams open than one user may, and a stream that is over counts no more."""

from collections.abc import Callable
from uuid import UUID, uuid4

import httpx
import pytest

from jobstate import AsyncJobService, Job, JobService, JobStatus
from jobstate.web import live
from jobstate.web.desk import AsyncDesk, Desk, asyncio_service, blocking_service
from jobstate.web.exchange import Answer, Caller, Flow, Request
from jobstate.web.live import loop_watchers, thread_watcher
from jobstate.web.places import MAX_STREAMS, Places, TooManyStreams
from jobstate.web.problems import PROBLEM
from jobstate.web.routes import route_named
from jobstate.web.sse import Feed
from tests.factories import eventually
from tests.web.conftest import OpenClient
from tests.web.events import opened
from tests.web.sites import ADMIN, USER

JobIn = Callable[[JobStatus | str], Job]

MINE = route_named("stream_jobs")
OF_ONE = route_named("stream_job")


def status_of(client: httpx.Client, path: str, **headers: str) -> int:
    """Open a stream, and go away."""
    with client.stream("GET", path, headers=headers) as answer:
        return answer.status_code


def asked_by(user_id: object, **path: str) -> Request:
    return Request(Caller(user_id), path, {}, httpx.Headers())


def flow_of(answer: Answer | Flow) -> Flow:
    assert isinstance(answer, Flow), answer
    return answer


def status(answer: Answer | Flow) -> int:
    return answer.status


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under WSGI, a server notices when it writes that a client is gone."""
    monkeypatch.setattr(live, "KEEP_ALIVE", 0.05)


@pytest.fixture
def desk(service: JobService) -> Desk:
    """Where each user may have one stream."""
    return Desk(service, thread_watcher(service).events, max_streams=1)


def test_one_stream_too_many_is_refused_with_what_helps(
    open_client: OpenClient, job_in: JobIn, user_id: UUID
) -> None:
    client = open_client(max_streams=2)
    client.headers[USER] = str(user_id)
    of_one = f"/api/jobs/{job_in('processing').id}/events"
    with opened(client, of_one), opened(client, "/api/jobs/events"):
        for path in (of_one, "/api/jobs/events"):
            refused = client.get(path)
            assert (refused.status_code, refused.headers["Content-Type"]) == (429, PROBLEM)
            assert refused.headers["Retry-After"] == "15"
            assert refused.json()["title"] == "Too Many Requests"
            assert refused.json()["detail"].startswith("You have 2 streams of jobs open, ")
        # All else is answered, and so is everybody else: an admin too, of these jobs.
        assert client.get("/api/jobs").status_code == 200
        other = {USER: str(uuid4())}
        assert status_of(client, "/api/jobs/events", **other) == 200
        assert status_of(client, of_one, **other, **{ADMIN: "yes"}) == 200


def test_a_request_that_waits_for_a_landing_has_a_place_as_long_as_it_waits(
    open_client: OpenClient, job_in: JobIn, user_id: UUID
) -> None:
    client = open_client(max_streams=1)
    client.headers[USER] = str(user_id)
    path = f"/api/jobs/{job_in('processing').id}"
    for _ in range(2):
        assert client.get(f"{path}?wait=0.01").status_code == 200
    with opened(client, f"{path}/events"):
        assert client.get(f"{path}?wait=0.01").status_code == 429
        assert client.get(path).status_code == 200


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("path", ["/api/jobs/{job_id}/events", "/api/jobs/events"])
def test_the_place_of_a_client_that_is_gone_is_free_again(
    open_client: OpenClient, job_in: JobIn, user_id: UUID, path: str
) -> None:
    client = open_client(max_streams=1)
    client.headers[USER] = str(user_id)
    path = path.format(job_id=job_in("processing").id)
    with opened(client, path) as events:
        next(iter(events))
        assert status_of(client, path) == 429
    # Each time it is asked takes a place, which is given back when that is noticed.
    eventually(lambda: status_of(client, path) == 200)
    eventually(lambda: status_of(client, path) == 200)


def test_the_place_of_a_stream_that_has_ended_is_free_again(
    open_client: OpenClient, job_in: JobIn, user_id: UUID, service: JobService
) -> None:
    client = open_client(max_streams=1)
    client.headers[USER] = str(user_id)
    job = job_in("processing")
    path = f"/api/jobs/{job.id}/events"
    with opened(client, path) as events:
        read = iter(events)
        next(read)
        assert status_of(client, path) == 429
        service.mark_completed(job.id)
        assert [event.data["status"] for event in read] == ["completed"]
    # The server has sent the end of it before it has done away with it.
    eventually(lambda: status_of(client, path) == 200)


def test_the_place_of_a_stream_that_was_never_begun_is_free_again(
    desk: Desk, user_id: UUID
) -> None:
    asked = asked_by(user_id)
    for _ in range(2):
        dropped = flow_of(desk.answer(MINE, asked))
        assert status(desk.answer(MINE, asked)) == 429
        dropped.pieces.close()
        del dropped
    assert status(desk.answer(MINE, asked)) == 200


def test_the_place_of_a_stream_that_raises_is_free_again(
    desk: Desk, user_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Feed) -> str:
        raise RuntimeError

    monkeypatch.setattr(Feed, "begin", broken)
    flows = []
    for _ in range(2):
        flows.append(flow_of(desk.answer(MINE, asked_by(user_id))))
        assert status(desk.answer(MINE, asked_by(user_id))) == 429
        with pytest.raises(RuntimeError):
            next(flows[-1].pieces)
    # Whoever still has it.
    assert status(desk.answer(MINE, asked_by(user_id))) == 200


async def test_under_asyncio_it_is_the_same(
    aio: AsyncJobService, user_id: UUID, job_in: JobIn
) -> None:
    desk = AsyncDesk(aio, loop_watchers(aio).events, max_streams=1)
    asked = asked_by(user_id, job_id=str(job_in("completed").id))
    dropped = flow_of(await desk.answer(MINE, asked))
    assert status(await desk.answer(OF_ONE, asked)) == 429
    await dropped.pieces.aclose()
    del dropped
    ended = flow_of(await desk.answer(OF_ONE, asked))
    assert status(await desk.answer(OF_ONE, asked)) == 429
    assert len([piece async for piece in ended.pieces]) == 1
    left = flow_of(await desk.answer(MINE, asked))
    assert await anext(left.pieces)
    assert status(await desk.answer(MINE, asked)) == 429
    await left.pieces.aclose()
    assert status(await desk.answer(MINE, asked)) == 200


def test_all_routes_of_one_service_share_what_they_ask_by(
    service: JobService, user_id: UUID
) -> None:
    """Also where the framework needs a service of the other kind, which is made of it."""
    asyncio = AsyncJobService(service.settings.database_url)
    for jobs in (service, asyncio):
        assert blocking_service(jobs) is blocking_service(jobs)
        assert asyncio_service(jobs) is asyncio_service(jobs)
    asked = asked_by(user_id)
    first, second = (
        Desk(blocking, thread_watcher(blocking).events, max_streams=1)
        for blocking in (blocking_service(asyncio), blocking_service(asyncio))
    )
    flow = flow_of(first.answer(MINE, asked))
    assert status(second.answer(MINE, asked)) == 429
    flow.pieces.close()
    blocking_service(asyncio).close()


def test_all_desks_of_a_service_count_together(
    desk: Desk, service: JobService, user_id: UUID
) -> None:
    """The routes for programs and the page are two of them."""
    page, asked = Desk(service, thread_watcher(service).events), asked_by(user_id)
    flows = [flow_of(page.answer(MINE, asked)) for _ in range(MAX_STREAMS)]
    assert status(page.answer(MINE, asked)) == 429
    flows.clear()
    flows.append(flow_of(page.answer(MINE, asked)))
    assert status(desk.answer(MINE, asked)) == 429
    assert status(desk.answer(MINE, asked_by(uuid4()))) == 200


def test_a_place_is_given_back_once_and_kept_by_who_has_another() -> None:
    places = Places()
    leave, _ = places.take("ann", 2), places.take("ann", 2)
    leave()
    leave()
    places.take("ann", 2)
    with pytest.raises(TooManyStreams):
        places.take("ann", 2)
