"""How the page words what a row says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from jobstate import Job, JobEvent, JobService, JobStatus, reporting
from jobstate.errors import NotRetryable
from jobstate.logs import Line
from jobstate.web.page import pages, text
from jobstate.web.page.look import title_of
from tests.factories import hold_of, landed, processing_job, queued_job, released, take
from tests.web.sites import PAGE


@pytest.fixture
def job(service: JobService) -> Job:
    """A queued job."""
    return queued_job(service.store)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1234567, "1,234,567"), (2.0, "2"), (1234.56, "1,234.6"), (10**400, f"{10**400:,}")],
)
def test_a_number_has_no_more_digits_than_it_needs(value: float, shown: str) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (2_000_000, "2.0 MB"),
        (3e12, "3000.0 GB"),
    ],
)
def test_a_size_is_in_the_unit_that_tells_most(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.6, "1 min"),
        (75, "1 min 15 s"),
        (7260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_time_is_in_its_two_largest_units(seconds: float, shown: str) -> None:
    assert text.span(timedelta(seconds=seconds)) == text.span(seconds) == shown


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({}, ""),
        ({"progress_current": 3.0}, "3"),
        ({"progress_current": 3.0, "progress_total": 4000.0}, "3 of 4,000"),
    ],
)
def test_an_amount_is_what_the_body_said(job: Job, columns: dict[str, Any], shown: str) -> None:
    assert text.amount(replace(job, **columns)) == shown


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({"progress_message": "Drawing"}, "Drawing"),
        ({"progress_message": "Drawing", "cancel_requested_at": datetime.now(UTC)}, "Cancelling …"),
        ({"status": JobStatus.FAILED, "error_message": "No", "progress_message": "Drawing"}, "No"),
        (
            {"status": JobStatus.COMPLETED, "result": {"rows": 1200, "to": "a"}},
            "rows: 1,200 · to: a",
        ),
        ({"status": JobStatus.COMPLETED, "result": [1]}, ""),
    ],
)
def test_a_note_is_what_tells_most(job: Job, columns: dict[str, Any], shown: str) -> None:
    assert text.note(replace(job, **columns)) == shown


@pytest.mark.parametrize(
    "result", [None, {}, [], 5, {"a": True}, {"a": [1]}, dict.fromkeys("abcdefghi", 1)]
)
def test_what_is_no_handful_of_values_is_shown_as_json(result: object) -> None:
    assert text.facts(result) is None


def test_a_long_result_is_cut_off() -> None:
    assert text.pretty({"ü": 1}) == '{\n  "ü": 1\n}'
    shown = text.pretty("x" * 50_000)
    assert len(shown) < 21_000
    assert shown.endswith("…")


def test_every_event_of_a_history_has_words(service: JobService) -> None:
    hold = processing_job(service.store)
    released(service.store, hold)
    again = hold_of(take(service.store, hold.job_id, ticket=1).job)
    service.cancel(hold.job_id, service.get_job_internal(hold.job_id).user_id)
    landed(service.store, again)
    job = service.get_job_internal(hold.job_id)
    events = service.get_job_events(job.id, job.user_id)
    assert [text.what(event) for event in events] == [
        "Queued",
        "Started",
        "Will be tried again",
        "Cancellation asked for",
        "Completed",
    ]
    new: JobEvent = replace(events[2], event="something_new")
    assert text.what(new) == "Something new"


def test_a_timeline_has_the_start_of_the_latest_attempt_where_it_was(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    hold = processing_job(service.store, user_id=user_id)

    def told() -> list[str]:
        job = service.get_job_internal(hold.job_id)
        return [
            text.what(one) for one in text.timeline(job, service.get_job_events(job.id, user_id))
        ]

    assert told() == ["Queued", "Started"]
    released(service.store, hold)
    assert told() == ["Queued", "Started", "Will be tried again"]
    again = hold_of(take(service.store, hold.job_id, ticket=1).job)
    assert told() == ["Queued", "Started", "Will be tried again", "Started again"]
    landed(service.store, again)
    assert told() == ["Queued", "Started", "Will be tried again", "Started again", "Completed"]
    began = service.get_job_internal(hold.job_id).attempt_started_at
    assert began is not None
    page = client.get(f"{PAGE}/{hold.job_id}").text
    assert f'Started again</span> <time datetime="{began.isoformat()}"' in " ".join(page.split())


def test_a_timeline_of_a_job_that_never_ran_has_no_start(
    service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, "report")
    service.cancel(job.id, user_id)
    ended = service.get_job_internal(job.id)
    events = service.get_job_events(job.id, user_id)
    assert ended.attempt_started_at is None
    assert text.timeline(ended, events) == events


def test_a_refusal_says_what_can_be_done() -> None:
    assert "Start a new one" in text.refusal(NotRetryable("x"))


@pytest.mark.parametrize(
    ("job_type", "title"),
    [
        ("shop.tasks.export_orders", "Export orders"),
        ("report", "Report"),
        ("a.", "a."),
        ("ÜBER_uns", "ÜBER uns"),
    ],
)
def test_a_job_is_called_by_its_type_in_words(job: Job, job_type: str, title: str) -> None:
    assert title_of(replace(job, job_type=job_type)) == title


def test_the_log_is_shown_where_it_is_kept(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    hold = processing_job(service.store, user_id=user_id)
    assert '<h2 id="logs">' not in client.get(f"{PAGE}/{hold.job_id}").text
    service.store.run(reporting.write_logs(hold, [Line(0.0, "WARNING", "shop", "<b>odd</b>")]))
    page = client.get(f"{PAGE}/{hold.job_id}").text
    assert "<summary>1 line</summary>" in page
    assert '<li data-level="warning">' in page
    assert "&lt;b&gt;odd&lt;/b&gt;" in page


def test_of_a_very_long_log_the_first_lines_are_shown(
    client: httpx.Client, service: JobService, user_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_LINES", 3)
    hold = processing_job(service.store, user_id=user_id)
    for count, more in ((3, False), (2, True)):
        lines = [Line(0.0, "INFO", "shop", "Done")] * count
        service.store.run(reporting.write_logs(hold, lines))
        page = client.get(f"{PAGE}/{hold.job_id}").text
        assert page.count("<li data-level=") == 3
        assert ("and 2 more</p>" in page) is more
    assert "<summary>5 lines</summary>" in page


def test_a_job_leads_to_those_it_belongs_to(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    parent = service.create_job(user_id, "whole")
    child = service.create_job(user_id, "part", parent_id=parent.id, job_id=uuid4())
    assert f'<a href="{PAGE}/{parent.id}">another job</a>' in client.get(f"{PAGE}/{child.id}").text
