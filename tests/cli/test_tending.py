"""`cancel`, `retry`, `sweep` and `workers`."""

import json
import signal
from collections.abc import Callable
from uuid import uuid4

import pytest
from click.testing import Result

from jobstate import Job, JobService, JobStatus
from tests.cli.programs import Program, eventually, unreachable
from tests.factories import failed_job, new_worker, processing_job

Run = Callable[..., Result]
Start = Callable[..., Program]
JobIn = Callable[[JobStatus | str], Job]

JOBSTATE = ("-c", "from jobstate.cli import main; main()")

SILENT = "update jobstate.workers set lease_until = clock_timestamp()"
ENDED_LONG_AGO = "update jobstate.workers set dead_at = clock_timestamp() - interval '1 hour'"


def test_a_queued_job_is_cancelled_at_once(run: Run, job_in: JobIn, service: JobService) -> None:
    job = job_in("queued")
    result = run("cancel", str(job.id))
    assert (result.exit_code, result.stdout) == (0, f"Job {job.id} is cancelled.\n")
    assert service.get_job_internal(job.id).error_code == "cancelled"


def test_a_running_job_is_asked_to_end(run: Run, service: JobService) -> None:
    hold = processing_job(service.store)
    result = run("cancel", str(hold.job_id))
    assert result.exit_code == 0
    assert "was asked to end" in result.stdout
    assert service.get_job_internal(hold.job_id).cancel_requested_at is not None


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_job_that_has_landed_cannot_be_cancelled(
    options: tuple[str, ...], run: Run, job_in: JobIn
) -> None:
    job = job_in("completed")
    result = run("cancel", str(job.id), *options)
    assert result.exit_code == 1
    assert result.stderr == f"Error: Job {job.id} has landed: it is completed.\n"


def test_a_landed_job_is_retried(run: Run, service: JobService) -> None:
    job = failed_job(service.store)
    result = run("retry", str(job.id), "--failed")
    assert result.exit_code == 0, result.stderr
    (again, _) = service.list_jobs(job.user_id).items
    assert (again.status, again.retry_of) == (JobStatus.QUEUED, job.id)
    assert result.stdout == f"Job {again.id} is queued; it retries job {job.id}.\n"


def test_a_job_that_has_not_landed_cannot_be_retried(run: Run, job_in: JobIn) -> None:
    result = run("retry", str(job_in("processing").id))
    assert result.exit_code == 1
    assert "has not landed: it is processing, and only what has landed" in result.stderr


def test_a_job_that_no_task_runs_cannot_be_retried(run: Run, job_in: JobIn) -> None:
    result = run("retry", str(job_in("failed").id))
    assert result.exit_code == 1
    assert "no Celery task runs it" in result.stderr


def test_an_unknown_job_cannot_be_cancelled(run: Run) -> None:
    result = run("cancel", str(uuid4()))
    assert result.exit_code == 1
    assert "does not exist" in result.stderr


def test_a_cancelled_job_is_printed_as_json(run: Run, job_in: JobIn, service: JobService) -> None:
    job = job_in("queued")
    printed = json.loads(run("cancel", str(job.id), "--json").stdout)
    assert printed == service.get_job_internal(job.id).to_dict(internal=True)


def test_a_round_of_the_sweeper_says_what_it_did(
    run: Run, service: JobService, connect: Callable[[], object]
) -> None:
    processing_job(service.store)
    assert run("sweep").stdout == "Nothing was due.\n"
    connect().execute(ENDED_LONG_AGO)  # type: ignore[attr-defined]
    assert json.loads(run("sweep", "--json").stdout) == {
        "buried": 0,
        "unjudged": 0,
        "rescued": 1,
        "failed": 0,
        "published": 0,
        "cleaned": 0,
        "purged": 0,
    }


def test_a_single_round_lasts_until_silent_workers_can_be_judged(
    run: Run,
    service: JobService,
    connect: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever could not reach the database either has a lease's time to renew."""
    for name, seconds in (("LEASE", "3"), ("HEARTBEAT", "1"), ("SWEEP_INTERVAL", "0.1")):
        monkeypatch.setenv(f"JOBSTATE_{name}", seconds)
    hold = processing_job(service.store)
    connect().execute(SILENT)  # type: ignore[attr-defined]
    report = json.loads(run("sweep", "--json").stdout)
    assert (report["buried"], report["unjudged"], report["rescued"]) == (1, 0, 1)
    assert service.get_job_internal(hold.job_id).worker_id is None


def test_sweeping_goes_on_round_after_round_until_it_is_interrupted(
    start: Start, service: JobService, connect: Callable[[], object], jobs_url: str
) -> None:
    sweeping = start(*JOBSTATE, "sweep", "--every", "0.1", "--json", JOBSTATE_DATABASE_URL=jobs_url)
    sweeping.read_until('"rescued": 0')
    processing_job(service.store)
    connect().execute(ENDED_LONG_AGO)  # type: ignore[attr-defined]
    sweeping.read_until('"rescued": 1')
    sweeping.read_until('"rescued": 0')
    sweeping.end(signal.SIGINT)
    assert "Traceback" not in sweeping.complaints


def test_sweeping_ends_when_its_container_is_stopped(start: Start, jobs_url: str) -> None:
    sweeping = start(*JOBSTATE, "sweep", "--every", "0.1", "--json", JOBSTATE_DATABASE_URL=jobs_url)
    for _ in range(2):  # From the second round on, it goes on and on.
        sweeping.read_until('"rescued": 0')
    assert sweeping.end(signal.SIGTERM) == 0
    assert sweeping.complaints == ""


def test_sweeping_outlasts_a_database_that_goes_away(
    start: Start, service: JobService, connect: Callable[[], object], jobs_url: str
) -> None:
    sweeping = start(*JOBSTATE, "sweep", "--every", "0.1", "--json", JOBSTATE_DATABASE_URL=jobs_url)
    sweeping.read_until('"rescued": 0')
    with unreachable(jobs_url):
        eventually(lambda: "Trying again" in sweeping.complaints)
    processing_job(service.store)
    connect().execute(ENDED_LONG_AGO)  # type: ignore[attr-defined]
    sweeping.read_until('"rescued": 1')
    sweeping.end(signal.SIGINT)
    assert sweeping.complaints.count("Trying again") == 1


def test_workers_are_listed_with_what_they_hold(run: Run, service: JobService) -> None:
    assert run("workers").stdout == "No worker runs.\n"
    hold = processing_job(service.store)
    idle = new_worker(service.store)
    line = next(line for line in run("workers").stdout.splitlines() if str(hold.job_id) in line)
    assert "alive" in line
    printed = {each["id"]: each["holds"] for each in json.loads(run("workers", "--json").stdout)}
    assert printed == {str(hold.worker_id): [str(hold.job_id)], str(idle): []}
