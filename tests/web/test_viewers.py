"""Viewers of a process: one question answers all of them, each is counted, and none outstays."""

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from uuid import UUID

import httpx
import pytest
from prometheus_client import CollectorRegistry

from jobstate import Job, JobService, JobStatus
from jobstate.metrics import ProcessMetrics
from jobstate.store import Operation
from jobstate.web import live, watch
from jobstate.web.exchange import Stream
from tests.factories import eventually
from tests.proxy import Link, Proxy
from tests.web.conftest import OpenClient
from tests.web.events import opened
from tests.web.sites import USER

JobIn = Callable[[JobStatus | str], Job]


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> list[watch.Watch]:
    """All that watch in this test."""
    made: list[watch.Watch] = []

    class Noted(watch.Watch):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(live, "Watch", Noted)
    return made


def test_all_viewers_of_a_process_are_answered_by_one_question(
    client: httpx.Client, service: JobService, user_id: UUID, asked: list[Operation[object]]
) -> None:
    jobs = [service.create_job(user_id, "report") for _ in range(10)]
    with ExitStack() as stack:
        streams = [
            iter(stack.enter_context(opened(client, f"/api/jobs/{job.id}/events"))) for job in jobs
        ]
        for stream in streams:
            next(stream)
        everybody = {job.id for job in jobs}
        # What was about to be asked when the last of them came may not name its job.
        eventually(
            lambda: everybody in [set(operation.params.get("ids", ())) for operation in asked]
        )
        asked.clear()
        # Under WSGI, what the viewers of an earlier test have left may still ask for no job.
        eventually(lambda: sum(bool(operation.params["ids"]) for operation in asked) >= 3)
        assert {operation.statement for operation in asked} == {"changes"}
        named = [set(operation.params["ids"]) for operation in asked if operation.params["ids"]]
        assert named == [everybody] * len(named)
        # Whatever ends the others.
        for job in jobs:
            service.cancel(job.id, user_id)
        for stream in streams:
            assert [event.data["error_code"] for event in stream][-1] == "cancelled"


def test_who_goes_away_leaves_nothing_behind(
    watches: list[watch.Watch],
    monkeypatch: pytest.MonkeyPatch,
    client: httpx.Client,
    service: JobService,
    user_id: UUID,
) -> None:
    # Under WSGI, a server notices when it writes.
    monkeypatch.setattr(live, "KEEP_ALIVE", 0.05)
    job = service.create_job(user_id, "report")
    for path in (f"/api/jobs/{job.id}/events", "/api/jobs/events"):
        with opened(client, path) as events:
            next(iter(events))
            assert not all(one.is_empty for one in watches)
        eventually(lambda: all(one.is_empty for one in watches))


def test_viewers_and_what_is_asked_for_them_are_counted(
    monkeypatch: pytest.MonkeyPatch, client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    monkeypatch.setattr(live, "KEEP_ALIVE", 0.05)
    registry = CollectorRegistry()
    registry.register(ProcessMetrics())

    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(f"jobstate_process_{name}", labels) or 0.0

    def nobody_watches() -> bool:
        gc.collect()  # Those of an event loop that was closed leave with their watch.
        return value("viewers") == 0

    # Those of an earlier test may still be on their way.
    eventually(nobody_watches)
    answered = value("viewer_queries_total", outcome="answered")
    job = service.create_job(user_id, "report")
    with opened(client, f"/api/jobs/{job.id}/events") as one, opened(client, "/api/jobs/events"):
        next(iter(one))
        eventually(lambda: value("viewers") == 2)
        eventually(lambda: value("viewer_queries_total", outcome="answered") > answered)
    eventually(nobody_watches)


def test_two_hundred_viewers_hear_of_every_landing(
    open_client: OpenClient, service: JobService, user_id: UUID
) -> None:
    client = open_client(max_streams=200)
    client.headers[USER] = str(user_id)
    jobs = [service.create_job(user_id, "report") for _ in range(20)]
    paths = [f"/api/jobs/{jobs[n % 20].id}/events" for n in range(200)]
    many = httpx.Limits(max_connections=None)

    def last_status(path: str) -> str:
        with opened(crowd, path) as events:
            return str([event.data["status"] for event in events][-1])

    with (
        httpx.Client(
            base_url=client.base_url, headers=client.headers, limits=many, timeout=60
        ) as crowd,
        ThreadPoolExecutor(200) as pool,
    ):
        watching = [pool.submit(last_status, path) for path in paths]
        for job in jobs:
            service.transition_status(job.id, "processing")
            for percent in (20, 40, 60):
                service.update_progress(job.id, percent)
            service.transition_status(job.id, "partial")
        assert {viewer.result(90) for viewer in watching} == {"partial"}


@pytest.fixture
def proxy(jobs_url: str) -> Iterator[Proxy]:
    """A way to the database that can be cut."""
    with Proxy(jobs_url) as proxy:
        yield proxy


def test_viewers_stay_while_the_database_is_away(
    open_client: OpenClient, service: JobService, job_in: JobIn, proxy: Proxy, user_id: UUID
) -> None:
    job = job_in("processing")
    client = open_client(JobService(proxy.url))
    client.headers[USER] = str(user_id)
    with opened(client, f"/api/jobs/{job.id}/events") as events:
        read = iter(events)
        next(read)
        proxy.go_down(Link.CUT)
        eventually(lambda: client.get(f"/api/jobs/{job.id}").status_code == 503)
        service.mark_completed(job.id)
        proxy.heal()
        assert [event.data["status"] for event in read] == ["completed"]


def test_a_viewer_that_is_told_when_its_time_is_up_misses_nothing(
    service: JobService, user_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(threading.Event):
        """It is set between the end of a wait and what follows."""

        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(timeout) and timeout != live.KEEP_ALIVE

    monkeypatch.setattr(live, "KEEP_ALIVE", 30.25)
    monkeypatch.setattr(threading, "Event", Late)
    job = service.create_job(user_id, "report")
    watcher = live.ThreadWatcher(service.store, 0.05)
    events = watcher.events(Stream(user_id, None, "/api", job=job))
    assert '"status":"queued"' in next(events)
    service.cancel(job.id, user_id)
    assert '"error_code":"cancelled"' in next(events)
    assert list(events) == []


def test_a_stream_that_the_collector_ends_stops_no_other(
    service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, "report")
    watcher = live.ThreadWatcher(service.store, 0.05)

    def vanish() -> None:
        events = watcher.events(Stream(user_id, None, "/api", job=job))
        next(events)
        around: list[object] = [events]
        around.append(around)

    def collect() -> None:
        with watcher._lock:
            gc.collect()

    vanish()
    # A daemon: where it waits for itself, it does so for ever.
    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    eventually(lambda: not thread.is_alive())
