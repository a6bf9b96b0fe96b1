"""A site whose workers may be killed, with leases short enough to wait for."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from jobstate import Job, JobTask
from tests.worker.process import WorkerProcess, eventually
from tests.worker.site import Site

TASKS = ("tests.faults.tasks", "tests.faults.canvases")

CONF = {
    "imports": TASKS,
    "jobstate_lease": 6,
    "jobstate_heartbeat": 1,
    "jobstate_sweep_interval": 0.5,
    "jobstate_lost_grace": 0.5,
    "jobstate_publish_grace": 1,
    "jobstate_cancel_grace": 1,
}


class FaultySite(Site):
    """Starts workers, one after the other or side by side; all end with the ``with`` block.

    Args:
        folder: Where the workers' logs go.
        database_url: The database of the jobs.
        broker_url: A Redis database of this site's own.
    """

    def __init__(self, folder: Path, database_url: str, broker_url: str, **conf: Any) -> None:
        super().__init__(database_url, broker_url, **{**CONF, **conf})
        self._folder = folder
        self._opened = ExitStack()
        self._workers = 0

    def __exit__(self, *error: object) -> None:
        """End the workers, then close every connection."""
        self._opened.close()
        super().__exit__(*error)

    def start(self, pool: str = "prefork", *arguments: str, **conf: Any) -> WorkerProcess:
        """Start a worker, with more configuration of its own, and wait until it takes messages."""
        self._workers += 1
        log = self._folder / f"worker-{self._workers}.log"
        worker = WorkerProcess(log, pool, {**self.conf, **conf}, arguments)
        self.worker = self._opened.enter_context(worker)
        return self.worker.ready()

    def supervised(self, condition: Callable[[], object], what: str) -> None:
        """Wait; whenever the worker has ended by itself, start another, as a supervisor does."""

        def holds() -> object:
            if self.worker is None or not self.worker.alive:
                self.start()
            return condition()

        eventually(holds, what)

    def task(self, name: str) -> JobTask:
        """Return a task of the faults' own."""
        names = (f"{module}.{name}" for module in TASKS)
        found: JobTask = next(self.app.tasks[full] for full in names if full in self.app.tasks)
        return found

    def running(self, job: Job, attempt: int = 1) -> None:
        """Wait until an attempt stands at its gate."""
        self.gates.reached(f"{job.id}:{attempt}")

    def let(self, job: Job, attempt: int = 1) -> None:
        """Open the gate of an attempt."""
        self.gates.open(f"{job.id}:{attempt}")

    def runs(self, job: Job | UUID | str) -> list[int]:
        """Return the attempts whose bodies ran."""
        return self.gates.notes(f"ran:{job.id if isinstance(job, Job) else job}")

    def events(self, job: Job) -> list[str]:
        """Return what has happened to a job: the statuses it came to, and other events."""
        return [str(event.to_status or event.event) for event in self.history(job)]

    def quiet(self, job: Job | UUID | str) -> Job:
        """Wait until nothing is left to do for a job that has landed."""
        self.landed(job)
        eventually(lambda: not self.read(job).followups_pending, "the end of the follow-ups")
        return self.read(job)

    def sql(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as psql would."""
        url = self.conf["database_url"].replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []
