"""What a run uses of the machine: CPU seconds of each party, and what Postgres does for it."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

import psutil
import psycopg

PATIENCE = 120.0
"""How long anything may take, in seconds."""


@dataclass(frozen=True)
class Work:
    """What Postgres did: for one job, once divided."""

    commits: float
    wal_bytes: float
    dead_tuples: float

    def __sub__(self, before: "Work") -> "Work":
        """Return what was done since."""
        return Work(
            self.commits - before.commits,
            self.wal_bytes - before.wal_bytes,
            self.dead_tuples - before.dead_tuples,
        )

    def __truediv__(self, jobs: int) -> "Work":
        """Return what was done for one job."""
        return Work(self.commits / jobs, self.wal_bytes / jobs, self.dead_tuples / jobs)


class Watcher:
    """Reads what Postgres has done in one database, on a connection to another one."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        # Where statements are counted, not its own.
        self._connection.execute("set log_statement = none")

    def work(self) -> Work:
        """Read it. Sessions tell what they did when they end, or once a second."""
        row = self._connection.execute(
            "select (select xact_commit from pg_stat_database where datname = 'jobstate'), "
            "cast(pg_current_wal_insert_lsn() - '0/0' as bigint), "
            "(select coalesce(sum(n_tup_upd + n_tup_del), 0) from pg_stat_user_tables)"
        ).fetchone()
        assert row
        return Work(*(float(value) for value in row))

    def scalar(self, statement: str) -> Any:
        """Run a statement that answers with one value."""
        row = self._connection.execute(statement.encode()).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process, of its children, and of those that have ended."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        used = process.cpu_times()
        total = used.user + used.system + used.children_user + used.children_system
        for child in process.children(recursive=True):
            with suppress(psutil.Error):
                used = child.cpu_times()
                total += used.user + used.system
        return float(total)
    return 0.0


def own_cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process alone."""
    with suppress(psutil.Error):
        used = psutil.Process(pid).cpu_times()
        return float(used.user + used.system)
    return 0.0


def wait_until(condition: Callable[[], bool], what: str) -> float:
    """Wait, and return when it was so."""
    ends_at = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > ends_at:
            raise TimeoutError(f"{what} did not come to be in {PATIENCE:.0f} s.")
        time.sleep(0.01)
    return time.perf_counter()


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the ratios of runs that stood side by side."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))
