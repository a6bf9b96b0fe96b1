"""A whole worker is killed, frozen or shut down; another one goes on with its jobs."""

import os
import signal

import pytest

from jobstate import JobStatus
from tests.faults.site import FaultySite
from tests.worker.process import eventually


def test_the_jobs_of_a_killed_worker_run_again_or_fail(faulty: FaultySite) -> None:
    first = faulty.start()
    late, early = faulty.enqueue("waits_late"), faulty.enqueue("waits")
    faulty.running(late)
    faulty.running(early)
    first.kill()
    faulty.start()
    faulty.let(late, 2)
    faulty.failed(early, "worker_lost", "The worker that ran the job was lost.")
    job = faulty.completed(late)
    assert (job.result, job.rescues) == (2, 1)
    assert faulty.runs(late) == [1, 2]
    assert faulty.runs(early) == [1]


def test_nothing_that_a_frozen_worker_writes_afterwards_is_visible(faulty: FaultySite) -> None:
    frozen = faulty.start("prefork", "-c", "1")
    job = faulty.enqueue("writes_at_the_gate")
    faulty.running(job)
    os.killpg(frozen.pid, signal.SIGSTOP)
    try:
        faulty.start("prefork", "-c", "1")
        faulty.running(job, 2)
    finally:
        os.killpg(frozen.pid, signal.SIGCONT)
    faulty.let(job, 1)
    faulty.gates.reached(f"{job.id}:1:end")
    assert faulty.read(job).progress == 0
    faulty.gates.open(f"{job.id}:1:end")
    frozen.says("was silent for its whole lease")
    eventually(lambda: "stale_write" in faulty.events(job))
    assert not faulty.read(job).is_terminal
    faulty.let(job, 2)
    faulty.gates.reached(f"{job.id}:2:end")
    faulty.gates.open(f"{job.id}:2:end")
    landed = faulty.completed(job)
    assert (landed.result, landed.attempt, landed.rescues) == ("attempt 2", 2, 1)
    assert landed.progress_message == "attempt 2"
    assets = faulty.service.get_job_assets(job.id, job.user_id)
    assert [asset.url for asset in assets] == ["attempt 2"]
    assert faulty.gates.notes(f"stored:{job.id}") == [2]


def test_a_frozen_worker_takes_jobs_again_under_a_new_id(faulty: FaultySite) -> None:
    worker = faulty.start()
    before = {found.id for found in faulty.service.workers()}
    faulty.sql("update jobstate.workers set dead_at = now()")
    worker.says("goes on under a new id")
    assert faulty.completed(faulty.enqueue("adds", 1)).result == 1
    after = {found.id for found in faulty.service.workers()}
    assert len(after) == 1
    assert after.isdisjoint(before)


def test_a_warm_shutdown_finishes_what_runs(faulty: FaultySite) -> None:
    worker = faulty.start()
    late, early = faulty.enqueue("waits_late"), faulty.enqueue("waits")
    faulty.running(late)
    faulty.running(early)
    os.kill(worker.pid, signal.SIGTERM)
    worker.says("Warm shutdown")
    faulty.let(late)
    faulty.let(early)
    assert worker.ended() == 0
    for job in (late, early):
        assert faulty.completed(job).result == 1
    assert faulty.service.workers() == []


@pytest.mark.parametrize("how", ["cold", "group"])
def test_a_rough_shutdown_loses_no_job(faulty: FaultySite, how: str) -> None:
    """SIGQUIT to the main process; or SIGTERM to the whole group, as a terminal window sends."""
    worker = faulty.start()
    late, early = faulty.enqueue("waits_late"), faulty.enqueue("waits")
    faulty.running(late)
    faulty.running(early)
    if how == "cold":
        os.kill(worker.pid, signal.SIGQUIT)
    else:
        os.killpg(worker.pid, signal.SIGTERM)
    faulty.let(late, 2)
    worker.ended()
    faulty.start()
    faulty.failed(early, "worker_lost", "The worker that ran the job was lost.")
    assert faulty.completed(late).result == 2
    assert faulty.runs(early) == [1]
    assert faulty.runs(late) == [1, 2]


def test_a_job_that_nobody_can_run_yet_waits_for_the_next_worker(faulty: FaultySite) -> None:
    job = faulty.enqueue("adds", 1)
    assert job.status is JobStatus.QUEUED
    faulty.start()
    assert faulty.completed(job).result == 1
