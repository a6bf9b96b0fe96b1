"""``python -m tests.chaos``: many jobs under a random, seeded schedule of all faults, and a count.

Ends with exit status 0 when every job landed exactly once, none ran twice that may not, and the
history holds no illegal event.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg

from jobstate import Settings
from jobstate.embedded import Postgres, Redis
from jobstate.store.migrations import apply

OWNER = uuid4()
WORKERS = 2
PATIENCE = 180.0
"""How long the jobs may take to land once the faults are over, in seconds."""

LANDED_ONCE = """
select count(*) from (
    select job_id from jobstate.job_events
    where to_status in ('completed', 'failed', 'partial') group by job_id having count(*) = 1
) as once
"""
LANDED_TWICE = LANDED_ONCE.replace("= 1", "> 1")
LIVE = "select count(*) from jobstate.jobs where completed_at is null or followups_pending"
ILLEGAL = """
select count(*) from jobstate.job_events where event = 'transition' and
(coalesce(from_status, ''), to_status) not in (('', 'queued'), ('queued', 'processing'),
('processing', 'completed'), ('processing', 'partial'), ('processing', 'failed'))
"""
HELD = "select count(*) from jobstate.jobs where worker_id is not null"
STATUSES = """
select status || coalesce(' ' || error_code, ''), count(*) from jobstate.jobs group by 1 order by 1
"""


class Site:
    """The servers and the workers of a run, and what can be done to them."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.chance = chance
        self.postgres = Postgres(directory / "postgres", settings={"fsync": "off"})
        self.redis = Redis()
        self.postgres.start()
        self.redis.start()
        self.environment = os.environ | {
            "JOBSTATE_DATABASE_URL": self.postgres.url,
            "JOBSTATE_BROKER_URL": self.redis.url,
            "CHAOS_LOG": str(directory / "runs.log"),
        }
        self.directory = directory
        self.workers = [self.start_worker(index) for index in range(WORKERS)]

    def start_worker(self, index: int) -> subprocess.Popen[bytes]:
        """Start a worker in a process group of its own."""
        name = f"chaos{index}-{uuid4().hex[:6]}@%h"
        command = [
            *(sys.executable, "-m", "celery", "--app", "tests.chaos.tasks", "worker"),
            *("--concurrency", "4", "--hostname", name, "--loglevel", "INFO"),
        ]
        with (self.directory / f"worker{index}.log").open("ab") as log:
            return subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def revive(self) -> None:
        """Do what a supervisor does: start again what has ended."""
        for index, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[index] = self.start_worker(index)

    def close(self) -> None:
        """End everything."""
        for worker in self.workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        self.postgres.stop()
        self.redis.stop()

    def kill_child(self) -> None:
        """SIGKILL one process of a pool."""
        worker = self.chance.choice(self.workers)
        listed = subprocess.run(
            ["/bin/ps", "-o", "pid=", "--ppid", str(worker.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        if children := listed.stdout.split():
            os.kill(int(self.chance.choice(children)), signal.SIGKILL)

    def kill_main(self) -> None:
        """SIGKILL a worker's main process."""
        os.kill(self.chance.choice(self.workers).pid, signal.SIGKILL)

    def kill_group(self) -> None:
        """SIGKILL a worker with all its processes."""
        os.killpg(self.chance.choice(self.workers).pid, signal.SIGKILL)

    def terminate_group(self) -> None:
        """SIGTERM to all processes of a worker, as a container runtime does."""
        os.killpg(self.chance.choice(self.workers).pid, signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP a worker past its lease, and SIGCONT."""
        worker = self.chance.choice(self.workers)
        os.killpg(worker.pid, signal.SIGSTOP)
        time.sleep(self.chance.uniform(1, 9))
        os.killpg(worker.pid, signal.SIGCONT)

    def restart_postgres(self) -> None:
        """Stop Postgres, fast or at once, for some seconds."""
        self.postgres.stop(immediate=self.chance.random() < 1 / 2)
        time.sleep(self.chance.uniform(0, 4))
        self.postgres.start()

    def empty_redis(self) -> None:
        """Kill Redis, which keeps nothing, and start it again."""
        os.kill(self.redis.pid, signal.SIGKILL)
        self.redis.restart()

    def faults(self) -> list[Callable[[], None]]:
        """List what can happen, likelier things more often."""
        return [
            *(self.kill_child,) * 4,
            *(self.kill_main, self.kill_group, self.terminate_group) * 2,
            *(self.pause,) * 2,
            *(self.restart_postgres,) * 2,
            self.empty_redis,
        ]


def main() -> int:
    """Run, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=180)
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 - a schedule, no secret
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory), chance)
        try:
            os.environ.update(site.environment)
            apply(Settings.for_database(site.postgres.url))
            return run(site, options.jobs, options.seconds)
        finally:
            site.close()


def run(site: Site, count: int, seconds: float) -> int:
    """Enqueue the jobs while the faults happen, wait until all have landed, print the figures."""
    from tests.chaos.tasks import again, once, step  # noqa: PLC0415 - needs the servers' addresses

    faults: Counter[str] = Counter()
    ends_at = time.monotonic() + seconds
    enqueued, accepted = 0, 0
    fault_at = time.monotonic() + 5
    while time.monotonic() < ends_at:
        due = count - int(count * (ends_at - time.monotonic()) / seconds)
        while enqueued < due:
            enqueued += 1
            accepted += enqueue(site.chance.choice(["once", "again", "chain"]), once, again, step)
        site.revive()
        if time.monotonic() > fault_at:
            fault = site.chance.choice(site.faults())
            faults[fault.__name__] += 1
            fault()
            fault_at = time.monotonic() + site.chance.uniform(1, 4)
        time.sleep(0.05)
    return report(site, accepted, faults)


def enqueue(kind: str, once: object, again: object, step: object) -> int:
    """Enqueue a job; the database may be away, and then nothing was accepted."""
    from jobstate import StoreUnavailable  # noqa: PLC0415 - beside the tasks

    try:
        if kind == "chain":
            (again.s().set(user_id=OWNER) | step.s()).apply_async()  # type: ignore[attr-defined]
        else:
            (once if kind == "once" else again).enqueue(user_id=OWNER)  # type: ignore[attr-defined]
    except StoreUnavailable:
        return 0
    return 1


def report(site: Site, accepted: int, faults: Counter[str]) -> int:
    """Wait for the rest, then print what there is to say."""
    gives_up_at = time.monotonic() + PATIENCE
    url = site.postgres.url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:

        def ask(statement: str) -> int:
            return int(connection.execute(statement).fetchone()[0])  # type: ignore[index,arg-type]

        while ask(LIVE) and time.monotonic() < gives_up_at:
            site.revive()
            time.sleep(0.5)
        starts = (site.directory / "runs.log").read_text().split("\n")[:-1]
        runs = Counter(tuple(line.split()[:2]) for line in starts)
        twice = sum(number > 1 for (kind, _), number in runs.items() if kind == "once")
        figures = {
            "jobs accepted": accepted,
            "jobs in all, with chain steps": ask("select count(*) from jobstate.jobs"),
            "faults injected": sum(faults.values()),
            "bodies started": len(starts),
            "landed exactly once": ask(LANDED_ONCE),
            "landed more than once (must be 0)": ask(LANDED_TWICE),
            "run twice although at-most-once (must be 0)": twice,
            "live (must be 0)": ask(LIVE),
            "held (must be 0)": ask(HELD),
            "illegal events (must be 0)": ask(ILLEGAL),
        }
        for name, number in sorted(faults.items()):
            print(f"  {name.replace('_', ' '):<44} {number:>6}")
        for name, number in connection.execute(STATUSES).fetchall():
            print(f"  {name:<44} {number:>6}")
    for name, number in figures.items():
        print(f"{name:<46} {number:>6}")
    wrong = [name for name, number in figures.items() if "must be 0" in name and number]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
