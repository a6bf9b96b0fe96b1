"""The chaos kit: kill a task at every statement it sends to the database, and see what is left."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from jobstate import reading, sweeping
from jobstate.assets import folder_of
from jobstate.celery import JobState, JobTask
from jobstate.celery.trial import empty_broker, publish_again, taking_jobs, work
from jobstate.records import Job
from jobstate.store import Store
from jobstate.testing.trial import drain, every_job, on_trial, told
from jobstate.waiting import looks

MOST = 500
"""At how many moments a task is killed at most."""

_CLEANED_WITHIN = 30.0
"""How long the sweeper may take to remove what dead attempts have left, in seconds."""


def kill_at_every_write(
    task: JobTask, *args: Any, user_id: object = None, **kwargs: Any
) -> list[Job]:
    """Run a task once for each moment at which it can die, and kill it there; return the jobs.

    A moment is before or after a statement that its attempt sends to the database. Each run is a
    job of its own, in a process of its own that gets SIGKILL. Then the sweeper finds the job, and
    what may run again does. The last job was not killed.

    Args:
        task: The task.
        args: Its arguments.
        kwargs: Its arguments by name.
        user_id: The owner; None: a UUID.

    Raises:
        AssertionError: A job did not land, or landed more than once; or a file is left that no
            asset shows, or an asset without its file.
    """
    jobs = on_trial()
    owner = uuid4() if user_id is None else user_id
    landed: list[Job] = []
    for moment in range(1, MOST + 1):
        job = task.enqueue(*args, user_id=owner, **kwargs)
        killed = _in_child(lambda job=job, moment=moment: _run(jobs, job, moment))  # type: ignore[misc]
        _recover(jobs)
        landed.append(jobs.service.get_job_internal(job.id))
        _check_landing(jobs, landed[-1], moment)
        if not killed:
            _check_files(jobs, landed)
            return landed
    raise AssertionError(f"{task.name} has more than {MOST} moments to die: give it less to do.")


def _run(jobs: JobState, job: Job, moment: int) -> None:
    with taking_jobs(jobs.app):
        _die_at(moment)
        work(jobs.app, [job.queue] if job.queue else [])


def _die_at(moment: int) -> None:
    """Have this process die before or after its next statements: at the so manieth moment."""
    execute = Store._execute  # noqa: SLF001 - every statement of an attempt goes through it
    passed = 0

    def pass_moment() -> None:
        nonlocal passed
        passed += 1
        if passed == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(*arguments: Any) -> Any:
        pass_moment()
        rows = execute(*arguments)
        pass_moment()
        return rows

    Store._execute = counted  # type: ignore[method-assign,assignment]  # noqa: SLF001


def _in_child(run: Callable[[], None]) -> bool:
    """Do something in a process of its own; return whether it was killed.

    Raises:
        AssertionError: It ended otherwise than by being killed, or by itself.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        status = 1
        try:
            run()
            status = 0
        except BaseException:  # noqa: BLE001 - the parent raises it
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        complaint = said.read().decode()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise AssertionError(f"The process of a job ended with status {code}. {complaint}")
    return code != 0


def _recover(jobs: JobState) -> None:
    """Do what the others would: bury the dead, sweep, publish what the dead broker had, work."""
    store = jobs.service.store
    for worker in jobs.service.workers():
        store.run(sweeping.end_worker(worker.id))
    jobs.service.sweep()
    if _in_child(lambda: _work_off(jobs)):
        raise AssertionError("The process that runs jobs again was killed, and not by this kit.")
    # That process had copies of them: the next one must begin with its own job.
    empty_broker()


def _work_off(jobs: JobState) -> None:
    for job in every_job(jobs):
        if not job.is_terminal or job.followups_pending:
            publish_again(jobs.app, job.id)
    drain()


def _check_landing(jobs: JobState, job: Job, moment: int) -> None:
    events = jobs.service.get_job_events(job.id, job.user_id)
    ends = [event.to_status for event in events if event.to_status == job.status]
    if not job.is_terminal or len(ends) != 1 or job.followups_pending:
        raise AssertionError(
            f"Killed at moment {moment}, the job has not landed once, with all that follows: "
            f"{told([job])}\nIts history: {[event.to_status or event.event for event in events]}"
        )


def _check_files(jobs: JobState, landed: list[Job]) -> None:
    left: list[str] = []
    for pause in looks(_CLEANED_WITHIN):
        jobs.service.sweep()
        left = [problem for job in landed for problem in _problems(jobs, job)]
        if not left or pause is None:
            break
        time.sleep(pause)
    if left:
        raise AssertionError("Files and assets do not fit: " + "; ".join(left))


def _problems(jobs: JobState, job: Job) -> list[str]:
    shown = {asset.storage_path for asset in jobs.service.get_job_assets(job.id, job.user_id)}
    found = []
    if orphans := jobs.service.store.run(reading.orphans(job.id)):
        found.append(f"job {job.id} has {orphans} assets of attempts that are over")
    if (folder := _folder(jobs)) is not None:
        home = str(Path(folder_of(job.user_id, job.id, job.attempt)).parent)
        files = (path for path in (folder / home).rglob("*") if path.is_file())
        there = {str(path.relative_to(folder)) for path in files}
        kept = {path for path in shown if path.startswith(f"{home}/")}
        found += [f"nobody shows {path}" for path in sorted(there - shown)]
        found += [f"the file {path} is missing" for path in sorted(kept - there)]
    return found


def _folder(jobs: JobState) -> Path | None:
    parts = urlsplit(jobs.settings.storage_url or "")
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
