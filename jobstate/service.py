"""The blocking service: for web apps, scripts, and any writer that is no Celery task."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import Self
from uuid import UUID

from jobstate import counting, creation, operations, reading, sweeping, watching
from jobstate.cleaning import Cleaner
from jobstate.creation import NewJob, When
from jobstate.errors import JobStateError
from jobstate.records import (
    Asset,
    Job,
    JobEvent,
    JobItem,
    JobLog,
    Page,
    Stats,
    Worker,
)
from jobstate.retrying import Which, retry
from jobstate.settings import Settings
from jobstate.states import ItemStatus, JobStatus
from jobstate.storage import Storage, open_storage, required
from jobstate.store import Engine, Store, url_of
from jobstate.sweeper import Beacon, Sweeper, SweepReport
from jobstate.waiting import looks


class JobService:
    """Reads and moves jobs. Every write is guarded by the database; safe across threads and forks.

    A job id is a UUID or its text; one that is no UUID is a `JobNotFound`. Every method raises
    `StoreUnavailable` when the database cannot be reached, `SchemaMismatch` when its tables are
    missing or too old, and `InvalidValueError` for an argument that cannot be stored.

    Args:
        database: A URL (``postgresql+psycopg://user@host/database``), or a SQLAlchemy engine with
            the psycopg driver, whose connections are then used.
        settings: The settings; without them, those of the environment.
        publish: How `sweep` and `retry` publish a job; returns whether the broker took it.
        beacon: How `sweep` learns that the broker was emptied.
    """

    def __init__(
        self,
        database: str | Engine,
        *,
        settings: Settings | None = None,
        publish: Callable[[UUID], bool] = lambda _: False,
        beacon: Beacon | None = None,
    ) -> None:
        engine = None if isinstance(database, str) else database
        self.settings = settings or Settings.for_database(url_of(database, Engine))
        self.store = Store.open(self.settings, engine)
        self._publish = publish
        self._beacon = beacon

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make a service for the database that the settings name."""
        return cls(settings.database_url, settings=settings)

    def create_job(
        self,
        user_id: object,
        job_type: str,
        parameters: object = None,
        *,
        job_id: UUID | str | None = None,
        idempotency_key: str | None = None,
        parent_id: UUID | str | None = None,
        expires: When | None = None,
        deadline: When | None = None,
    ) -> Job:
        """Create a queued job that the caller drives; no worker runs it.

        Repeatable with the same `job_id`, or the same `idempotency_key` of the same user and job
        type: the job that exists is returned.
        """
        return self.create(
            NewJob(
                user_id=user_id,
                job_type=job_type,
                parameters=parameters,
                job_id=job_id,
                idempotency_key=idempotency_key,
                parent_id=parent_id,
                expires=expires,
                deadline=deadline,
            )
        )

    def create(self, new: NewJob) -> Job:
        """Create the job, or return the one that exists in its place."""
        return self.store.run_each(creation.create(new, self.settings))[0]

    def get_job(self, job_id: UUID | str, user_id: object) -> Job:
        """Read a job for its owner.

        Raises:
            JobNotFound: There is no such job.
            NotOwner: It belongs to somebody else.
        """
        return self.store.run(reading.get_job(job_id, user_id))

    def get_job_internal(self, job_id: UUID | str) -> Job:
        """Read a job, whoever owns it: for operators and the library itself.

        Raises:
            JobNotFound: There is no such job.
        """
        return self.store.run(reading.get_job_internal(job_id))

    def list_jobs(
        self,
        user_id: object,
        *,
        status: JobStatus | str | None = None,
        job_type: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Read one page of an owner's jobs, newest first.

        Jobs that are created meanwhile neither repeat nor hide any on the following pages.
        """
        return self.store.run(
            reading.list_jobs(user_id, status=status, job_type=job_type, limit=limit, cursor=cursor)
        )

    def transition_status(
        self,
        job_id: UUID | str,
        target_status: JobStatus | str,
        *,
        progress: float | None = None,
        error_message: str | None = None,
        error_code: str | None = None,
        result: object = None,
    ) -> Job:
        """Move a job. Atomic: of two callers that race, one moves it and the other is refused.

        Completed and partial set the progress to 100. A job that fails without an `error_code`
        gets ``exception``.

        Raises:
            JobNotFound: There is no such job.
            InvalidStateTransitionError: Its status does not allow it; the row is unchanged.
        """
        return self.store.run(
            operations.transition(
                job_id,
                target_status,
                progress=progress,
                error_message=error_message,
                error_code=error_code,
                result=result,
                max_result_bytes=self.settings.max_result_bytes,
            )
        )

    def update_progress(
        self,
        job_id: UUID | str,
        progress: float,
        *,
        current: float | None = None,
        total: float | None = None,
        message: str | None = None,
    ) -> Job:
        """Set a processing job's progress, a percentage; what is None stays as it is.

        A job that is not processing is left alone and returned, with a warning in the log.

        Raises:
            JobNotFound: There is no such job.
        """
        return self.store.run(
            operations.update_progress(
                job_id, progress, current=current, total=total, message=message
            )
        )

    def mark_completed(self, job_id: UUID | str, result: object = None) -> Job:
        """Land a job in completed; see `transition_status`."""
        return self.transition_status(job_id, JobStatus.COMPLETED, result=result)

    def mark_failed(
        self, job_id: UUID | str, error_message: str, *, error_code: str | None = None
    ) -> Job:
        """Land a job in failed; see `transition_status`."""
        return self.transition_status(
            job_id, JobStatus.FAILED, error_message=error_message, error_code=error_code
        )

    def mark_partial(
        self, job_id: UUID | str, result: object = None, error_message: str | None = None
    ) -> Job:
        """Land a job in partial; see `transition_status`."""
        return self.transition_status(
            job_id, JobStatus.PARTIAL, result=result, error_message=error_message
        )

    def create_asset(
        self,
        job_id: UUID | str,
        user_id: object,
        asset_type: str,
        url: str,
        storage_path: str,
        file_size: int,
        *,
        content_type: str | None = None,
        sha256: str | None = None,
    ) -> Asset:
        """Link a file that is stored already to its owner's job. `file_size` is in bytes.

        Raises:
            JobNotFound: There is no such job.
            NotOwner: It belongs to somebody else.
        """
        return self.store.run(
            operations.create_asset(
                job_id,
                user_id,
                asset_type,
                url,
                storage_path,
                file_size,
                content_type=content_type,
                sha256=sha256,
            )
        )

    def get_job_assets(self, job_id: UUID | str, user_id: object) -> list[Asset]:
        """Read a job's files, for its owner; never those of a superseded attempt.

        Raises:
            JobNotFound: There is no such job.
            NotOwner: It belongs to somebody else.
        """
        return self.store.run(reading.get_job_assets(job_id, user_id))

    def get_job_events(self, job_id: UUID | str, user_id: object) -> list[JobEvent]:
        """Read a job's history for its owner, oldest first.

        Raises:
            JobNotFound: There is no such job.
            NotOwner: It belongs to somebody else.
        """
        return self.store.run(reading.get_job_events(job_id, user_id))

    def get_job_items(
        self,
        job_id: UUID | str,
        user_id: object,
        status: ItemStatus | str | None = None,
        *,
        limit: int | None = None,
        after: JobItem | None = None,
    ) -> list[JobItem]:
        """Read a job's item ledger for its owner; never that of a superseded attempt.

        In the order in which the items were recorded; with `limit`, the first of them, or of those
        that come after the item `after`. One that is recorded again meanwhile comes again, last.

        Raises:
            JobNotFound: There is no such job.
            NotOwner: It belongs to somebody else.
        """
        return self.store.run(reading.get_job_items(job_id, user_id, status, limit, after))

    def get_job_logs(
        self,
        job_id: UUID | str,
        user_id: object,
        *,
        limit: int | None = None,
        after: JobLog | None = None,
    ) -> list[JobLog]:
        """Read what the bodies of a job's attempts have logged, for its owner, oldest first.

        Kept where the task has `job_logs`: the first thousand records of each attempt. With
        `limit`, the first of them, or of those that come after the record `after`.

        Raises:
            JobNotFound: There is no such job.
            NotOwner: It belongs to somebody else.
        """
        return self.store.run(reading.get_job_logs(job_id, user_id, limit, after))

    def cancel(self, job_id: UUID | str, user_id: object) -> Job:
        """Ask for a job to be cancelled; it then lands in failed with the code ``cancelled``.

        Durable and repeatable. A job that no attempt holds lands at once. A running one is told at
        its next report; after `jobstate_cancel_grace` it lands, and its run is terminated. One
        that has landed stays as it is.

        Raises:
            JobNotFound: There is no such job.
            NotOwner: It belongs to somebody else.
        """
        grace = self.settings.cancel_grace
        self.store.run_all(sweeping.cancel(job_id, user_id, grace))
        return self.get_job(job_id, user_id)

    def open_asset(
        self, asset: Asset | UUID | str, user_id: object, *, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """Yield the content of a file that `save_asset` has stored, for its owner.

        Or a part of it: from the byte `start` up to `end`, which is left out.

        Raises:
            AssetNotFound: There is no such file.
            NotOwner: Its job belongs to somebody else.
            InvalidValueError: The task has stored it itself.
            StorageUnavailable: The storage cannot be reached.
        """
        found, managed = self.store.run(reading.get_asset(asset, user_id))
        path = reading.managed_path(found, managed=managed)
        return required(self.storage).read(path, start, end)

    def asset_url(
        self, asset: Asset | UUID | str, user_id: object, expires: float = 3600
    ) -> str | None:
        """Return a URL by which anybody may read an asset for so many seconds, for its owner.

        None where the storage gives none (a folder, credentials that cannot sign): serve what
        `open_asset` yields. The URL of a file that the task has stored itself is as it was given.

        Raises:
            AssetNotFound: There is no such file.
            NotOwner: Its job belongs to somebody else.
            StorageUnavailable: The storage cannot be reached.
        """
        found, managed = self.store.run(reading.get_asset(asset, user_id))
        if not managed:
            return found.url
        return required(self.storage).sign(found.storage_path, expires)

    def purge(
        self,
        older_than: float | timedelta,
        statuses: Iterable[JobStatus | str] = (
            JobStatus.COMPLETED,
            JobStatus.PARTIAL,
            JobStatus.FAILED,
        ),
    ) -> int:
        """Delete jobs that landed longer ago than this, with all they have; return how many.

        In batches, files first: interrupted, it can be called again. Jobs that are the parents of
        live ones stay, and those whose files cannot be removed now. `older_than` is in seconds.
        """
        ages = operations.ages_of(older_than, statuses)
        return Cleaner(self.store, self.settings, self.storage).purge(ages)

    def retry(self, job_id: UUID | str, user_id: object, only: Which = "all") -> Job:
        """Run a job again that has landed, as a new job: the same call, owner and queue.

        The new job names the old one in `retry_of`; callbacks and the rest of a canvas do not
        belong to it. A service without a Celery app leaves its publication to a worker's sweeper.
        While a retry has not landed, another one returns it, however many ask at once and whatever
        items it does.

        Args:
            job_id: The job that has landed.
            user_id: Its owner.
            only: ``"failed"``: the task is to do only the items that failed; see
                `CurrentJob.only_items`.

        Raises:
            JobNotFound: There is no such job.
            NotOwner: It belongs to somebody else.
            InvalidStateTransitionError: It has not landed.
            NotRetryable: No Celery task runs it, some of its arguments are not recorded, or no
                item failed.
        """
        job = self.store.run_all(retry(job_id, user_id, only, self.settings))
        if job.published_at is None:
            with suppress(JobStateError):  # It is committed: the sweeper publishes it.
                self._publish(job.id)
        return job

    def sweep(self) -> SweepReport:
        """Do one round of the sweeper; safe anywhere, any number at once.

        A service without a Celery app publishes nothing: that is left to a worker's sweeper.
        """
        return Sweeper(
            self.store,
            self.settings,
            publish=self._publish,
            beacon=self._beacon,
            files=self.storage,
        ).sweep()

    def workers(self) -> list[Worker]:
        """List the workers that are not known to be dead, with the jobs they hold."""
        return self.store.run(sweeping.list_workers())

    def stats(
        self, user_id: object = None, *, landed_within: float | timedelta | None = None
    ) -> Stats:
        """Count the jobs of one owner, or of everybody.

        To count all of everybody reads an index of all: 0.13 s for each million. With
        `landed_within`, only live jobs are counted and those that have landed within so many
        seconds, which costs what these are. From 100 million jobs on, use that: a statement is
        given up after half a lease, which is 15 s.

        Raises:
            StoreUnavailable: There were too many to count in that time.
        """
        return self.store.run(counting.stats(user_id, landed_within))

    def wait(self, job_id: UUID | str, user_id: object, timeout: float) -> Job:
        """Wait up to `timeout` seconds for a job to land; return it as it is then.

        Raises:
            JobNotFound: There is no such job.
            NotOwner: It belongs to somebody else.
        """
        for pause in looks(timeout):
            job = self.get_job(job_id, user_id)
            if job.is_terminal or pause is None:
                break
            time.sleep(pause)
        return job

    def watch(self, job_ids: Iterable[UUID | str], user_id: object) -> Iterator[Job]:
        """Yield these jobs as they are, and each again whenever it has changed, until all landed.

        Looks again after a second at the latest, with one question for all of them; of several
        changes since, the last is seen. A job's landing is always seen, and comes last.

        Raises:
            JobNotFound: There is no such job, or it was purged meanwhile.
            NotOwner: One belongs to somebody else.
        """
        return self._changes(self.store.run_each(watching.first_look(job_ids, user_id)))

    def _changes(self, found: list[Job]) -> Iterator[Job]:
        live: dict[UUID, datetime] = {}
        for pause in looks(math.inf):
            for job in found:
                watching.remember(live, job)
                yield job
            if not live:
                break
            time.sleep(pause or 0.0)
            found = self.store.run(watching.next_look(live))

    @cached_property
    def storage(self) -> Storage | None:
        """Where saved assets are; None without `jobstate_storage_url`.

        Raises:
            ConfigurationError: An option is unknown, or the library that it needs is missing.
        """
        url = self.settings.storage_url
        return None if url is None else open_storage(url)

    def close(self) -> None:
        """Close this process's connections; the next call opens new ones."""
        self.store.close()
