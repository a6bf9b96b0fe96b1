"""That the first messages of jobs went out is written for many at once, and may be lost."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic
from typing import Any

import psycopg
import pytest

from jobstate import Job, JobService, publishing, sweeping
from jobstate.celery import notes as module
from jobstate.celery.notes import Notes
from jobstate.celery.runtime import Runtime, runtime_of
from tests.factories import take
from tests.proxy import Link, Proxy
from tests.worker.database import Execute, execute_on
from tests.worker.process import eventually
from tests.worker.site import Site, publishes


@pytest.fixture
def notes(late: Site) -> Notes:
    """What waits there."""
    return runtime_of(late.app).notes


@pytest.fixture
def execute(late: Site) -> Iterator[Execute]:
    """Speak to its database."""
    with execute_on(late) as execute:
        yield execute


def test_the_first_messages_of_many_jobs_are_noted_by_a_few_statements(
    late: Site, notes: Notes, execute: Execute
) -> None:
    """Not by one, after which most rows would have to enter every index anew."""
    jobs = [late.enqueue("returns", number) for number in range(40)]
    assert len(late.waiting()) == len(notes) == 40
    assert publishes(late) == [0] * 40
    notes.finish()
    eventually(lambda: not len(notes), "the notes")
    assert publishes(late) == [1] * 40
    assert len(execute("select distinct xmin::text from jobstate.jobs")) == 8
    assert {event.event for job in jobs for event in late.history(job)} == {"transition"}


def test_a_note_is_written_by_itself_before_the_sweeper_looks(quiet_site: Site) -> None:
    job = quiet_site.enqueue("returns", 1)
    row = eventually(lambda: (row := quiet_site.read(job)).publishes and row, "the note")
    assert row.next_check_at == job.next_check_at
    assert row.published_at < row.next_check_at


def test_a_note_says_when_the_message_went_out(late: Site, notes: Notes, execute: Execute) -> None:
    now = "select clock_timestamp(), extract(epoch from clock_timestamp())::float8"
    ((before, _),) = execute(now)
    job = late.enqueue("returns", 1)
    went_out = monotonic()
    late.enqueue("returns", 2)
    later = monotonic()
    notes.write()
    ((_, end),) = execute(now)
    published_at = late.read(job).published_at
    assert published_at is not None
    assert before < published_at
    assert published_at.timestamp() <= end - (later - went_out) + 1e-5


def taken(site: Site, job: Job) -> None:
    take(site.service.store, job.id)


def cancelled(site: Site, job: Job) -> None:
    site.service.cancel(job.id, site.user_id)


def put_back(site: Site, job: Job) -> None:
    site.service.store.run(publishing.put_back(job.id, 0, None, 5.0))


def doubted(site: Site, job: Job) -> None:
    assert site.service.store.run(sweeping.doubt_published()) == 1
    assert site.read(job).published_at is None


def republished(site: Site, job: Job) -> None:
    site.service.store.run(publishing.note_published(job.id, 0, 5.0))


@pytest.mark.parametrize("meanwhile", [taken, cancelled, put_back, doubted, republished])
def test_nothing_is_noted_in_a_row_that_was_written_to_since(
    late: Site, notes: Notes, meanwhile: Callable[[Site, Job], None]
) -> None:
    """Its message has arrived, or was thrown away, or may be gone."""
    job = late.enqueue("returns", 1)
    meanwhile(late, job)
    before = late.read(job)
    notes.write()
    assert not len(notes)
    assert late.read(job) == before


def test_a_note_waits_for_nobody_who_has_locked_the_row(late: Site, notes: Notes) -> None:
    locked, free = late.enqueue("returns", 1), late.enqueue("returns", 2)
    url = late.conf["database_url"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("select from jobstate.jobs where id = %s for update", [locked.id])
        notes.write()
        assert late.read(free).publishes == 1
    assert not len(notes)
    assert late.read(locked).publishes == 0


def test_a_job_whose_note_waits_is_not_published_again_by_hand(late: Site, notes: Notes) -> None:
    job = late.enqueue("returns", 1)
    assert job.id in notes
    assert late.jobs.publish(job) is False
    notes.write()
    assert late.jobs.publish(job) is False
    assert len(late.waiting()) == 1


def test_jobs_of_a_callers_transaction_are_noted_with_the_others(late: Site, notes: Notes) -> None:
    with late.service.store.engine.connect() as connection, connection.begin():
        late.enqueue_with("returns", 1, connection=connection)
        assert not len(notes)
    late.jobs.enqueue_many(
        late.task("returns"), [{"args": (2,)}, {"args": (3,)}], user_id=late.user_id
    )
    assert len(notes) == 3
    assert publishes(late) == [0, 0, 0]
    notes.write()
    assert publishes(late) == [1, 1, 1]


def test_a_job_that_a_worker_enqueues_is_noted_at_once(late: Site, notes: Notes) -> None:
    """Its pool's processes end without being asked."""
    runtime_of(late.app).seat.main_pid = 1
    assert late.read(late.enqueue("returns", 1)).publishes == 1
    assert not len(notes)


def test_what_cannot_wait_is_noted_at_once(
    late: Site, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are too many, or the interpreter ends."""
    monkeypatch.setattr(module, "MOST", 1)
    late.enqueue("returns", 1)
    assert late.read(late.enqueue("returns", 2)).publishes == 1
    notes.write()
    notes.begin_anew()

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module.flusher, "wake", refuse)
    assert late.read(late.enqueue("returns", 3)).publishes == 1
    assert not len(notes)
    assert publishes(late) == [1, 1, 1]


def test_many_threads_leave_their_notes(quiet_site: Site) -> None:
    task = quiet_site.task("returns")
    with ThreadPoolExecutor(8) as threads:
        for _ in range(80):
            threads.submit(task.enqueue, 1, user_id=quiet_site.user_id)
    eventually(lambda: publishes_of(quiet_site, 80), "all notes")


def publishes_of(site: Site, count: int) -> bool:
    """Tell whether so many jobs are noted."""
    with execute_on(site) as execute:
        return execute("select count(*) from jobstate.jobs where publishes = 1") == [(count,)]


def test_notes_wait_for_a_database_that_is_away(
    late: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with Proxy(late.conf["database_url"]) as link:
        conf: dict[str, Any] = {**late.conf, "database_url": link.url}
        with Site(**conf) as remote:
            notes = runtime_of(remote.app).notes
            job = remote.enqueue("returns", 1)
            link.go_down(Link.CUT)
            notes.write()
            notes.finish()
            assert job.id in notes
            assert caplog.messages == []
            link.heal()
            notes.write()
            assert not len(notes)
            assert late.read(job).publishes == 1
            lost = remote.enqueue("returns", 2)
            link.go_down(Link.CUT)
            notes._grace = 0.0
            notes.write()
            assert not len(notes)
            assert "1 publications were not noted" in caplog.text
    assert late.read(lost).publishes == 0


def test_closing_a_service_has_everything_noted(late: Site) -> None:
    late.enqueue("returns", 1)
    late.service.close()
    eventually(lambda: publishes(late) == [1], "the note")


def test_notes_go_to_the_database_that_the_jobs_are_in(quiet_site: Site, jobs_url: str) -> None:
    runtime: Runtime = runtime_of(quiet_site.app)
    before = runtime.settings
    job = quiet_site.enqueue("returns", 1)
    runtime.point_at(replace(before, database_url=jobs_url))
    service = JobService(before.database_url)
    eventually(lambda: service.get_job_internal(job.id).publishes == 1, "the note")
    service.close()
    runtime.service.close()
