"""`list` and `stats`."""

import json
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from click.testing import Result

from jobstate import Job, JobService, JobStatus

Run = Callable[..., Result]
JobIn = Callable[[JobStatus | str], Job]


def ids(result: Result) -> list[str]:
    return [job["id"] for job in json.loads(result.stdout)]


def test_list_shows_live_jobs_and_then_the_one_that_landed_last(run: Run, job_in: JobIn) -> None:
    first, second = job_in("failed"), job_in("queued")
    result = run("list")
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["ID", "OWNER", "TYPE", "STATUS", "PROGRESS", "AGE", "MESSAGE"]
    assert [line.split()[0] for line in lines] == [str(second.id), str(first.id)]
    assert "failed" in lines[1]
    assert result.exit_code == 0


def test_list_prints_every_column_as_json(run: Run, job_in: JobIn, service: JobService) -> None:
    job = service.get_job_internal(job_in("processing").id)
    assert json.loads(run("list", "--json").stdout) == [job.to_dict(internal=True)]


def test_list_shows_what_a_job_has_to_say(run: Run, job_in: JobIn, service: JobService) -> None:
    """Its result, why it failed, or how far it is; in one line."""
    completed, failed, running = (job_in("processing") for _ in range(3))
    service.mark_completed(completed.id, {"rows": 7})
    service.mark_failed(failed.id, "No room\nleft")
    service.update_progress(running.id, 50, message="Halfway")
    lines = {line.split()[0]: line for line in run("list").stdout.splitlines()}
    assert lines[str(completed.id)].endswith('{"rows": 7}')
    assert "No room" in lines[str(failed.id)]
    assert "left" in lines[str(failed.id)]
    assert lines[str(running.id)].endswith("Halfway")


@pytest.mark.parametrize("status", JobStatus)
def test_list_shows_jobs_in_a_status(status: JobStatus, run: Run, job_in: JobIn) -> None:
    jobs = {each: job_in(each) for each in JobStatus}
    assert ids(run("list", "--status", status.value, "--json")) == [str(jobs[status].id)]


def test_list_shows_jobs_of_an_owner_and_a_type(
    run: Run, service: JobService, user_id: UUID
) -> None:
    mine = service.create_job(user_id, "report")
    service.create_job(user_id, "export")
    theirs = service.create_job(uuid4(), "report")
    reports = ids(run("list", "--job-type", "report", "--json"))
    assert reports == [str(theirs.id), str(mine.id)]
    assert ids(run("list", "--user-id", str(user_id), "--job-type", "report", "--json")) == [
        str(mine.id)
    ]


@pytest.mark.parametrize("owned", [True, False])
def test_list_says_that_there_are_more_jobs_than_the_limit(
    owned: bool,  # noqa: FBT001 - pytest passes it by name
    run: Run,
    job_in: JobIn,
    user_id: UUID,
) -> None:
    jobs = [job_in("queued") for _ in range(3)]
    owner = ("--user-id", str(user_id)) if owned else ()
    result = run("list", *owner, "--limit", "2")
    assert str(jobs[0].id) not in result.stdout
    said, cursor = result.stderr.strip().split(" --cursor ")
    assert said == "There are more:"
    assert ids(run("list", *owner, "--limit", "2", "--json")) == [
        str(jobs[2].id),
        str(jobs[1].id),
    ]
    assert ids(run("list", *owner, "--cursor", cursor, "--json")) == [str(jobs[0].id)]
    assert run("list", *owner, "--limit", "3").stderr == ""


def test_an_empty_list_is_no_error(run: Run, user_id: UUID) -> None:
    result = run("list")
    assert (result.exit_code, result.stdout) == (0, "No jobs yet.\n")
    result = run("list", "--user-id", str(user_id))
    assert (result.exit_code, result.stdout) == (0, "There are no such jobs.\n")
    assert json.loads(run("list", "--json").stdout) == []


def test_what_a_job_says_cannot_steer_the_terminal(
    run: Run, service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, "re\x1b[31mport")
    service.transition_status(job.id, "processing")
    service.mark_failed(job.id, "two\nlines\r\x07 and \u202etxet")
    shown = run("list").stdout
    assert r"re\x1b[31mport" in shown
    assert r"two\nlines\r\x07 and \u202etxet" in shown
    assert len(shown.splitlines()) == 2


def test_stats_count_jobs_by_type_and_status(
    run: Run, job_in: JobIn, service: JobService, user_id: UUID
) -> None:
    for status in ("completed", "completed", "failed"):
        job_in(status)
    service.create_job(user_id, "export")
    head, export, report, total, oldest = run("stats").stdout.splitlines()
    assert head.split() == ["TYPE", *(status.upper() for status in JobStatus)]
    assert export.split() == ["export", "1", "0", "0", "0", "0"]
    assert report.split() == ["report", "0", "0", "2", "1", "0"]
    assert total.split() == ["all", "1", "0", "2", "1", "0"]
    assert oldest.startswith("The oldest queued job was created 0.")


def test_stats_are_json_too(run: Run, job_in: JobIn, service: JobService) -> None:
    job_in("partial")
    assert json.loads(run("stats", "--json").stdout) == service.stats().to_dict()


def test_stats_leave_out_what_landed_earlier(
    run: Run, job_in: JobIn, service: JobService, user_id: UUID
) -> None:
    job_in("completed")
    service.create_job(user_id, "report")
    _, report, *_ = run("stats", "--landed-within", "3600").stdout.splitlines()
    assert report.split() == ["report", "1", "0", "1", "0", "0"]
    _, report, *_ = run("stats", "--landed-within", "0").stdout.splitlines()
    assert report.split() == ["report", "1", "0", "0", "0", "0"]


def test_stats_of_no_jobs_are_zeros(run: Run) -> None:
    _, total = run("stats").stdout.splitlines()
    assert total.split() == ["all", "0", "0", "0", "0", "0"]
