"""What a test asks of the app that is on trial: work its jobs off, and look at them."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from jobstate import reading
from jobstate.celery import JobState, JobTask
from jobstate.celery.trial import taking_jobs, work
from jobstate.errors import ConfigurationError
from jobstate.records import Job
from jobstate.states import JobStatus
from jobstate.store import Operation

MOST = 10_000
"""How many jobs a test may have."""

_trials: list[JobState] = []


def begin(jobs: JobState) -> None:
    """Have the functions of this package speak to these jobs."""
    _trials.append(jobs)


def end() -> None:
    """Have them speak to the ones before."""
    _trials.pop()


def on_trial() -> JobState:
    """Return the jobs of the app that is on trial.

    Raises:
        ConfigurationError: The test does not use the fixture `jobstate_app`.
    """
    if not _trials:
        raise ConfigurationError(
            "No app is on trial: assert_lands, assert_enqueued, drain and kill_at_every_write work "
            "on the one of the fixture jobstate_app. Have the test use it."
        )
    return _trials[-1]


def drain(timeout: float = 60.0) -> list[Job]:
    """Run what is queued, in this process, until nothing is left that is due; return all jobs.

    What jobs enqueue is run too: chains, callbacks, retries. Nothing is waited for: a countdown or
    an eta of up to a minute counts as passed, and what is due later stays queued.

    Args:
        timeout: How many seconds it may take; one task is never interrupted.

    Raises:
        AssertionError: It takes longer, as when a task retries itself for ever.
    """
    jobs = on_trial()
    ends_at = time.monotonic() + timeout
    with taking_jobs(jobs.app):
        while _step(jobs):
            if time.monotonic() > ends_at:
                live = [job for job in every_job(jobs) if not job.is_terminal]
                raise AssertionError(f"Still not drained after {timeout:g} s: {told(live)}")
    return every_job(jobs)


def assert_lands(
    job: Job | UUID | str,
    status: JobStatus | str = JobStatus.COMPLETED,
    *,
    error_code: str | None = None,
) -> Job:
    """Return the job, landed in this status; what is queued is run first, if it is still live.

    Raises:
        AssertionError: It is in another status, or has another error code.
    """
    service = on_trial().service
    job_id = job.id if isinstance(job, Job) else job
    found = service.get_job_internal(job_id)
    if not found.is_terminal:
        drain()
        found = service.get_job_internal(job_id)
    wanted = JobStatus(status)
    if found.status is not wanted or error_code not in (None, found.error_code):
        expected = wanted if error_code is None else f"{wanted} with {error_code}"
        raise AssertionError(f"The job should be {expected}: {told([found])}")
    return found


def assert_enqueued(
    task: JobTask | str,
    *,
    parameters: Mapping[str, Any] | None = None,
    user_id: object = None,
    times: int | None = None,
) -> Job:
    """Return the newest job of a task that was enqueued, whatever has become of it since.

    Args:
        task: The task, or its name.
        parameters: Only jobs that have all of these among their parameters.
        user_id: Only jobs of this owner.
        times: How many there must be; None: one or more.

    Raises:
        AssertionError: There is none, or another number of them.
    """
    name = task if isinstance(task, str) else task.name
    jobs = every_job(on_trial())
    found = [
        job
        for job in jobs
        if job.task_name == name
        and (user_id is None or str(job.user_id) == str(user_id))
        and (parameters or {}).items() <= dict(job.parameters).items()
    ]
    if not found or times not in (None, len(found)):
        wanted = "a job" if times is None else f"{times} jobs"
        raise AssertionError(
            f"There should be {wanted} of {name} with {dict(parameters or {})}, but {len(found)} "
            f"fit. All jobs: {told(jobs)}"
        )
    return found[0]


def empty_tables() -> Operation[None]:
    """Delete all there is."""
    return Operation("empty_tables", {}, lambda _: None)


def every_job(jobs: JobState) -> list[Job]:
    """Read all jobs, the newest first."""
    page = jobs.service.store.run(reading.list_all_jobs(status=None, job_type=None, limit=MOST))
    return sorted(page.items, key=lambda job: (job.created_at, job.id), reverse=True)


def told(jobs: list[Job]) -> str:
    """Say in a line for each job what became of it, and where an error comes from."""
    lines = []
    for job in jobs:
        why = ": ".join(filter(None, (job.error_code, job.error_message)))
        lines.append(
            f"\n  {job.id} {job.task_name or job.job_type} {job.parameters} is {job.status}"
        )
        lines.append(f" ({why})" if why else "")
        lines.append("\n" + str((job.error_detail or {}).get("traceback") or ""))
    return "".join(lines).rstrip() or "none"


def _step(jobs: JobState) -> bool:
    """Run one message; or publish what is due. Return whether there was anything."""
    queues = {job.queue for job in every_job(jobs) if job.queue and not job.is_terminal}
    if work(jobs.app, queues):
        return True
    return jobs.service.sweep().published > 0
