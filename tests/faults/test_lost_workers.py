"""A worker is frozen, or was never there; others go on with its jobs."""

import os
import signal

from jobstate import JobStatus
from tests.faults.site import FaultySite
from tests.worker.process import eventually


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


def test_a_job_that_nobody_can_run_yet_waits_for_the_next_worker(faulty: FaultySite) -> None:
    job = faulty.enqueue("adds", 1)
    assert job.status is JobStatus.QUEUED
    faulty.start()
    assert faulty.completed(job).result == 1
