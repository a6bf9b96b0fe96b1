"""Pool processes come and go all the time, some of them by force."""

from contextlib import suppress
from typing import Any

import psutil

from jobstate import Job
from tests.faults.site import FaultySite
from tests.worker.process import eventually

JOBS = 60
KILLS = 10


def test_only_jobs_whose_process_was_killed_are_rescued(faulty: FaultySite) -> None:
    worker = faulty.start("prefork", "-c", "8", "--max-tasks-per-child=1")
    early = [faulty.enqueue("works_for_a_moment") for _ in range(JOBS // 2)]
    late = [faulty.enqueue("works_for_a_moment_late") for _ in range(JOBS // 2)]
    # A message may get lost in a process that is killed: a later job that runs is the evidence.
    last = faulty.enqueue("waits")
    killed = kill_children_while_jobs_land(faulty, worker.pid, last)
    faulty.let(last)
    assert len(killed) == KILLS
    for job in early:
        landed, runs = faulty.landed(job), runs_of(faulty, job)
        assert landed.attempt == 1
        assert len(runs) <= 1
        assert "rescue" not in faulty.events(job)
        if landed.error_code is not None:
            assert landed.error_code == "worker_lost"
            assert runs.get(1, killed[0]) in killed
        else:
            assert list(runs) == [1]
    for job in late:
        landed, runs = faulty.completed(job), runs_of(faulty, job)
        assert landed.attempt == landed.rescues + 1
        for event in faulty.history(job):
            if event.event == "rescue":
                assert runs.get(event.attempt, killed[0]) in killed
        assert landed.attempt in runs


def kill_children_while_jobs_land(site: FaultySite, main: int, last: Job) -> list[int]:
    """Kill one whenever some more have landed, and wait for all but the last; return who it was."""
    killed: list[int] = []
    count = "select count(*) from jobstate.jobs where completed_at is not null and id <> %s"

    def all_landed() -> bool:
        ((landed,),) = site.sql(count, last.id)
        spared = site.read(last).pid
        children = [each for each in psutil.Process(main).children() if each.pid != spared]
        if len(killed) < KILLS and landed > len(killed) * JOBS * 0.9 / KILLS and children:
            victim = children[len(killed) % len(children)]
            # Each ends by itself after a task, perhaps just now.
            with suppress(psutil.NoSuchProcess):
                victim.kill()
                killed.append(victim.pid)
        return bool(landed == JOBS and len(killed) == KILLS)

    eventually(all_landed, "the landing of all jobs")
    return killed


def runs_of(site: FaultySite, job: Job) -> dict[int, Any]:
    """Return the process of each attempt whose body ran; no attempt's body ran twice."""
    notes = site.gates.notes(f"process:{job.id}")
    runs = dict(notes)
    assert len(runs) == len(notes)
    return runs
