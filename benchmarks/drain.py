"""How fast a queue is worked off, and at what cost."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import redis

from benchmarks.contestants import Contestant, Fill
from benchmarks.measures import Watcher, cpu_of, own_cpu_of, ratio, wait_until
from jobstate import Settings
from jobstate.embedded import Postgres, Redis
from jobstate.store.migrations import apply

STEADY = 0.1
"""Which part of the jobs is done before the clock starts: the pool has been forked by then."""

Servers = tuple[Postgres, Redis]


@dataclass(frozen=True)
class Run:
    """One queue filled and worked off. All but the rates are for one job; CPU in microseconds.

    Commits, bytes and tuples are those of the whole: enqueueing too.
    """

    enqueued_per_second: float
    jobs_per_second: float
    main_cpu: float
    pool_cpu: float
    postgres_cpu: float
    broker_cpu: float
    postgres_total: float
    """With what it needed while the queue was filled."""
    commits: float
    wal_bytes: float
    dead_tuples: float


def drain(contestant: Contestant, servers: Servers, fill: Fill, number: int) -> Run:
    """Fill a queue, start a worker, and watch it end."""
    postgres, broker = servers
    queue, watcher = redis.Redis.from_url(broker.url), Watcher(postgres.url)
    before, spent = watcher.work(), cpu_of(postgres.pid)
    filled_in = fill(number)
    left = left_of(contestant, queue, watcher)
    with (
        tempfile.TemporaryDirectory() as folder,
        worker_of(contestant, urls_of(servers), Path(folder)) as worker,
    ):

        def cpu() -> tuple[float, float, float, float]:
            main = own_cpu_of(worker.pid)
            pool = cpu_of(worker.pid) - main
            return main, pool, cpu_of(postgres.pid), cpu_of(broker.pid)

        began = wait_until(lambda: left() <= number * (1 - STEADY), "the first jobs' end")
        begun, used = left(), cpu()
        ended = wait_until(lambda: left() == 0, "the end of the queue")
        used = tuple(now - then for now, then in zip(cpu(), used, strict=True))
    done, spent = watcher.work() - before, cpu_of(postgres.pid) - spent
    watcher.close()
    main, pool, database, brokers = (seconds * 1e6 / begun for seconds in used)
    rate = begun / (ended - began)
    whole = spent / number * 1e6
    return Run(
        number / filled_in, rate, main, pool, database, brokers, whole, **asdict(done / number)
    )


def urls_of(servers: Servers) -> dict[str, str]:
    """Return the URLs of the servers, as an app gets them."""
    postgres, broker = servers
    return {"broker": broker.url, "database": postgres.url}


def left_of(contestant: Contestant, queue: Any, watcher: Watcher) -> Callable[[], int]:
    """Return what tells how many jobs were not started."""
    if contestant.module == "procrastinate_app":
        waiting = "select count(*) from procrastinate_jobs where status in ('todo', 'doing')"
        return lambda: int(watcher.scalar(waiting))
    if contestant.module == "dramatiq_app":
        return lambda: int(queue.llen("dramatiq:bench"))
    # Those that a worker has fetched, and waits with, are in a hash.
    return lambda: int(queue.llen("bench") + queue.hlen("unacked"))


@contextmanager
def worker_of(
    contestant: Contestant, urls: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker for the block."""
    log = folder / "log"
    worker = contestant.start(urls, log)
    try:
        yield worker
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    except BaseException:
        print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
        raise
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()


@contextmanager
def servers(**more: str) -> Iterator[Servers]:
    """Start Postgres, durable, and Redis; have the tables of jobstate there."""
    # No checkpoint in between: its full pages would be counted to whoever comes next.
    settings = {"checkpoint_timeout": "1h", "max_wal_size": "8GB", **more}
    with Postgres(settings=settings) as postgres, Redis() as broker:
        apply(Settings.for_database(postgres.url))
        yield postgres, broker


def in_turn(
    contestants: Sequence[Contestant], number: int, rounds: int, tell: Callable[[str], object]
) -> dict[str, list[Run]]:
    """Let each have a turn, and again."""
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    with servers() as pair, ExitStack() as stack:
        producers = {
            contestant.name: stack.enter_context(contestant.producer(urls_of(pair)))
            for contestant in contestants
        }
        for turn in range(rounds):
            for contestant in contestants:
                fill, jobs = producers[contestant.name], max(20, round(number * contestant.share))
                run = drain(contestant, pair, fill, jobs)
                runs[contestant.name].append(run)
                tell(f"round {turn + 1}: {contestant.name} {run.jobs_per_second:,.0f}/s")
    return runs


def summary(runs: dict[str, list[Run]], yardstick: str) -> list[dict[str, Any]]:
    """Return the medians of each, and the ratio of its rates to the yardstick's."""
    base = [run.jobs_per_second for run in runs[yardstick]]
    told = []
    for name, mine in runs.items():
        figures = {
            key: median(asdict(run)[key] for run in mine) for key in Run.__dataclass_fields__
        }
        rates = [run.jobs_per_second for run in mine]
        told.append({"name": name, "ratio": ratio(rates, base), "rates": rates, **figures})
    return told
