"""Lists of jobs: newest first, in pages that neither repeat nor skip."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from jobstate import InvalidValueError, ItemStatus, Job, JobService, JobStatus, NotOwner, reporting
from jobstate.items import Outcome
from jobstate.logs import Line
from jobstate.reading import list_all_jobs
from tests.factories import failed_job, processing_job

Connect = Callable[[], psycopg.Connection]

CREATED_AT = "update jobstate.jobs set created_at = %s where id = %s"


def pages(
    jobs: JobService, user_id: UUID, meanwhile: Callable[[], object] | None = None, limit: int = 3
) -> Iterator[list[Job]]:
    """Read all pages; between two of them, something may happen."""
    cursor = None
    while True:
        page = jobs.list_jobs(user_id, limit=limit, cursor=cursor)
        yield page.items
        cursor = page.next_cursor
        if cursor is None:
            return
        if meanwhile:
            meanwhile()


def ids(found: Iterator[list[Job]]) -> list[UUID]:
    return [job.id for page in found for job in page]


def test_the_newest_come_first(jobs: JobService, user_id: UUID) -> None:
    created = [jobs.create_job(user_id, "report") for _ in range(5)]
    page = jobs.list_jobs(user_id)
    assert page.items == created[::-1]
    assert page.next_cursor is None


def test_a_list_may_be_empty(jobs: JobService, user_id: UUID) -> None:
    page = jobs.list_jobs(user_id)
    assert (page.items, page.next_cursor) == ([], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 8, 1000])
def test_pages_put_together_are_the_list(jobs: JobService, user_id: UUID, limit: int) -> None:
    created = [jobs.create_job(user_id, "report").id for _ in range(7)]
    found = list(pages(jobs, user_id, limit=limit))
    assert ids(iter(found)) == created[::-1]
    assert len(found) == -(-7 // limit), "no empty page follows the last"


def test_jobs_created_between_pages_neither_repeat_nor_hide_any(
    jobs: JobService, user_id: UUID
) -> None:
    created = [jobs.create_job(user_id, "report").id for _ in range(10)]
    found = pages(jobs, user_id, lambda: [jobs.create_job(user_id, "report") for _ in range(4)])
    assert ids(found) == created[::-1]


def test_jobs_of_the_same_moment_neither_repeat_nor_hide(
    jobs: JobService, user_id: UUID, connect: Connect
) -> None:
    connection = connect()
    moment = datetime(2026, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)
    created = [jobs.create_job(user_id, "report").id for _ in range(10)]
    for place, job_id in enumerate(created):
        connection.execute(CREATED_AT, (moment + timedelta(microseconds=place // 5), job_id))
    found = ids(pages(jobs, user_id, limit=2))
    assert sorted(found) == sorted(created)
    assert found == sorted(created[5:], reverse=True) + sorted(created[:5], reverse=True)


def test_a_job_deleted_between_pages_hides_no_other(
    jobs: JobService, user_id: UUID, connect: Connect
) -> None:
    """Not even when it is the one that the cursor names."""
    created = [jobs.create_job(user_id, "report").id for _ in range(6)]
    first = jobs.list_jobs(user_id, limit=3)
    connect().execute("delete from jobstate.jobs where id = %s", (first.items[-1].id,))
    second = jobs.list_jobs(user_id, limit=3, cursor=first.next_cursor)
    assert [job.id for job in second.items] == created[2::-1]


def test_a_list_can_be_of_one_status_and_type(jobs: JobService, user_id: UUID) -> None:
    made = {}
    for job_type in ("report", "export"):
        for status in ("queued", "processing", "completed"):
            job = jobs.create_job(user_id, job_type)
            if status != "queued":
                job = jobs.transition_status(job.id, "processing")
            if status == "completed":
                job = jobs.mark_completed(job.id)
            made[job_type, status] = job
    for (job_type, status), job in made.items():
        assert jobs.list_jobs(user_id, status=status, job_type=job_type).items == [job]
        assert jobs.list_jobs(user_id, status=JobStatus(status), job_type=job_type).items == [job]
    assert len(jobs.list_jobs(user_id, status="queued").items) == 2
    assert len(jobs.list_jobs(user_id, job_type="export").items) == 3
    assert jobs.list_jobs(user_id, status="failed").items == []
    assert jobs.list_jobs(user_id, job_type="unknown").items == []


def test_pages_keep_their_filter(jobs: JobService, user_id: UUID) -> None:
    wanted = []
    for _ in range(5):
        wanted.append(jobs.create_job(user_id, "report").id)
        jobs.create_job(user_id, "export")
    cursor, found = None, []
    while True:
        page = jobs.list_jobs(user_id, job_type="report", limit=2, cursor=cursor)
        found += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == wanted[::-1]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "!!!",
        "bnVsbA==",
        "W10=",
        "WyJhIiwgImIiXQ==",
        "eyJhIjogMSwgImIiOiAyfQ==",
        "WzUsIDVd",
        pytest.param("W1tbW1tbW1tb" * 10_000, id="nested"),
        "\ud800",
        5,
        b"W10=",
    ],
)
def test_a_cursor_that_was_not_given_out_is_refused(
    jobs: JobService, user_id: UUID, cursor: str
) -> None:
    with pytest.raises(InvalidValueError, match="is malformed: it must be a next_cursor as it was"):
        jobs.list_jobs(user_id, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001, "5", 5.0, None, True])
def test_a_limit_outside_its_range_is_refused(jobs: JobService, user_id: UUID, limit: int) -> None:
    with pytest.raises(InvalidValueError, match=f"The limit {limit!r} is wrong: a page has 1 to"):
        jobs.list_jobs(user_id, limit=limit)


def test_a_wrong_filter_is_refused(jobs: JobService, user_id: UUID) -> None:
    with pytest.raises(InvalidValueError, match="Status 'done' is unknown"):
        jobs.list_jobs(user_id, status="done")
    with pytest.raises(InvalidValueError, match="NUL character in the job type"):
        jobs.list_jobs(user_id, job_type="a\0")
    with pytest.raises(InvalidValueError, match="Item status 'done' is unknown: an item is"):
        jobs.get_job_items(uuid4(), user_id, "done")


@pytest.mark.parametrize("limit", [0, -1, True, "5"])
def test_a_wrong_number_of_items_or_lines_is_refused(
    jobs: JobService, user_id: UUID, limit: Any
) -> None:
    with pytest.raises(InvalidValueError, match=f"The limit {limit!r} is wrong: at least one item"):
        jobs.get_job_items(uuid4(), user_id, limit=limit)
    with pytest.raises(InvalidValueError, match=f"The limit {limit!r} is wrong: at least one line"):
        jobs.get_job_logs(uuid4(), user_id, limit=limit)


def test_the_first_items_are_read_in_the_order_they_were_recorded(
    jobs: JobService, service: JobService, user_id: UUID
) -> None:
    job = failed_job(service.store, user_id=user_id)
    every = [item.key for item in jobs.get_job_items(job.id, user_id)]
    assert len(every) == 3
    assert [item.key for item in jobs.get_job_items(job.id, user_id, limit=2)] == every[:2]
    assert len(jobs.get_job_items(job.id, user_id, limit=9)) == 3


def test_items_are_read_part_by_part(
    jobs: JobService, service: JobService, user_id: UUID, connect: Connect
) -> None:
    """Also those of the same moment, and those of one status alone."""
    job = failed_job(service.store, user_id=user_id)
    connect().execute("update jobstate.job_items set at = '2026-05-17 12:00:00.000001+00'")
    every = jobs.get_job_items(job.id, user_id)
    for number, item in enumerate(every, 1):
        assert jobs.get_job_items(job.id, user_id, after=item) == every[number:]
        assert jobs.get_job_items(job.id, user_id, limit=1, after=item) == every[number:][:1]
    failed = [item for item in every if item.status is ItemStatus.FAILED]
    assert jobs.get_job_items(job.id, user_id, "failed", after=failed[0]) == failed[1:]


@pytest.mark.parametrize("status", [None, "succeeded"])
def test_no_item_is_skipped_where_a_part_ends_within_a_moment(
    jobs: JobService, service: JobService, user_id: UUID, connect: Connect, status: str | None
) -> None:
    """Whatever order the database finds them in."""
    hold = processing_job(service.store, user_id=user_id)
    done = Outcome(ItemStatus.SUCCEEDED)
    for key in ("e", "c", "a", "d", "b"):
        service.store.run(reporting.record_items(hold, {key: done}))
    connect().execute(
        "update jobstate.job_items set at = '2026-05-17 12:00+00' where key <> 'e'",
    )
    read = [jobs.get_job_items(hold.job_id, user_id, status, limit=2)]
    while read[-1]:
        read.append(jobs.get_job_items(hold.job_id, user_id, status, limit=2, after=read[-1][-1]))
    assert ["".join(item.key for item in part) for part in read] == ["ab", "cd", "e", ""]


def test_an_item_that_is_recorded_again_comes_again_and_hides_no_other(
    jobs: JobService, service: JobService, user_id: UUID
) -> None:
    hold = processing_job(service.store, user_id=user_id)
    done = Outcome(ItemStatus.SUCCEEDED)
    service.store.run(reporting.record_items(hold, {"a": done}))
    service.store.run(reporting.record_items(hold, {"b": done}))
    (first,) = jobs.get_job_items(hold.job_id, user_id, limit=1)
    service.store.run(reporting.record_items(hold, {"a": Outcome(ItemStatus.FAILED)}))
    rest = jobs.get_job_items(hold.job_id, user_id, after=first)
    assert [(item.key, item.status) for item in rest] == [("b", "succeeded"), ("a", "failed")]


def test_a_log_is_read_part_by_part(jobs: JobService, service: JobService, user_id: UUID) -> None:
    hold = processing_job(service.store, user_id=user_id)
    lines = [Line(0.0, "INFO", "shop", str(number)) for number in range(3)]
    service.store.run(reporting.write_logs(hold, lines))
    every = jobs.get_job_logs(hold.job_id, user_id)
    assert [line.message for line in every] == ["0", "1", "2"]
    assert jobs.get_job_logs(hold.job_id, user_id, limit=2) == every[:2]
    assert jobs.get_job_logs(hold.job_id, user_id, limit=2, after=every[0]) == every[1:]
    assert jobs.get_job_logs(hold.job_id, user_id, after=every[-1]) == []
    with pytest.raises(NotOwner):
        jobs.get_job_logs(hold.job_id, uuid4(), after=every[-1])


def test_an_operator_lists_everybodys_jobs(service: JobService) -> None:
    created = [service.create_job(uuid4(), job_type) for job_type in ("a", "b", "a")]
    started = service.transition_status(created[0].id, "processing")

    def found(status: str | None, job_type: str | None, limit: int) -> list[Job]:
        page = service.store.run(list_all_jobs(status=status, job_type=job_type, limit=limit))
        return page.items

    assert found(None, None, 10) == [created[2], created[1], started]
    assert found(None, None, 2) == [created[2], created[1]]
    assert found("processing", None, 10) == [started]
    assert found(None, "b", 10) == [created[1]]
    assert found("processing", "b", 10) == []


def test_an_operator_pages_through_live_jobs_and_then_those_that_landed_last(
    service: JobService,
) -> None:
    created = [service.create_job(uuid4(), "report") for _ in range(9)]
    for job in created[:6]:
        service.transition_status(job.id, "processing")
    ends = ((2, "completed"), (0, "failed"), (3, "partial"), (1, "completed"), (4, "failed"))
    landed = [service.transition_status(created[number].id, status) for number, status in ends]
    cursor, found = None, list[UUID]()
    while True:
        page = service.store.run(list_all_jobs(status=None, job_type=None, limit=2, cursor=cursor))
        found += [job.id for job in page.items]
        if (cursor := page.next_cursor) is None:
            break
    live = [job.id for job in reversed(created[5:])]
    assert found == live + [job.id for job in reversed(landed)]
