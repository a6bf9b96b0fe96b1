"""A site where fates strike, and what must be so once a job has landed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from jobstate import VALID_TRANSITIONS, Job, JobStatus, JobTask
from tests.fates.fate import Fate, pool_of
from tests.fates.table import cell, landing_in
from tests.faults.site import CONF, FaultySite
from tests.worker.process import WorkerProcess, eventually

TASKS = (
    "tests.worker.endings",
    "tests.faults.tasks",
    "tests.faults.canvases",
    "tests.fates.tasks",
    "tests.worker.reporting",
    "tests.worker.workings",
)
"""Where tasks are looked for, in this order."""

LOST = "The worker that ran the job was lost."


class FateSite(FaultySite):
    """Starts workers of one pool, and knows when the fate struck.

    Args:
        folder: Where the workers' logs go.
        column: The column of the table: a pool, and its broker.
        urls: The database, the broker, and the Redis of the gates.
    """

    def __init__(self, folder: Path, column: str, urls: dict[str, str], **conf: Any) -> None:
        imports = [*CONF["imports"], "tests.fates.tasks"]
        super().__init__(folder, **urls, **{"imports": imports, **conf})
        self.pool = pool_of(column)
        self.struck_at: datetime | None = None
        self.workers: list[WorkerProcess] = []

    @property
    def has_children(self) -> bool:
        """Whether a body has a process of its own, which may die alone."""
        return self.pool == "prefork"

    def boot(self, **conf: Any) -> WorkerProcess:
        """Start a worker of the site's pool; `conf` is this one's alone."""
        before, self.conf = self.conf, {**self.conf, **conf}
        self.workers.append(self.start(self.pool))
        self.conf = before
        return self.workers[-1]

    def run(self, *names: str, **conf: Any) -> list[Job]:
        """Start as many workers as these tasks need to run side by side, and have them run."""
        jobs = []
        for name in names:
            if not self.workers or self.pool == "solo":
                self.boot(**conf)
            jobs.append(self.enqueue(name))
            self.running(jobs[-1])
        return jobs

    def strikes(self, at: datetime | None = None) -> None:
        """Note that the fate strikes now."""
        self.struck_at = at or self.sql("select clock_timestamp()")[0][0]

    def steps(self, job: Job) -> list[str]:
        """Return what has happened to a job, but for messages that came or went once more."""
        passing = ("republish", "duplicate_delivery")
        return [event for event in self.events(job) if event not in passing]

    def is_unknown(self, job_id: str) -> bool:
        """Tell whether there is no such job."""
        return not self.sql("select from jobstate.jobs where id = %s", job_id)

    def task(self, name: str) -> JobTask:
        """Return the first task of this name."""
        names = (f"{module}.{name}" for module in TASKS)
        found: JobTask = next(self.app.tasks[full] for full in names if full in self.app.tasks)
        return found


@dataclass
class Lands:
    """Checks and records the landing of one fate's job."""

    fate: Fate
    column: str
    committed: str | None
    """What the table says; None: it is being written."""
    record: Callable[[str, object], None]

    def __call__(
        self,
        site: FateSite,
        job: Job | str,
        status: JobStatus,
        code: str | None = None,
        message: str | None = None,
    ) -> Job:
        """Wait for the landing: it is this one, happened once, and leaves nothing behind."""
        landed = site.landed(job)
        found = (landed.status, landed.error_code, landed.error_message)
        assert found == (status, code, message), f"{found}: {landed}"
        assert_the_history_is_legal(site, landed)
        eventually(lambda: not site.read(job).followups_pending, "an end of the follow-ups")
        held = "select id, task_name, status from jobstate.jobs where worker_id is not null"
        eventually(lambda: not site.sql(held), "an end of all holds")
        seen = cell(status, code, seconds_to_land(site, landed))
        if self.committed is not None:
            assert landing_in(seen) == landing_in(self.committed), (
                "docs/lifecycle.md says otherwise"
            )
        self.record("fate", [self.fate.name, self.column, seen])
        return landed


def assert_the_history_is_legal(site: FateSite, job: Job) -> None:
    """One landing, after legal moves alone, in order."""
    history = site.history(job)
    assert [event.at for event in history] == sorted(event.at for event in history)
    moves = [event for event in history if event.to_status is not None]
    assert (moves[0].from_status, moves[0].to_status) == (None, JobStatus.QUEUED)
    for before, after in pairwise(moves):
        assert after.from_status == before.to_status
        assert after.to_status in VALID_TRANSITIONS[JobStatus(before.to_status or "")]
    assert [move.to_status for move in moves].count(job.status) == 1
    assert moves[-1].to_status == job.status


def seconds_to_land(site: FateSite, job: Job) -> float:
    """Count from the moment the fate struck, or else from the start of the body."""
    began = site.struck_at or job.started_at or job.created_at
    assert job.completed_at is not None
    return max(0.0, (job.completed_at - began).total_seconds())
