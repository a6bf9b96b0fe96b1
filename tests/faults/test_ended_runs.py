"""Runs that somebody else ends: their processes end too."""

import os

from jobstate import Job
from tests.faults.site import FaultySite
from tests.worker.process import eventually


def process_of(site: FaultySite, job: Job) -> int:
    """Wait until the body runs; return its process."""
    pid: int = site.gates.read(f"pid:{job.id}")
    return pid


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_body_that_says_nothing_is_terminated_when_it_is_cancelled(lasting: FaultySite) -> None:
    job = lasting.enqueue("says_nothing")
    pid = process_of(lasting, job)
    lasting.service.cancel(job.id, job.user_id)
    lasting.failed(job, "cancelled", "")
    eventually(lambda: is_gone(pid), "the end of the process")
    assert lasting.completed(lasting.enqueue("adds", 1)).result == 1


def test_a_body_is_terminated_at_its_deadline(lasting: FaultySite) -> None:
    job = lasting.enqueue_with("says_nothing", deadline=3)
    pid = process_of(lasting, job)
    lasting.failed(job, "deadline", "")
    eventually(lambda: is_gone(pid), "the end of the process")


def test_a_body_that_reports_nothing_for_too_long_is_terminated(lasting: FaultySite) -> None:
    errback = lasting.task("is_told").si()
    told = errback.freeze().id
    job = lasting.enqueue_with("falls_silent", link_error=errback)
    pid = process_of(lasting, job)
    lasting.failed(job, "no_progress", "")
    eventually(lambda: is_gone(pid), "the end of the process")
    lasting.completed(told)
    lasting.quiet(job)
    assert lasting.runs(told) == [1]
