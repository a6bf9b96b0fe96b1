"""The asyncio service: the same methods as the blocking one, awaited."""

import asyncio
import math
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import Self
from uuid import UUID

from jobstate import counting, creation, operations, reading, sweeping, watching
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
from jobstate.service import JobService
from jobstate.settings import Settings
from jobstate.states import ItemStatus, JobStatus
from jobstate.storage import Storage, open_storage, required
from jobstate.store import AsyncEngine, AsyncStore, url_of
from jobstate.sweeper import SweepReport
from jobstate.waiting import looks


class AsyncJobService:
    """Reads and moves jobs like `JobService`, awaited.

    Each event loop that uses it has connections of its own, unless an engine is given. Await
    `close` where a loop ends before its process does; otherwise, they are closed when the next one
    begins to use it.

    Every method has the effect, the guarantees and the errors of its namesake there.

    A job id is a UUID or its text; one that is no UUID is a `JobNotFound`. Every method raises
    `StoreUnavailable` when the database cannot be reached, `SchemaMismatch` when its tables are
    missing or too old, and `InvalidValueError` for an argument that cannot be stored.

    Args:
        database: A URL (``postgresql+psycopg://user@host/database``), or a SQLAlchemy engine with
            the psycopg driver, whose connections are then used.
        settings: The settings; without them, those of the environment.
        publish: How `retry` publishes a job, blocking; returns whether the broker took it.
        blocking: A service that sweeps and purges for this one, in a thread. Without it, one that
            publishes nothing is opened by the same URL for each time.
    """

    def __init__(
        self,
        database: str | AsyncEngine,
        *,
        settings: Settings | None = None,
        publish: Callable[[UUID], bool] = lambda _: False,
        blocking: JobService | None = None,
    ) -> None:
        engine = None if isinstance(database, str) else database
        self.settings = settings or Settings.for_database(url_of(database, AsyncEngine))
        self.store = AsyncStore.open(self.settings, engine)
        self._publish = publish
        self._blocking = blocking

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make a service for the database that the settings name."""
        return cls(settings.database_url, settings=settings)

    async def create_job(
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
        """Create a queued job that the caller drives; no worker runs it."""
        return await self.create(
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

    async def create(self, new: NewJob) -> Job:
        """Create the job, or return the one that exists in its place."""
        return (await self.store.run_each(creation.create(new, self.settings)))[0]

    async def get_job(self, job_id: UUID | str, user_id: object) -> Job:
        """Read a job for its owner."""
        return await self.store.run(reading.get_job(job_id, user_id))

    async def get_job_internal(self, job_id: UUID | str) -> Job:
        """Read a job, whoever owns it: for operators and the library itself."""
        return await self.store.run(reading.get_job_internal(job_id))

    async def list_jobs(
        self,
        user_id: object,
        *,
        status: JobStatus | str | None = None,
        job_type: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Read one page of an owner's jobs, newest first."""
        return await self.store.run(
            reading.list_jobs(user_id, status=status, job_type=job_type, limit=limit, cursor=cursor)
        )

    async def transition_status(
        self,
        job_id: UUID | str,
        target_status: JobStatus | str,
        *,
        progress: float | None = None,
        error_message: str | None = None,
        error_code: str | None = None,
        result: object = None,
    ) -> Job:
        """Move a job. Atomic: of two callers that race, one moves it and the other is refused."""
        return await self.store.run(
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

    async def update_progress(
        self,
        job_id: UUID | str,
        progress: float,
        *,
        current: float | None = None,
        total: float | None = None,
        message: str | None = None,
    ) -> Job:
        """Set a processing job's progress, a percentage; what is None stays as it is."""
        return await self.store.run(
            operations.update_progress(
                job_id, progress, current=current, total=total, message=message
            )
        )

    async def mark_completed(self, job_id: UUID | str, result: object = None) -> Job:
        """Land a job in completed; see `transition_status`."""
        return await self.transition_status(job_id, JobStatus.COMPLETED, result=result)

    async def mark_failed(
        self, job_id: UUID | str, error_message: str, *, error_code: str | None = None
    ) -> Job:
        """Land a job in failed; see `transition_status`."""
        return await self.transition_status(
            job_id, JobStatus.FAILED, error_message=error_message, error_code=error_code
        )

    async def mark_partial(
        self, job_id: UUID | str, result: object = None, error_message: str | None = None
    ) -> Job:
        """Land a job in partial; see `transition_status`."""
        return await self.transition_status(
            job_id, JobStatus.PARTIAL, result=result, error_message=error_message
        )

    async def create_asset(
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
        """Link a file that is stored already to its owner's job. `file_size` is in bytes."""
        return await self.store.run(
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

    async def get_job_assets(self, job_id: UUID | str, user_id: object) -> list[Asset]:
        """Read a job's files, for its owner; never those of a superseded attempt."""
        return await self.store.run(reading.get_job_assets(job_id, user_id))

    async def get_job_events(self, job_id: UUID | str, user_id: object) -> list[JobEvent]:
        """Read a job's history for its owner, oldest first."""
        return await self.store.run(reading.get_job_events(job_id, user_id))

    async def get_job_items(
        self,
        job_id: UUID | str,
        user_id: object,
        status: ItemStatus | str | None = None,
        *,
        limit: int | None = None,
        after: JobItem | None = None,
    ) -> list[JobItem]:
        """Read a job's item ledger for its owner; never that of a superseded attempt."""
        return await self.store.run(reading.get_job_items(job_id, user_id, status, limit, after))

    async def get_job_logs(
        self,
        job_id: UUID | str,
        user_id: object,
        *,
        limit: int | None = None,
        after: JobLog | None = None,
    ) -> list[JobLog]:
        """Read what the bodies of a job's attempts have logged, for its owner, oldest first."""
        return await self.store.run(reading.get_job_logs(job_id, user_id, limit, after))

    async def cancel(self, job_id: UUID | str, user_id: object) -> Job:
        """Ask for a job to be cancelled; it then lands in failed with the code ``cancelled``."""
        grace = self.settings.cancel_grace
        await self.store.run_all(sweeping.cancel(job_id, user_id, grace))
        return await self.get_job(job_id, user_id)

    async def open_asset(
        self, asset: Asset | UUID | str, user_id: object, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Yield the content of a file that `save_asset` has stored, or a part, for its owner."""
        found, managed = await self.store.run(reading.get_asset(asset, user_id))
        path = reading.managed_path(found, managed=managed)
        chunks = await asyncio.to_thread(required(self.storage).read, path, start, end)
        is_used = threading.Lock()

        def read_on() -> bytes | None:
            with is_used:
                return next(chunks, None)

        def close() -> None:
            with is_used:
                chunks.close()

        try:
            while chunk := await asyncio.to_thread(read_on):
                yield chunk
        finally:
            # A reader that was cancelled has left a thread that still reads; and an exception that
            # keeps the file from being forgotten. A loop that ends has no threads any more.
            with suppress(RuntimeError):
                asyncio.get_running_loop().run_in_executor(None, close)

    async def asset_url(
        self, asset: Asset | UUID | str, user_id: object, expires: float = 3600
    ) -> str | None:
        """Return a URL by which anybody may read an asset for so many seconds, for its owner."""
        found, managed = await self.store.run(reading.get_asset(asset, user_id))
        if not managed:
            return found.url
        storage = required(self.storage)
        return await asyncio.to_thread(storage.sign, found.storage_path, expires)

    async def purge(
        self,
        older_than: float | timedelta,
        statuses: Iterable[JobStatus | str] = (
            JobStatus.COMPLETED,
            JobStatus.PARTIAL,
            JobStatus.FAILED,
        ),
    ) -> int:
        """Delete jobs that landed longer ago than this, with all they have; return how many."""
        with self._in_a_thread() as service:
            return await asyncio.to_thread(service.purge, older_than, statuses)

    async def retry(self, job_id: UUID | str, user_id: object, only: Which = "all") -> Job:
        """Run a job again that has landed, as a new job: the same call, owner and queue."""
        job = await self.store.run_all(retry(job_id, user_id, only, self.settings))
        if job.published_at is None:
            with suppress(JobStateError):  # It is committed: the sweeper publishes it.
                await asyncio.to_thread(self._publish, job.id)
        return job

    async def sweep(self) -> SweepReport:
        """Do one round of the sweeper; safe anywhere, any number at once."""
        with self._in_a_thread() as service:
            return await asyncio.to_thread(service.sweep)

    async def workers(self) -> list[Worker]:
        """List the workers that are not known to be dead, with the jobs they hold."""
        return await self.store.run(sweeping.list_workers())

    async def stats(
        self, user_id: object = None, *, landed_within: float | timedelta | None = None
    ) -> Stats:
        """Count the jobs of one owner, or of everybody; see `JobService.stats`."""
        return await self.store.run(counting.stats(user_id, landed_within))

    async def wait(self, job_id: UUID | str, user_id: object, timeout: float) -> Job:  # noqa: ASYNC109 - as in JobService
        """Wait up to `timeout` seconds for a job to land; return it as it is then."""
        for pause in looks(timeout):
            job = await self.get_job(job_id, user_id)
            if job.is_terminal or pause is None:
                break
            await asyncio.sleep(pause)
        return job

    async def watch(self, job_ids: Iterable[UUID | str], user_id: object) -> AsyncIterator[Job]:
        """Yield these jobs as they are, and each again whenever it has changed, until all landed.

        What is wrong with `job_ids` is raised when the first job is asked for.
        """
        live: dict[UUID, datetime] = {}
        found = await self.store.run_each(watching.first_look(job_ids, user_id))
        for pause in looks(math.inf):
            for job in found:
                watching.remember(live, job)
                yield job
            if not live:
                break
            await asyncio.sleep(pause or 0.0)
            found = await self.store.run(watching.next_look(live))

    @cached_property
    def storage(self) -> Storage | None:
        """Where saved assets are; see `JobService.storage`."""
        url = self.settings.storage_url
        return None if url is None else open_storage(url)

    async def close(self) -> None:
        """Close this process's connections; the next call opens new ones."""
        await self.store.close()

    @contextmanager
    def _in_a_thread(self) -> Iterator[JobService]:
        """Lend the service that does what takes long."""
        if self._blocking is not None:
            yield self._blocking
            return
        service = JobService.from_settings(self.settings)
        try:
            yield service
        finally:
            service.close()
