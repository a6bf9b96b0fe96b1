"""One database of the scale benchmark, with a worker that takes jobs in it."""

import os
import random
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg

from jobstate import JobService, JobStatus, Settings, attempts, sweeping
from jobstate.attempts import Hold, Landing, Policy
from jobstate.creation import NewJob
from jobstate.store.migrations import apply

DAY = 86_400.0

POLICY = Policy(idempotent=True, max_rescues=3, keep_partial=False, no_progress=None)

# Nobody publishes here. Nothing is as old as what is to be removed, nor of that status.
SETTINGS = {
    "jobstate_publish_grace": DAY,
    "jobstate_retention": {"completed": 1000 * DAY, "failed": 1000 * DAY, "partial": DAY},
}


class Site:
    """A database of a server, with a worker whose lease outlasts the benchmark.

    Args:
        url: The database, as SQLAlchemy writes it.
        owners: Whose lists and counts are read; they have the first live jobs.
    """

    def __init__(self, url: str, owners: list[UUID]) -> None:
        self.url = url
        self.owners = owners
        apply(Settings.for_database(url))
        conf = {"jobstate_database_url": url, **SETTINGS}
        self.service = JobService.from_settings(Settings.load(conf))
        self.plain = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self.worker_id = uuid4()
        hold = sweeping.register_worker(self.worker_id, "here", os.getpid(), [], DAY)
        self.service.store.run(hold)
        self.held: list[Hold] = []
        self.queued: list[UUID] = []

    def enqueue(self, number: int = 1, owned: int = 0) -> None:
        """Add live jobs, so many of them for each of the owners."""
        for n in range(number):
            owner = self.owners[n % len(self.owners)] if n < owned * len(self.owners) else uuid4()
            new = NewJob(user_id=owner, job_type=f"report {n % 10}", message="{}")
            self.queued.append(self.service.create(new).id)

    def take(self) -> None:
        """Take the job that was enqueued last, as a worker does."""
        job_id = self.queued.pop()
        take = attempts.take(job_id, 0, self.worker_id, os.getpid(), POLICY)
        taking = self.service.store.run(take)
        assert taking is not None
        assert taking.done
        self.held.append(Hold(job_id, 1, self.worker_id, os.getpid()))

    def land(self) -> None:
        """Land it."""
        landing = Landing(JobStatus.COMPLETED, result="{}")
        done, _ = self.service.store.run(
            attempts.land(self.held.pop(), landing, None, followups=False)
        )
        assert done

    def landed(self, number: int) -> list[UUID]:
        """Return the ids of some jobs that have landed, from all over the table."""
        percent = min(100, 10_000 * number / self.rows())
        found = self.plain.execute(
            "select id from jobstate.jobs tablesample system (%s) where status = 'completed'",
            [percent],
        ).fetchall()
        return random.sample([job_id for (job_id,) in found], min(number, len(found)))

    def landed_of_owners(self) -> list[UUID]:
        """Return the ids of jobs of the owners that have landed, in any order."""
        found = self.plain.execute(
            "select id from jobstate.jobs where user_id = any(%s) and status = 'completed'",
            [self.owners],
        ).fetchall()
        return random.sample([job_id for (job_id,) in found], len(found))

    def rows(self) -> int:
        """Return about how many jobs there are."""
        row = self.plain.execute(
            "select reltuples::bigint from pg_class where oid = 'jobstate.jobs'::regclass"
        ).fetchone()
        assert row
        return int(row[0])

    def close(self) -> None:
        """Give the connections back."""
        self.service.close()
        self.plain.close()


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
