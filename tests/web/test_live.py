"""Whoever watches jobs hears of every landing."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from jobstate import Job, JobService, JobStatus
from jobstate.store import Operation
from jobstate.web import handlers, live
from jobstate.web.sse import position_of
from tests.web.conftest import OpenClient
from tests.web.events import opened
from tests.web.sites import USER

JobIn = Callable[[JobStatus | str], Job]


def test_a_stream_of_a_job_tells_what_becomes_of_it_and_ends_with_its_landing(
    client: httpx.Client, job_in: JobIn, service: JobService
) -> None:
    job = job_in("processing")
    path = f"/api/jobs/{job.id}"
    with opened(client, f"{path}/events") as events:
        read = iter(events)
        first = next(read)
        assert (first.name, first.data["status"]) == ("job", "processing")
        assert first.data == client.get(path).json()
        service.update_progress(job.id, 30, message="Writing")
        told = next(read).data
        assert (told["progress"], told["progress_message"]) == (30, "Writing")
        service.mark_completed(job.id, {"rows": 7})
        last = next(read)
        assert (last.data["status"], last.data["result"]) == ("completed", {"rows": 7})
        assert list(read) == []
    again = client.get(f"{path}/events", headers={"Last-Event-ID": last.position})
    assert again.status_code == 204


def test_a_stream_of_a_job_goes_on_where_it_broke_off(
    client: httpx.Client, job_in: JobIn, service: JobService
) -> None:
    job = job_in("processing")
    path = f"/api/jobs/{job.id}/events"
    with opened(client, path) as events:
        seen = next(iter(events)).position
    with opened(client, path, seen) as events:
        read = iter(events)
        service.mark_completed(job.id)
        assert [event.data["status"] for event in read] == ["completed"]
    with opened(client, path, seen) as events:
        assert [event.data["status"] for event in events] == ["completed"]


@pytest.mark.parametrize("position", ["x", "-1", "9" * 40, "1.5", "\u0663"])
def test_a_position_that_no_stream_has_given_is_the_beginning(
    client: httpx.Client, job_in: JobIn, position: str
) -> None:
    job = job_in("completed")
    headers = {b"Last-Event-ID": position.encode()}
    answer = client.get(f"/api/jobs/{job.id}/events", headers=headers)
    assert answer.text.count("event: job") == 1


def test_a_stream_ends_when_its_job_is_purged(
    client: httpx.Client, job_in: JobIn, connect: Callable[[], psycopg.Connection]
) -> None:
    job = job_in("processing")
    with opened(client, f"/api/jobs/{job.id}/events") as events:
        read = iter(events)
        next(read)
        connect().execute("delete from jobstate.jobs")
        assert list(read) == []


def test_a_stream_of_an_owner_tells_of_all_their_jobs(
    client: httpx.Client, job_in: JobIn, service: JobService, user_id: UUID
) -> None:
    old = job_in("processing")
    with opened(client, "/api/jobs/events") as events:
        read = iter(events)
        assert next(read).data["id"] == str(old.id)
        service.mark_failed(old.id, "No")
        assert next(read).data["status"] == "failed"
        service.create_job(uuid4(), "somebody else's")
        new = service.create_job(user_id, "report")
        assert next(read).data["id"] == str(new.id)


def test_a_stream_of_an_owner_goes_on_where_it_broke_off(
    client: httpx.Client, job_in: JobIn, service: JobService
) -> None:
    """Nothing is missed, though some may be told twice."""
    landing, running = job_in("processing"), job_in("processing")
    with opened(client, "/api/jobs/events") as events:
        read = iter(events)
        positions = [next(read).position for _ in range(2)]
    service.mark_completed(landing.id)
    for position in positions:
        with opened(client, "/api/jobs/events", position) as events:
            read = iter(events)
            told = {event.data["id"]: event.data["status"] for event in (next(read), next(read))}
        assert told == {str(landing.id): "completed", str(running.id): "processing"}


@pytest.mark.parametrize("position", ["0", None])
def test_a_stream_of_an_owner_begins_with_no_more_than_what_has_changed_last(
    client: httpx.Client,
    service: JobService,
    user_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
    asked: list[Operation[object]],
    position: str | None,
) -> None:
    monkeypatch.setattr(handlers, "MOST_CHANGES", 3)
    old, *made = [service.create_job(user_id, "report") for _ in range(4)]
    for job in (old, made[0]):
        service.transition_status(job.id, "processing")
    landed = service.mark_completed(old.id)
    asked.clear()
    with opened(client, "/api/jobs/events", position) as events:
        read = iter(events)
        first, *told = (next(read) for _ in range(4))
    assert (first.name, first.data) == ("missed", {})
    # What was created last but one has not changed since.
    assert [event.data["id"] for event in told] == [
        str(job.id) for job in (made[2], made[0], landed)
    ]
    # Beside what the viewers of an earlier test may still ask for.
    assert 4 in {operation.params.get("limit") for operation in asked}


def test_a_stream_that_misses_nothing_does_not_say_so(
    client: httpx.Client, service: JobService, user_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "MOST_CHANGES", 3)
    made = [service.create_job(user_id, "report") for _ in range(3)]
    an_hour_ago = str(position_of(made[0].created_at - timedelta(hours=1)))
    with opened(client, "/api/jobs/events", an_hour_ago) as events:
        read = iter(events)
        told = [next(read) for _ in made]
    assert [(event.name, event.data["id"]) for event in told] == [
        ("job", str(job.id)) for job in made
    ]


def test_a_stream_that_is_resumed_after_more_than_a_day_says_that_it_has_missed_some(
    client: httpx.Client, job_in: JobIn, connect: Callable[[], psycopg.Connection]
) -> None:
    """A page that was asleep shows as running what has landed before the last day."""
    old, recent = job_in("completed"), job_in("failed")
    connect().execute(
        "update jobstate.jobs set created_at = now() - interval '9 days', "
        "completed_at = now() - case when id = %s then interval '25 h' else interval '1 h' end",
        (old.id,),
    )
    two_days_ago = str(position_of(recent.created_at - timedelta(days=2)))
    with opened(client, "/api/jobs/events", two_days_ago) as events:
        read = iter(events)
        told = [next(read) for _ in range(2)]
    assert [event.name for event in told] == ["missed", "job"]
    assert told[1].data["id"] == str(recent.id)


def test_a_new_stream_begins_with_what_has_just_happened(
    client: httpx.Client, job_in: JobIn, connect: Callable[[], psycopg.Connection]
) -> None:
    """A page is made before its stream is opened; what landed long before is on it."""
    old, recent = job_in("completed"), job_in("failed")
    connect().execute(
        "update jobstate.jobs set created_at = now() - interval '1 day', "
        "completed_at = now() - case when id = %s then interval '1 h' else interval '5 s' end",
        (old.id,),
    )
    with opened(client, "/api/jobs/events") as events:
        assert next(iter(events)).data["id"] == str(recent.id)
        assert events.position


def test_a_job_that_lands_in_a_long_transaction_is_told_too(
    client: httpx.Client, job_in: JobIn, connect: Callable[[], psycopg.Connection]
) -> None:
    """Its times are those of the write, long before the commit."""
    job = job_in("processing")
    with opened(client, "/api/jobs/events") as events:
        read = iter(events)
        next(read)
        connect().execute(
            "update jobstate.jobs set status = 'completed', updated_at = now() - interval '1 h', "
            "completed_at = now() - interval '1 h'"
        )
        assert next(read).data["id"] == str(job.id)


def test_silence_is_broken_by_comments_that_move_the_position(
    client: httpx.Client, job_in: JobIn, monkeypatch: pytest.MonkeyPatch, service: JobService
) -> None:
    monkeypatch.setattr(live, "KEEP_ALIVE", 0.01)
    job = job_in("processing")
    for path in (f"/api/jobs/{job.id}/events", "/api/jobs/events"):
        with client.stream("GET", path) as answer:
            lines = answer.iter_lines()
            assert any(line.startswith(": ") for line in lines)
            assert path != "/api/jobs/events" or next(lines).startswith("id: ")
    service.mark_completed(job.id)


def test_an_owner_is_told_however_their_id_is_written(
    open_client: OpenClient, service: JobService, user_id: UUID
) -> None:
    client = open_client()
    with ExitStack() as stack:
        streams = []
        for written in (str(user_id).upper(), str(user_id)):
            client.headers[USER] = written
            streams.append(iter(stack.enter_context(opened(client, "/api/jobs/events"))))
        job = service.create_job(user_id, "report")
        assert {next(stream).data["id"] for stream in streams} == {str(job.id)}
