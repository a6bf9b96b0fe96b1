"""Batches: all jobs or none, in one transaction; messages that travel together."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from jobstate import InvalidValueError, OwnerRequired
from jobstate.celery import bulk
from tests.proxy import Link, Proxy
from tests.worker.batches import count, ids, many
from tests.worker.process import eventually
from tests.worker.site import OpenSite, Site, published

CRASH = """
import os, sys
from jobstate import publishing
from jobstate.celery import bulk, runtime
from tests.worker.site import Site

moment, database_url, broker_url, user_id = sys.argv[1:]
bulk.PIECE = 5
site = Site(database_url, broker_url)

def dying(*args, **kwargs):
    os._exit(9)

def on_the_second(original):
    calls = []
    def call(*args):
        calls.append(args)
        return dying() if len(calls) == 2 else original(*args)
    return call

match moment:
    case "before the commit": site.service.store.run_all = dying
    case "before publishing": bulk.publish_batch = dying
    case "between two pieces": runtime.send_batch = on_the_second(runtime.send_batch)
    case "before it is noted": publishing.note_first_published = dying
calls = [{"args": (n,)} for n in range(20)]
site.jobs.enqueue_many(site.task("returns"), calls, user_id=user_id)
"""


def test_a_batch_is_what_its_calls_would_be_one_by_one(quiet_site: Site) -> None:
    task = quiet_site.task("returns")
    eta = datetime.now(UTC) + timedelta(seconds=20)
    calls: list[dict[str, Any]] = [
        {"args": (1,)},
        {"kwargs": {"value": [2, "ü"]}, "queue": "slow", "deadline": 60},
        {"args": (3,), "eta": eta, "expires": 50, "job_type": "other"},
        {"args": (4,), "task_id": uuid4(), "idempotency_key": "four"},
    ]
    created = quiet_site.jobs.enqueue_many(task, calls, user_id=quiet_site.user_id)
    for job, call in zip(created, calls, strict=True):
        one = task.enqueue_with(**{**call, "user_id": uuid4(), "task_id": None})
        same = ("job_type", "task_name", "parameters", "queue", "status", "attempt", "parent_id")
        assert [getattr(job, name) for name in same] == [getattr(one, name) for name in same]
        for moment in ("eta", "expires_at", "deadline_at"):
            both = getattr(job, moment), getattr(one, moment)
            assert (both[0] is None) is (both[1] is None), moment
    assert created[2].eta == eta
    assert created[3].id == calls[3]["task_id"]
    messages = {message["id"]: message for message in quiet_site.waiting()}
    first, delayed = messages[str(created[0].id)], messages[str(created[2].id)]
    assert (first["jobstate-after"], first["argsrepr"]) == (0, "(1,)")
    assert delayed["eta"] is not None
    assert quiet_site.waiting("slow")[0]["id"] == str(created[1].id)
    quiet_site.noted()
    rows = [quiet_site.read(job) for job in created]
    assert [row.publishes for row in rows] == [1, 1, 1, 1]
    assert [row.created_at for row in rows] == sorted(row.created_at for row in rows)
    assert [event.to_status for event in quiet_site.history(created[0])] == ["queued"]


def test_a_batch_runs(site: Site) -> None:
    for number, job in enumerate(many(site, 12)):
        assert site.completed(job).result == number


def test_jobs_are_listed_and_published_in_the_order_of_their_calls(quiet_site: Site) -> None:
    calls = [{"args": (n,), "idempotency_key": f"key {9 - n}"} for n in range(10)]
    name = "shop.tasks.export"
    created = quiet_site.jobs.enqueue_many(name, calls, user_id=quiet_site.user_id)
    assert [job.parameters for job in created] == [{"args": [n]} for n in range(10)]
    assert published(quiet_site) == ids(created)
    listed = quiet_site.service.list_jobs(quiet_site.user_id).items
    assert ids(listed) == ids(created)[::-1]


def test_a_batch_longer_than_a_statement_and_a_piece_is_whole(quiet_site: Site) -> None:
    created = many(quiet_site, 1203)
    assert published(quiet_site) == ids(created)
    quiet_site.noted()
    with psycopg.connect(quiet_site.conf["database_url"].replace("+psycopg", "")) as connection:
        asked = (
            "select count(*) from jobstate.jobs where publishes = 1 and published_at is not null"
        )
        assert connection.execute(asked).fetchone() == (1203,)


def test_no_calls_are_no_jobs(quiet_site: Site) -> None:
    assert many(quiet_site, 0) == []


def test_what_a_key_has_already_is_returned_and_enqueued_once(quiet_site: Site) -> None:
    task = quiet_site.task("returns")
    old = quiet_site.enqueue_with("returns", 0, idempotency_key="a")
    calls = [{"args": (n,), "idempotency_key": key} for n, key in enumerate("abab")]
    found = quiet_site.jobs.enqueue_many(task, calls, user_id=quiet_site.user_id)
    assert [job.id for job in found] == [old.id, found[1].id, old.id, found[1].id]
    assert found[1].parameters == {"value": 1}
    assert published(quiet_site) == [str(old.id), str(found[1].id)]
    assert count(quiet_site) == 2


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"args": (object(),)}, InvalidValueError, r"Job 2 of the batch .* cannot be stored"),
        ({"args": (1, 2, 3)}, InvalidValueError, r"Job 2 of the batch .* positional argument"),
        ({"args": (1,), "eta": "soon"}, InvalidValueError, r"Job 2 of the batch .* malformed"),
        ({"args": (1,), "task_id": "x"}, InvalidValueError, "Job 2 of the batch .* not a UUID"),
        ({"args": (1,), "job_type": 5}, InvalidValueError, "Job 2 of the batch .* must be text"),
        ({"arg": (1,)}, InvalidValueError, r"Job 2 of the batch .* no 'arg' in a call"),
        ({"args": "a"}, InvalidValueError, r"Job 2 of the batch .* args of a call are a str"),
        ((1,), InvalidValueError, r"Job 2 of the batch .* The call is a tuple"),
        ({"args": (1,), "user_id": None}, OwnerRequired, "Job 2 of the batch"),
    ],
)
def test_one_wrong_call_is_named_and_nothing_is_stored(
    quiet_site: Site, wrong: Any, error: type[Exception], words: str
) -> None:
    calls = [{"args": (0,)}, {"args": (1,)}, wrong, {"args": (3,)}]
    with pytest.raises(error, match=words):
        quiet_site.jobs.enqueue_many(quiet_site.task("returns"), calls, user_id=quiet_site.user_id)
    assert (count(quiet_site), published(quiet_site)) == (0, [])


def test_one_that_the_database_refuses_leaves_nothing(quiet_site: Site) -> None:
    calls = [{"args": (n,), "user_id": uuid4()} for n in range(1200)]
    calls[1100]["user_id"] = "nobody"
    with pytest.raises(InvalidValueError, match=r"Job 1100 of the batch .*nobody"):
        quiet_site.jobs.enqueue_many(quiet_site.task("returns"), calls)
    taken = quiet_site.enqueue("returns", 0)
    calls[1100] = {"args": (1,), "task_id": taken.id, "user_id": uuid4()}
    with pytest.raises(
        InvalidValueError, match=f"Job 1100 of the batch .*Job id {taken.id} is taken"
    ):
        quiet_site.jobs.enqueue_many(quiet_site.task("returns"), calls)
    assert count(quiet_site) == 1


@pytest.mark.parametrize("place", [0, 2])
def test_one_that_nobody_can_publish_fails_and_the_others_are_out(
    quiet_site: Site, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(bulk, "PIECE", 2)
    calls: list[dict[str, Any]] = [{"args": (n,)} for n in range(6)]
    task = quiet_site.task("returns")
    calls[place] = {"args": (place,), "serializer": "none such"}
    with pytest.raises(InvalidValueError, match="cannot be published"):
        quiet_site.jobs.enqueue_many(task, calls, user_id=quiet_site.user_id)
    listed = quiet_site.service.list_jobs(quiet_site.user_id).items[::-1]
    codes = [None] * 6
    codes[place] = "never_delivered"  # type: ignore[call-overload]
    assert [job.error_code for job in listed] == codes
    assert published(quiet_site) == [str(job.id) for job in listed if not job.is_terminal]


async def test_a_batch_from_an_event_loop(quiet_site: Site) -> None:
    task = quiet_site.task("returns")
    engine = create_async_engine(quiet_site.conf["database_url"])
    calls = [{"args": (n,)} for n in range(3)]
    created = await quiet_site.jobs.aenqueue_many(task, calls, user_id=quiet_site.user_id)
    assert published(quiet_site) == ids(created)
    async with AsyncSession(engine) as session:
        created += await quiet_site.jobs.aenqueue_many(
            task, calls, user_id=quiet_site.user_id, connection=session
        )
        assert len(published(quiet_site)) == 3
        await session.commit()
    await engine.dispose()
    with pytest.raises(InvalidValueError, match=r"Job 1 of the batch .*nobody"):
        await quiet_site.jobs.aenqueue_many(
            task, [*calls, {"user_id": "nobody"}][2:], user_id=uuid4()
        )
    await quiet_site.jobs.aio.close()
    eventually(lambda: published(quiet_site) == ids(created), "the publication")


def test_two_batches_with_the_same_keys_make_one_job_of_each(quiet_site: Site) -> None:
    """They have them in opposite orders, and neither waits for the other for ever."""
    task, start = quiet_site.task("returns"), Barrier(4)
    found: list[dict[str, UUID]] = []

    def enqueue(keys: list[str]) -> None:
        calls = [{"args": (0,), "idempotency_key": key} for key in keys]
        start.wait()
        jobs = quiet_site.jobs.enqueue_many(task, calls, user_id=quiet_site.user_id)
        found.append({key: job.id for key, job in zip(keys, jobs, strict=True)})

    keys = [f"key {number}" for number in range(200)]
    orders = [keys, keys[::-1], keys, keys[::-1]]
    threads = [Thread(target=enqueue, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(one == found[0] for one in found)
    assert sorted(published(quiet_site)) == sorted(str(key) for key in found[0].values())


@pytest.mark.parametrize(
    ("moment", "stored"),
    [
        ("before the commit", 0),
        ("before publishing", 20),
        ("between two pieces", 20),
        ("before it is noted", 20),
    ],
)
def test_a_process_that_dies_loses_and_doubles_nothing(
    open_site: OpenSite, moment: str, stored: int
) -> None:
    with open_site("solo", jobstate_publish_grace=0.2, jobstate_sweep_interval=0.2) as site:
        urls = (site.conf["database_url"], site.conf["broker_url"])
        command = [sys.executable, "-c", CRASH, moment, *urls, str(site.user_id)]
        assert subprocess.run(command, check=False).returncode == 9
        jobs = site.service.list_jobs(site.user_id).items
        assert len(jobs) == stored
        results = sorted(site.completed(job).result for job in jobs)
        assert results == list(range(stored))
        assert {job.attempt for job in map(site.read, jobs)} <= {1}


@pytest.mark.parametrize("how", [Link.CUT, Link.BLACK_HOLE])
def test_what_the_broker_has_not_taken_is_published_by_the_sweeper(
    open_site: OpenSite, how: Link
) -> None:
    """The second piece arrives, or a part of it; its answer does not, and the third is not sent."""
    with open_site() as site, Proxy(site.conf["broker_url"]) as link:
        with Site(site.conf["database_url"], link.url) as remote:
            assert len(many(remote, 1)) == 1
            link.lose_the_answer(b"(700,)", how)
            assert len(many(remote, 1200)) == 1200
        seen = set(published(site))
        assert 501 < len(seen) < 1201

        def swept() -> bool:
            site.service.sweep()
            return len(set(published(site))) == 1201

        eventually(swept, "their publication")
