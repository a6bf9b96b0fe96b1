"""A database, a sweeper, and a clock that the test moves by moving the rows into the past."""

from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg

from jobstate import Job, JobStatus, Settings, publishing
from jobstate.attempts import Hold, Policy
from jobstate.reading import get_job_internal
from jobstate.store import Store
from jobstate.sweeper import Sweeper, SweepReport
from tests.factories import POLICY, hold_of, new_worker, queued_job, service_of, take

MESSAGE_WITH_ERRBACKS = '{"body": "[[], {}, {}]", "followups": true, "errbacks": true}'

AT_MOST_ONCE = Policy(idempotent=False, max_rescues=3, keep_partial=False, no_progress=None)


class Scene:
    """What a test of the sweeper does and looks at.

    Args:
        store: An empty database.
        connection: A plain connection to it.
        settings: What differs from the defaults.
    """

    def __init__(self, store: Store, connection: psycopg.Connection, **settings: Any) -> None:
        self.store = store
        self.settings = Settings(database_url="unused", **settings)
        self.published: list[UUID] = []
        self.unpublishable: set[UUID] = set()
        self.broker_is_up = True
        self.sweeper = Sweeper(store, self.settings, publish=self.publish)
        self._connection = connection

    def with_settings(self, **settings: Any) -> "Scene":
        """Return the same database with a sweeper of other settings."""
        return Scene(self.store, self._connection, **settings)

    def sql(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as psql would."""
        cursor = self._connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []

    def publish(self, job: Job | UUID) -> bool:
        """Publish like an app with a broker does: from the row, and note it there."""
        job_id = job if isinstance(job, UUID) else job.id
        row = self.store.run(publishing.message_of(job_id, again=True))
        if row is None:
            return False
        if job_id in self.unpublishable:
            raise ValueError("the message cannot be read")
        if not self.broker_is_up:
            return False
        grace = self.settings.publish_grace
        self.store.run(publishing.note_published(job_id, row[2], grace))
        self.published.append(job_id)
        return True

    def time_passes(self, seconds: float, job: Job | None = None) -> None:
        """Let so many seconds pass for every job, or for one."""
        self.sql(
            """
            update jobstate.jobs set
                created_at = created_at - passed, published_at = published_at - passed,
                progress_at = progress_at - passed, retry_at = retry_at - passed,
                eta = eta - passed, expires_at = expires_at - passed,
                deadline_at = deadline_at - passed, next_check_at = next_check_at - passed,
                cancel_requested_at = cancel_requested_at - passed,
                completed_at = completed_at - passed
            from make_interval(secs => %s) as passed
            where id = coalesce(%s, id)
            """,
            seconds,
            job and job.id,
        )

    def seen_up(self, up_for: float = 3600, last_seen: float = 0) -> None:
        """Have sweepers seen the database for so many seconds, until so many seconds ago."""
        self.sql(
            """
            insert into jobstate.sweeps (up_since, last_seen_at)
            values (now() - make_interval(secs => %s), now() - make_interval(secs => %s))
            on conflict (singleton) do update
                set up_since = excluded.up_since, last_seen_at = excluded.last_seen_at
            """,
            up_for,
            last_seen,
        )

    def sweep(self) -> SweepReport:
        """Do one round, on a database that was never away."""
        self.seen_up()
        return self.sweeper.sweep()

    def silence(self, worker_id: UUID) -> None:
        """Let a worker's lease run out."""
        self.sql(
            "update jobstate.workers set lease_until = now() - interval '1 second' where id = %s",
            worker_id,
        )

    def bury(self, worker_id: UUID) -> None:
        """Give a worker up."""
        self.sql("update jobstate.workers set dead_at = now() where id = %s", worker_id)

    def queued(self, **columns: Any) -> Job:
        """Create a job that was published."""
        job = queued_job(self.store, **columns)
        self.publish(job)
        self.published.clear()
        return job

    def held(
        self, policy: Policy = AT_MOST_ONCE, worker_id: UUID | None = None, **columns: Any
    ) -> Hold:
        """Create a job that a worker runs; it is not idempotent unless the policy says so."""
        job = self.queued(**columns)
        return hold_of(take(self.store, job.id, policy=policy, worker_id=worker_id).job)

    def driven(self, *, started: bool) -> Job:
        """Create a job that its caller drives."""
        service = service_of(self.store)
        job = service.create_job(uuid4(), "report")
        return service.transition_status(job.id, JobStatus.PROCESSING) if started else job

    def lost(self, policy: Policy = POLICY, **columns: Any) -> Hold:
        """Create a job whose worker was given up; it is idempotent unless the policy says no."""
        worker_id = new_worker(self.store)
        hold = self.held(policy, worker_id, **columns)
        self.bury(worker_id)
        return hold

    def later_job_started(self, **columns: Any) -> Hold:
        """Let a job be published now and start: what was published earlier was overtaken."""
        published = list(self.published)
        hold = self.held(**columns)
        self.published[:] = published
        return hold

    def read(self, job: Job | Hold | UUID) -> Job:
        """Read a job."""
        if not isinstance(job, UUID):
            job = job.id if isinstance(job, Job) else job.job_id
        return self.store.run(get_job_internal(job))

    def history(self, job: Job | Hold) -> list[str]:
        """Return what has happened to a job: the statuses it came to, and other events."""
        job_id = job.id if isinstance(job, Job) else job.job_id
        rows = self.sql(
            "select coalesce(to_status, event) from jobstate.job_events where job_id = %s "
            "order by id",
            job_id,
        )
        return [what for (what,) in rows]
