"""The store under test with all who work on it: a clock, a broker, sweepers that stop and go on."""

import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from greenlet import greenlet
from psycopg import sql
from psycopg.rows import dict_row

from jobstate import Settings, publishing
from jobstate.attempts import Hold
from jobstate.store import Operation, Script, Store
from jobstate.sweeper import Sweeper
from tests.promise.ledger import GRACE, Span

T = TypeVar("T")

SETTINGS = Settings(database_url="unused", lease=60.0, cancel_grace=GRACE)

TICK = 5.0
"""Time passes in steps of this. All limits are so many of them: what real time an example takes
decides nothing, and the same steps have the same outcome again."""

ROWS = """
    select jobs.*, completed_at is not null as has_landed,
        cancel_requested_at is not null as cancelled, followups_pending as pending,
        array(
            select to_status from jobstate.job_events
            where job_id = jobs.id and event = 'transition' order by id
        ) as history,
        (
            select coalesce(json_agg(json_build_array(key, attempt, status) order by key), '[]')
            from jobstate.job_items where job_id = jobs.id
        ) as items,
        (
            select coalesce(
                json_agg(json_build_array(attempt, storage_path) order by attempt, storage_path),
                '[]'
            )
            from jobstate.assets where job_id = jobs.id
        ) as assets
    from jobstate.jobs
"""

GIVEN_UP = "select id from jobstate.workers where dead_at is not null"

CLOCKS = """
    select table_name, array_agg(column_name::text) from information_schema.columns
    where table_schema = 'jobstate' and data_type = 'timestamp with time zone'
    group by table_name
"""


class Clock:
    """The database's clock, as far as the test knows it. It goes forward when the rows go back."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._skipped = 0.0
        self._shifts = [
            sql.SQL("update jobstate.{} set {}").format(
                sql.Identifier(table),
                sql.SQL(", ").join(
                    sql.SQL("{0} = {0} - make_interval(secs => %(seconds)s)").format(
                        sql.Identifier(column)
                    )
                    for column in columns
                ),
            )
            for table, columns in connection.execute(CLOCKS).fetchall()
        ]

    def pass_time(self, seconds: float) -> None:
        """Shift every time in every table into the past."""
        for shift in self._shifts:
            self._connection.execute(shift, {"seconds": seconds})
        self._skipped += seconds

    def timed(self, call: Callable[[], T]) -> tuple[T, Span]:
        """Make a call; return its answer, and when it was."""
        earliest = time.monotonic() + self._skipped
        answer = call()
        return answer, Span(earliest, time.monotonic() + self._skipped)


class Broker:
    """Messages on their way: each is a job and the attempt that it follows. It keeps no order."""

    def __init__(self) -> None:
        self.messages: list[tuple[UUID, int]] = []
        self.ever: list[tuple[UUID, int]] = []
        """All that was ever published: each may come again at any time."""

    def publish(self, store: Store, job_id: UUID, *, again: bool) -> bool:
        """Publish a job from its row, and note it there."""
        row = store.run(publishing.message_of(job_id, again=again))
        if row is None:
            return False
        self.messages.append((job_id, row[2]))
        if (job_id, row[2]) not in self.ever:
            self.ever.append((job_id, row[2]))
        grace = SETTINGS.publish_grace
        store.run(publishing.note_published(job_id, row[2], grace))
        return True


class Paced(Store):
    """A store whose user stops before each transaction, until somebody lets it go on."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.engine)
        self._queries = store._queries
        self.failures: list[Exception] = []

    def run(self, operation: Operation[T], connection: Any = None) -> T:
        """Stop, then run it."""
        self._stop()
        return self._noted(lambda: super(Paced, self).run(operation, connection))

    def run_all(self, script: Script[T]) -> T:
        """Stop, then run all of it."""
        self._stop()
        return self._noted(lambda: super(Paced, self).run_all(script))

    def _stop(self) -> None:
        main = greenlet.getcurrent().parent
        assert main is not None
        main.switch()

    def _noted(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:
            self.failures.append(error)  # a sweeper would go on with the next job
            raise


class Rounds:
    """One sweeper, round after round, a transaction at a time; between two, anything may happen."""

    def __init__(self, store: Paced, broker: Broker) -> None:
        self._store = store
        self._sweeper = Sweeper(
            store, SETTINGS, publish=lambda job_id: broker.publish(store, job_id, again=True)
        )
        self._round: greenlet | None = None

    def step(self) -> bool:
        """Go on to the next transaction; False: the round is at its end."""
        if not self._round:
            self._round = greenlet(self._sweeper.sweep)
            self._round.switch()
        self._round.switch()
        if self._store.failures:
            raise self._store.failures[0]
        return bool(self._round)

    def abandon(self) -> None:
        """Forget the round, like a process that is killed."""
        if self._round:
            self._round.throw()
        self._round = None


class Worker:
    """A worker as its keeper sees it, and the attempts that its pool runs."""

    def __init__(self, worker_id: UUID) -> None:
        self.worker_id = worker_id
        self.is_up = True
        self.holds: list[Hold] = []
        """What its bodies take themselves to hold; some may have lost it."""


class Watcher:
    """Somebody with psql."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def empty(self) -> None:
        """Delete everything, and begin anew as on the first day, whatever was there."""
        self._connection.execute(
            "truncate jobstate.jobs, jobstate.workers, jobstate.sweeps restart identity cascade"
        )

    def rows(self) -> dict[UUID, dict[str, Any]]:
        """Read all that there is of every job."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return {row["id"]: row for row in cursor.execute(ROWS).fetchall()}

    def given_up(self) -> set[UUID]:
        """Read which workers were buried."""
        return {worker_id for (worker_id,) in self._connection.execute(GIVEN_UP).fetchall()}

    def move(self, job_id: UUID, status: str, *, has_landed: bool) -> None:
        """Set a status by hand, and all that must go with it."""
        self._connection.execute(
            "update jobstate.jobs set status = %s, worker_id = null, attempt = %s, "
            "completed_at = case when %s then now() end where id = %s",
            (status, int(status != "queued"), has_landed, job_id),
        )
