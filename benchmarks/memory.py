"""What jobstate adds to a worker: memory of a pool process, connections."""

import tempfile
from pathlib import Path
from statistics import median

import psutil
import redis

from benchmarks.contestants import JOBSTATE, PLAIN, Contestant
from benchmarks.drain import Servers, left_of, urls_of, worker_of
from benchmarks.measures import Watcher, wait_until

JOBS = 20


def memory(servers: Servers) -> dict[str, float]:
    """Return the megabytes that a pool process has of its own, and how many connections there are.

    Of its own: not shared with the main process that it was forked from.
    """
    plain, tracked = _worker(PLAIN, servers), _worker(JOBSTATE, servers)
    return {
        "a pool process of plain Celery, MB": plain["pool"],
        "a pool process with jobstate, MB": tracked["pool"],
        "the main process of plain Celery, MB": plain["main"],
        "the main process with jobstate, MB": tracked["main"],
        "connections to Postgres of a worker with 2 processes": tracked["connections"],
    }


def _worker(contestant: Contestant, servers: Servers) -> dict[str, float]:
    postgres, broker = servers
    urls = urls_of(servers)
    queue, watcher = redis.Redis.from_url(broker.url), Watcher(postgres.url)
    queue.flushall()
    with contestant.producer(urls) as fill:
        fill(JOBS)
    left, sessions = left_of(contestant, queue, watcher), Counted(watcher)
    with (
        tempfile.TemporaryDirectory() as folder,
        worker_of(contestant, urls, Path(folder)) as worker,
    ):
        wait_until(lambda: left() == 0, "the end of the queue")
        process = psutil.Process(worker.pid)
        wait_until(lambda: len(process.children()) >= contestant.concurrency, "the pool")
        pool = [child.memory_full_info().uss for child in process.children()]
        main, connections = process.memory_full_info().uss, sessions.more()
    watcher.close()
    return {"pool": median(pool) / 1e6, "main": main / 1e6, "connections": connections}


class Counted:
    """Counts the connections to Postgres that were made since."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._before = self._now()

    def more(self) -> int:
        """Return how many more there are."""
        return self._now() - self._before

    def _now(self) -> int:
        count = "select count(*) from pg_stat_activity where datname = 'jobstate'"
        return int(self._watcher.scalar(count))
