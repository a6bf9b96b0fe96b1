"""What enqueueing costs: ``python -m benchmarks.enqueue``; see docs/how-to/enqueue.md.

The contestants take turns in one run, so that a busy machine slows all of them; each ratio is the
median of the rounds' own. Postgres and Redis are real ones out of wheels, with fsync on.
"""

import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from uuid import uuid4

import psutil
import psycopg
import redis
from celery import Celery
from psycopg.types.json import Json

import jobstate
from benchmarks.apps.bare_rows import INSERT, TABLE
from jobstate import JobTask, Settings
from jobstate.embedded import Postgres, Redis
from jobstate.ids import new_id
from jobstate.store.migrations import apply

ROUNDS = 5
MANY = 10_000
FEW = 500

PLAIN = "apply_async of a plain task"
BARE = "the same, and a bare row by the driver"
ONE = "enqueue, one by one"
ALL = "enqueue_many of 10,000"


def main() -> None:
    """Run everything once, and print the figures."""
    with Postgres() as postgres, Redis() as broker, redis.Redis.from_url(broker.url) as client:
        apply(Settings.for_database(postgres.url))
        app = Celery("benchmark", broker=broker.url, set_as_current=False)
        app.conf.update(jobstate_database_url=postgres.url, task_ignore_result=True)
        jobs, user_id = jobstate.install(app), uuid4()

        @app.task(base=JobTask, name="job")
        def job(number: int, *, text: str = "") -> None:
            """Do nothing."""

        @app.task(name="plain")
        def plain(number: int, *, text: str = "") -> None:
            """Do nothing."""

        def in_a_loop() -> None:
            for number in range(FEW):
                plain.apply_async((number,), {"text": "text"})

        database = psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True)
        database.execute(TABLE)

        def with_a_row() -> None:
            for number in range(FEW):
                job_id, parameters = new_id(), Json({"number": number, "text": "text"})
                database.execute(INSERT, (job_id, parameters), prepare=True)
                plain.apply_async((number,), {"text": "text"}, task_id=str(job_id))

        def one_by_one() -> None:
            for number in range(FEW):
                job.enqueue(number, text="text", user_id=user_id)

        def together() -> None:
            calls = [{"args": (number,), "kwargs": {"text": "text"}} for number in range(MANY)]
            jobs.enqueue_many(job, calls, user_id=user_id)

        contestants = {
            PLAIN: (in_a_loop, FEW),
            BARE: (with_a_row, FEW),
            ONE: (one_by_one, FEW),
            ALL: (together, MANY),
        }
        print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {psutil.cpu_count()} cores")
        print(f"Python {platform.python_version()}, {psutil.getloadavg()[0]:.1f} load\n")
        rounds = []
        for _ in range(ROUNDS + 1):
            rounds.append({name: cost(*given) for name, given in contestants.items()})
            client.flushdb()
        report(rounds[1:])  # the first warms up
        jobs.service.close()
        database.close()


def cost(run: Callable[[], None], count: int) -> tuple[float, float]:
    """Return the time and the CPU time of this process, in seconds a job."""
    started, used = time.perf_counter(), time.process_time()
    run()
    return (time.perf_counter() - started) / count, (time.process_time() - used) / count


def report(rounds: list[dict[str, tuple[float, float]]]) -> None:
    """Print the table."""
    print(
        "| | µs a job | CPU µs | times as fast as apply_async | as enqueue |\n|---|---|---|---|---|"
    )
    for name in rounds[0]:
        took, used = (median(one[name][what] for one in rounds) * 1e6 for what in (0, 1))
        to_plain, to_one = (
            median(one[other][0] / one[name][0] for one in rounds) for other in (PLAIN, ONE)
        )
        print(f"| {name} | {took:,.0f} | {used:,.0f} | {to_plain:.2f} | {to_one:.2f} |")
    slowest = max(one[ALL][0] for one in rounds) * MANY
    fastest = min(one[ALL][0] for one in rounds) * MANY
    print(f"\n{MANY:,} jobs in {fastest:.2f} to {slowest:.2f} s")


if __name__ == "__main__":
    main()
