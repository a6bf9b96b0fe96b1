"""`watch`, into a pipe and on a terminal."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from jobstate import Job, JobService, JobStatus
from jobstate.cli import watching
from jobstate.creation import create_job
from jobstate.operations import transition
from tests.cli.conftest import Run, Start
from tests.cli.programs import PATIENCE, eventually, unreachable
from tests.cli.terminals import Terminal
from tests.factories import new_job, processing_job, released

JobIn = Callable[[JobStatus | str], Job]

JOBSTATE = ("-c", "from jobstate.cli import main; main()")
QUICK = ("watch", "--every", "0.1")


def test_one_job_is_watched_until_it_has_landed(
    start: Start, jobs_url: str, job_in: JobIn, service: JobService
) -> None:
    job = job_in("processing")
    watch = start(*JOBSTATE, *QUICK, str(job.id), JOBSTATE_DATABASE_URL=jobs_url)
    watch.read_until("processing    0 %")
    service.update_progress(job.id, 40, message="Writing")
    watch.read_until("processing   40 %  Writing")
    service.mark_completed(job.id, {"rows": 3})
    assert watch.end() == 0
    assert watch.lines[-1].endswith('completed   100 %  {"rows": 3}')
    assert watch.complaints == ""


def test_a_job_that_has_failed_is_exit_status_1(
    run: Run, job_in: JobIn, service: JobService
) -> None:
    job = job_in("processing")
    service.mark_failed(job.id, "No orders.", error_code="empty")
    result = run("watch", str(job.id))
    assert result.exit_code == 1
    assert result.stderr == f"Error: Job {job.id} has failed: empty: No orders.\n"
    assert run("watch", str(job_in("partial").id)).exit_code == 0


def test_a_job_that_is_not_there_cannot_be_watched(run: Run) -> None:
    result = run("watch", str(uuid4()))
    assert result.exit_code == 1
    assert "does not exist" in result.stderr


def test_all_live_jobs_are_watched_until_ctrl_c(
    start: Start, jobs_url: str, job_in: JobIn, service: JobService
) -> None:
    first = job_in("queued")
    watch = start(*JOBSTATE, *QUICK, "--json", JOBSTATE_DATABASE_URL=jobs_url)
    assert json.loads(watch.read_until(str(first.id)))["status"] == "queued"
    service.transition_status(first.id, "processing")
    watch.read_until('"status": "processing"')
    # Between two looks, however often there is one.
    with service.store.transaction() as at_once:
        second = at_once.run(create_job(new_job(), service.settings))
        assert second is not None
        for status in ("processing", "completed"):
            at_once.run(transition(second.id, status, max_result_bytes=1))
    told = json.loads(watch.read_until(str(second.id)))
    assert told == service.get_job_internal(second.id).to_dict(internal=True)
    service.mark_failed(first.id, "No.")
    watch.read_until('"status": "failed"')
    assert watch.end(signal.SIGINT) == 130
    assert watch.complaints == ""
    assert len(watch.lines) == 4


def test_a_released_job_says_when_it_runs_again(service: JobService) -> None:
    hold = processing_job(service.store)
    _, job = released(service.store, hold)
    assert watching._line(job).endswith(f"runs again at {job.retry_at:%Y-%m-%dT%H:%M:%SZ}")


def test_watching_outlasts_a_database_that_goes_away(
    start: Start, jobs_url: str, job_in: JobIn, service: JobService
) -> None:
    job = job_in("processing")
    watch = start(*JOBSTATE, *QUICK, str(job.id), JOBSTATE_DATABASE_URL=jobs_url)
    watch.read_until("processing")
    with unreachable(jobs_url):
        eventually(lambda: "Trying again" in watch.complaints)
    service.mark_completed(job.id)
    assert watch.end() == 0, watch.complaints
    assert watch.complaints.count("Trying again") == 1


def test_a_reader_that_leaves_ends_the_watching(start: Start, jobs_url: str, job_in: JobIn) -> None:
    watch = start(*JOBSTATE, *QUICK, JOBSTATE_DATABASE_URL=jobs_url)
    job_in("queued")
    watch.read_until("queued")
    watch.stdout.close()
    job_in("queued")
    assert watch.process.wait(PATIENCE) == 1
    assert watch.complaints == ""


def test_a_terminal_shows_a_live_table(
    tmp_path: Path, jobs_url: str, job_in: JobIn, service: JobService
) -> None:
    job = job_in("processing")
    others = [job_in("queued") for _ in range(50)]
    terminal = Terminal((*JOBSTATE, *QUICK), tmp_path, 120, JOBSTATE_DATABASE_URL=jobs_url)
    try:
        terminal.read_until(str(job.id)[:8])
        terminal.read_until("and 17 more")
        service.update_progress(job.id, 40, message="[bold]Writing\x1b")
        terminal.read_until(r"[bold]Writing\x1b")
        for other in others:
            service.transition_status(other.id, "processing")
            service.mark_completed(other.id)
        service.mark_completed(job.id, 7)
        terminal.read_until("100 %")
        terminal.press(b"\x03")
        terminal.read_until(None)
        assert terminal.process.wait() == 130
        assert "Traceback" not in terminal.screen
        assert "\x1b[?25h" in terminal.screen.rpartition("\x1b[?25l")[2]  # the cursor is back
    finally:
        terminal.close()


def test_a_terminal_without_rich_gets_lines(
    run: Run, job_in: JobIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "on_terminal", lambda: True)
    monkeypatch.setattr(watching, "find_spec", lambda _: None)
    result = run("watch", str(job_in("completed").id))
    assert result.exit_code == 0
    assert 'pip install "jobstate[cli]"' in result.stderr
    assert "completed   100 %" in result.stdout
