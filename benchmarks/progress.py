"""What reporting costs: ``python -m benchmarks.progress``; see docs/how-to/progress.md.

The contestants take turns in one run, so that a busy machine slows all of them; medians of five
rounds. Postgres and Redis are real ones out of wheels, with fsync on.
"""

import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any
from uuid import uuid4

import psutil
import psycopg
from celery import Celery
from tqdm import tqdm

import jobstate
from jobstate import CurrentJob, JobTask, Settings
from jobstate.embedded import Postgres, Redis
from jobstate.store.migrations import apply

ROUNDS = 5
CALLS = 1_000_000
UPDATE_STATES = 1_000
ITEMS = 100_000


class Nobody:
    """The floor: a method that takes the same arguments and does nothing."""

    def progress(self, percent: Any = None, *, current: Any = None, total: Any = None) -> None:
        """Do nothing."""


class Nowhere:
    """Where tqdm prints."""

    def write(self, _: str) -> None:
        """Print nothing."""

    def flush(self) -> None:
        """Have nothing to print."""


def main() -> None:
    """Run everything once, and print the figures."""
    with Postgres() as postgres, Redis() as redis:
        apply(Settings.for_database(postgres.url))
        app = Celery("benchmark", broker=redis.url, backend=redis.url, set_as_current=False)
        app.conf.jobstate_database_url = postgres.url
        app.conf.jobstate_system_user_id = str(uuid4())
        service = jobstate.install(app).service

        @app.task(base=JobTask, bind=True, name="benchmark")
        def benchmark(self: JobTask, part: str) -> Any:
            return {"calls": calls, "writes": writes, "items": items}[part](self.job, app)

        def run(part: str) -> Any:
            return benchmark.apply((part,)).get()

        print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {psutil.cpu_count()} cores")
        print(f"Python {platform.python_version()}, {psutil.getloadavg()[0]:.1f} load\n")
        for name, seconds in run("calls").items():
            print(f"{name:<40} {seconds * 1e9:>12,.0f} ns a call {1 / seconds:>14,.0f} calls/s")
        url = postgres.url.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as watcher:
            service.close()
            before = figures(watcher)
            took = run("writes")
            service.close()  # A session tells what it wrote when it ends.
            app_writes = figures(watcher) - before
            print(f"\n{CALLS:,} calls in {took:.2f} s: {app_writes}")
            for name, told in run("items").items():
                print(f"{ITEMS:,} items by {name}: {told}")


def calls(job: CurrentJob, app: Celery) -> dict[str, float]:
    """Return the seconds that a call takes, of each contestant."""
    nobody, bar, bare = Nobody(), tqdm(file=Nowhere()), app.backend
    meta = {"current": 5, "total": 100}

    def progress() -> None:
        for done in range(CALLS):
            job.progress(current=done)

    def progress_with_total() -> None:
        for done in range(CALLS):
            job.progress(current=done, total=CALLS)

    def progress_with_message() -> None:
        for done in range(CALLS):
            job.progress(current=done, message="Writing orders")

    def track() -> None:
        for _ in job.track(range(CALLS)):
            pass

    def nothing() -> None:
        for done in range(CALLS):
            nobody.progress(current=done)

    def bar_update() -> None:
        for _ in range(CALLS):
            bar.update()

    def bar_loop() -> None:
        for _ in tqdm(range(CALLS), file=Nowhere()):
            pass

    def update_state() -> None:
        for _ in range(UPDATE_STATES):
            bare.store_result(str(job.id), meta, "PROGRESS")

    return in_turn(
        {
            "an empty method": (nothing, CALLS),
            "job.progress(current=)": (progress, CALLS),
            "job.progress(current=, total=)": (progress_with_total, CALLS),
            "job.progress(current=, message=)": (progress_with_message, CALLS),
            "tqdm.update()": (bar_update, CALLS),
            "job.track(...)": (track, CALLS),
            "tqdm(...)": (bar_loop, CALLS),
            "Celery's update_state, Redis": (update_state, UPDATE_STATES),
        }
    )


def in_turn(contestants: dict[str, tuple[Callable[[], None], int]]) -> dict[str, float]:
    """Let all have a turn, and again; return the median seconds of one call of each."""
    took: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, (run, number) in contestants.items():
            began = time.perf_counter()
            run()
            took[name].append((time.perf_counter() - began) / number)
    return {name: median(times) for name, times in took.items()}


def writes(job: CurrentJob, _: Celery) -> float:
    """Report very often; return how many seconds that took."""
    began = time.perf_counter()
    for done in range(CALLS):
        job.progress(current=done, total=CALLS)
    return time.perf_counter() - began


def items(job: CurrentJob, _: Celery) -> dict[str, str]:
    """Record items one by one, and at once; return what each way took."""
    process = psutil.Process()

    def one_by_one() -> None:
        for number in range(ITEMS):
            with job.item(number):
                pass
        job._reports.items.flush()

    def at_once() -> None:
        job.record_items(f"row {number}" for number in range(ITEMS))
        job._reports.items.flush()

    told = {}
    for name, run in (("item()", one_by_one), ("record_items()", at_once)):
        memory, began = process.memory_info().rss, time.perf_counter()
        run()
        grown = (process.memory_info().rss - memory) / 2**20
        told[name] = f"{time.perf_counter() - began:.2f} s, {grown:.0f} MiB"
    return told


class Figures:
    """What a database has written so far."""

    def __init__(self, updates: int, heap_only: int, wal: int) -> None:
        self.updates, self.heap_only, self.wal = updates, heap_only, wal

    def __sub__(self, before: "Figures") -> "Figures":
        """Return what was written since."""
        return Figures(
            self.updates - before.updates,
            self.heap_only - before.heap_only,
            self.wal - before.wal,
        )

    def __str__(self) -> str:
        """Tell them; the job's own insert, take and landing are among them."""
        told = {"UPDATEs": self.updates, "heap-only": self.heap_only, "WAL bytes": self.wal}
        return json.dumps(told)


def figures(watcher: psycopg.Connection) -> Figures:
    """Read what the database has written, once its sessions have said so."""
    time.sleep(1.5)  # They do so at most once a second.
    row = watcher.execute(
        "select n_tup_upd, n_tup_hot_upd, cast(pg_current_wal_insert_lsn() - '0/0' as bigint) "
        "from pg_stat_user_tables where schemaname = 'jobstate' and relname = 'jobs'"
    ).fetchone()
    assert row
    return Figures(*row)


if __name__ == "__main__":
    main()
