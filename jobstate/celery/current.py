"""What a task's body sees of its job."""

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast
from uuid import UUID

from jobstate import reporting
from jobstate.assets import Source
from jobstate.celery.attempt import Attempt, current_attempt
from jobstate.celery.habits import tqdm_for
from jobstate.celery.saving import link, saver_of
from jobstate.celery.track import Track
from jobstate.items import ItemCounts, Key
from jobstate.progress import MOST
from jobstate.records import Asset
from jobstate.store import async_driver_connection, driver_connection

T = TypeVar("T")


class CurrentJob:
    """The job whose body runs here: what is recorded of it, and how to report on it.

    Once the job was cancelled or taken away, reporting raises `JobCancelled` or `LeaseLost`: let
    them leave the body.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._reports = attempt.reports
        self._progress = attempt.reports.progress
        job = attempt.job
        self.id: UUID = job.id
        self.user_id: UUID | int | str = job.user_id
        self.job_type: str = job.job_type
        self.parameters: Any = job.parameters
        self.attempt: int = job.attempt
        self.retries: int = job.retries
        self.parent_id: UUID | None = job.parent_id

    def __repr__(self) -> str:
        """Name the job and the attempt."""
        return f"<CurrentJob {self.id} attempt {self.attempt}>"

    def progress(
        self,
        percent: float | None = None,
        *,
        current: float | None = None,
        total: float | None = None,
        message: str | None = None,
    ) -> None:
        """Report progress. Cheap: most calls only remember it.

        Written at most every `jobstate_progress_interval`, and once more when the job lands.
        A database that is away costs a log line, never the body.

        Args:
            percent: 0 to 100; worked out from `current` and `total` where it is missing.
            current: How much is done, in any unit.
            total: How much there is to do, in the same unit.
            message: What the job is doing, for its owner.

        Raises:
            InvalidValueError: A number is out of range, not finite or no number.
            JobCancelled: The job was cancelled.
            LeaseLost: The job was taken away.
        """
        progress = self._progress
        if (
            percent is None
            and message is None
            and type(current) is int
            and 0 <= current <= MOST
            and (total is None or total is progress.total)
        ):
            # The inner loop of many bodies: one call less is half the time.
            progress.current = current
            progress.counted = True
        else:
            progress.remember(percent, current, total, message)
        if not progress.pending:
            self._reports.report()

    def track(
        self,
        iterable: Iterable[T] | AsyncIterable[T],
        total: float | None = None,
        message: str | None = None,
    ) -> Track[T]:
        """Return the iterable, for ``for`` or ``async for``; it reports how many items are done.

        Of nested loops the outermost counts, and the others show no more than their message.
        Without `total`, the ``len`` of the iterable is used. An infinite one is none.

        Raises:
            InvalidValueError: The total is negative or no number.
            JobCancelled: The job was cancelled; raised in the loop.
            LeaseLost: The job was taken away; raised in the loop.
        """
        return Track(self._progress, self._reports.report, iterable, total, message)

    @property
    def tqdm(self) -> type[Any]:
        """``tqdm.tqdm``, which must be installed, but reporting to the job instead of printing.

        For code that takes the class of its bars, such as ``tqdm_class=``. Of several bars at a
        time the first counts.
        """
        return tqdm_for(self._reports)

    @contextmanager
    def item(self, key: Key, label: str | None = None) -> Iterator[bool]:
        """Record the block as one item: an exception is its failure, and is swallowed.

        Yields whether the item is to be done. It is not when an earlier attempt has done it and
        the task has `job_resume`, nor when the job retries others alone: then nothing is recorded
        but a failure, should the block do the work all the same.

        Some items failed: the job lands in partial. All failed: in failed. The last outcome of a
        key wins. What is raised to end the body (`JobFailed`, Celery's ``Retry``, ``Ignore`` and
        ``Reject``, a soft time limit) leaves the block.

        Raises:
            InvalidValueError: The key is no JSON scalar, or too long.
            JobCancelled: The job was cancelled.
            LeaseLost: The job was taken away.
        """
        with self._reports.recording(), self._reports.items.item(key, label) as todo:
            yield todo

    def skip(self, key: Key, reason: str) -> None:
        """Record one item as skipped.

        Raises:
            InvalidValueError: The key is no JSON scalar, or too long.
            JobCancelled: The job was cancelled.
            LeaseLost: The job was taken away.
        """
        with self._reports.recording():
            self._reports.items.skip(key, reason)

    def record_items(
        self,
        succeeded: Iterable[Key] = (),
        *,
        failed: Iterable[Key] | Mapping[Key, object] = (),
        skipped: Iterable[Key] | Mapping[Key, object] = (),
    ) -> None:
        """Record many items at once, all or none; a key that is given twice has failed.

        `failed` and `skipped` may map each key to its reason: text or an exception.

        Raises:
            InvalidValueError: A key is no JSON scalar, or too long; nothing was recorded.
            JobCancelled: The job was cancelled.
            LeaseLost: The job was taken away.
        """
        with self._reports.recording():
            self._reports.items.record_all(succeeded, failed, skipped)

    @property
    def only_items(self) -> frozenset[str] | None:
        """The keys of the items that this job retries; None where it is to do all.

        Keys are kept as text. Asked for ``5``, the set finds ``"5"``.
        """
        return self._reports.items.only

    @property
    def items(self) -> ItemCounts:
        """How many items succeeded, failed and were skipped in this attempt."""
        return self._reports.items.counts

    def add_asset(
        self,
        asset_type: str,
        *,
        url: str,
        storage_path: str,
        file_size: int,
        content_type: str | None = None,
        sha256: str | None = None,
        connection: object = None,
    ) -> Asset:
        """Link a file that the task has stored itself. `file_size` is in bytes.

        Args:
            asset_type: What it is to the application, such as ``"csv"``.
            url: Where its owner finds it.
            storage_path: Where the application finds it.
            file_size: Its size in bytes.
            content_type: Its media type.
            sha256: Its SHA-256 in hexadecimal.
            connection: Links it in the transaction of this connection; see `complete_in`. Until
                that ends, nothing else is written of the job, not even progress. Its server ends
                one whose client is silent for longer than a lease.

        Raises:
            InvalidValueError: A value cannot be stored.
            JobCompleted: The job was completed in another transaction.
            LeaseLost: The job was taken away; nothing was linked.
            StoreUnavailable: The database cannot be reached.
            TransactionOpen: The job was written in another transaction, which is still open.
        """
        added = reporting.add_asset(
            self._attempt.hold,
            asset_type,
            url,
            storage_path,
            file_size,
            content_type=content_type,
            sha256=sha256,
        )
        return link(self._attempt, added, connection)

    def save_asset(
        self,
        asset_type: str,
        source: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
    ) -> Asset:
        """Store a file under ``{user_id}/{job_id}/{attempt}/{name}`` and link it.

        The file is there with its row, or not at all: what an attempt that dies leaves behind is
        cleaned up by the sweeper. Needs the same memory for any size. Storing counts as progress.

        Args:
            asset_type: What it is to the application, such as ``"csv"``.
            source: Its bytes, the path of a file, or a file that is open for reading bytes.
            name: Its name, unique in this attempt; by default that of the source, or the type.
            content_type: Its media type; by default guessed from the name.

        Raises:
            InvalidValueError: The name is taken or no plain name, or the source gives no bytes.
            JobCancelled: The job was cancelled meanwhile; nothing was linked.
            LeaseLost: The job was taken away; nothing was linked.
            StorageUnavailable: The storage is down, or refuses; nothing was linked.
            ConfigurationError: No storage is set, or its library is missing.
        """
        return saver_of(self._attempt).save(asset_type, source, name, content_type)

    def complete_in(self, connection: object, result: object = None) -> None:
        """Land the job in the transaction of a connection: completed when that commits.

        What the body writes there, the files that it links there, the items that were not written
        yet and the landing commit together, or not at all. The job lands like one whose body
        returns `result`: in partial where some items failed. After that, progress is a no-op,
        nothing but files is recorded, and what the body returns does not matter.

        After a rollback the job goes on, and lands by how its body ends, or by another call.

        Args:
            connection: A Session or Connection of SQLAlchemy, a Connection of psycopg, or
                ``django.db.connection``, in a transaction that must end before the body does. Its
                server ends one whose client is silent for longer than a lease.
            result: The job's result, as JSON; or a `Partial`.

        Raises:
            ConfigurationError: It is no such connection, or in no transaction.
            InvalidStateTransitionError: The job was completed already.
            InvalidValueError: The result cannot be stored.
            JobFailed: Every item failed.
            LeaseLost: The job was taken away. Have this roll back the transaction.
            StoreUnavailable: The database cannot be reached.
            TransactionOpen: The job was written in another transaction, which is still open.
        """
        within = driver_connection(connection)
        script = self._attempt.joining.complete(within, result)
        self._attempt.runtime.service.store.run_each(script, within)

    async def acomplete_in(self, connection: object, result: object = None) -> None:
        """Do what `complete_in` does, with a connection that is awaited.

        Args:
            connection: An AsyncSession or AsyncConnection of SQLAlchemy, or an AsyncConnection of
                psycopg.
            result: The job's result.
        """
        within = await async_driver_connection(connection)
        script = self._attempt.joining.complete(within, result)
        await self._attempt.runtime.aio.store.run_each(script, within)

    def check(self) -> None:
        """Ask the database now whether to go on.

        Raises:
            JobCancelled: The job was cancelled.
            LeaseLost: The job was taken away.
            StoreUnavailable: The database cannot be reached.
        """
        self._attempt.fence.check()


def current_job() -> CurrentJob | None:
    """Return the job whose body runs here, or None outside of one.

    Works anywhere below the body: in functions it calls, in async code, and in threads that run
    in a copy of its context.
    """
    attempt = current_attempt()
    if attempt is None:
        return None
    if attempt.seen is None:
        # Kept, because a loop may ask for it a million times.
        attempt.seen = CurrentJob(attempt)
    return cast("CurrentJob", attempt.seen)
