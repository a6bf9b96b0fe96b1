"""What the store hands out: frozen records of rows, with nothing behind them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Generic, Self, TypeVar
from uuid import UUID

from jobstate.states import ItemStatus, JobStatus, is_terminal_state

T = TypeVar("T")


class _Record:
    """Turns a row into a record and a record into JSON; both know the fields by their order."""

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        """Build the record from a row whose columns come in the order of the fields."""
        return cls(*_in_utc(row))

    def to_dict(self) -> dict[str, Any]:
        """Return the record in types that JSON knows: ids and times as text."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in fields(self)  # type: ignore[arg-type]  # every subclass is a dataclass
        }


@dataclass(frozen=True, slots=True)
class Job(_Record):
    """One durable request to run a task, as its row was when it was read.

    `progress` is a whole percentage, rounded down. Times are the database's, in UTC.
    `error_message` is what the owner may read; `error_detail` is for operators alone.
    """

    id: UUID
    user_id: UUID | int | str
    job_type: str
    task_name: str | None
    queue: str | None
    status: JobStatus
    progress: int
    progress_current: float | None
    progress_total: float | None
    progress_message: str | None
    progress_at: datetime | None
    parameters: Any
    result: Any
    error_code: str | None
    error_message: str | None
    error_detail: dict[str, Any] | None
    items_succeeded: int
    items_failed: int
    items_skipped: int
    attempt: int
    worker_id: UUID | None
    pid: int | None
    retries: int
    rescues: int
    retry_at: datetime | None
    eta: datetime | None
    expires_at: datetime | None
    deadline_at: datetime | None
    cancel_requested_at: datetime | None
    next_check_at: datetime | None
    published_at: datetime | None
    publishes: int
    followups_pending: bool
    idempotent: bool
    max_rescues: int | None
    keep_partial: bool
    no_progress: float | None
    idempotency_key: str | None
    parent_id: UUID | None
    retry_of: UUID | None
    created_at: datetime
    started_at: datetime | None
    attempt_started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        """Build the job from a row whose columns come in the order of the fields."""
        columns = _in_utc(row)
        columns[5] = JobStatus(columns[5])
        return cls(*columns)

    @property
    def is_terminal(self) -> bool:
        """Whether the job has landed."""
        return is_terminal_state(self.status)

    @property
    def duration(self) -> timedelta | None:
        """How long the job has run: from its first take to its landing, or until now.

        None while it has not started. Until it lands, this compares the database's clock with
        the caller's.
        """
        if self.started_at is None:
            return None
        return (self.completed_at or datetime.now(UTC)) - self.started_at

    @property
    def eta_seconds(self) -> float | None:
        """How many seconds were left at the last report, if the rest goes on like the past.

        None where that cannot be known: before the first report that says how much is done, while
        the job waits to be run again, when more was done than there was, and after its landing.
        """
        done = self._done
        if (
            self.status is not JobStatus.PROCESSING
            or self.retry_at is not None
            or self.progress_at is None
            or self.attempt_started_at is None
            or not 0 < done <= 1
        ):
            return None
        took = (self.progress_at - self.attempt_started_at).total_seconds()
        return max(0.0, took * (1 - done) / done)

    @property
    def _done(self) -> float:
        """The share that is done, from 0 to 1; of more than there is, more."""
        current, total = self.progress_current, self.progress_total
        if current is not None and total and int(min(100, 100 * current / total)) == self.progress:
            # Finer than the whole percentage, unless the body has said something else since.
            return current / total
        return self.progress / 100

    def to_dict(self, *, internal: bool = False) -> dict[str, Any]:
        """Return the job in types that JSON knows.

        Args:
            internal: Include `error_detail` (tracebacks, hosts), which its owner must not see.
        """
        # The two-argument form: slots make the zero-argument super() lose its class.
        plain = _Record.to_dict(self)
        if not internal:
            del plain["error_detail"]
        return plain


@dataclass(frozen=True, slots=True)
class Asset(_Record):
    """A file that a job made. `stored_at` is None while the file is still being written."""

    id: UUID
    job_id: UUID
    user_id: UUID | int | str
    attempt: int
    asset_type: str
    url: str
    storage_path: str
    file_size: int
    content_type: str | None
    sha256: str | None
    created_at: datetime
    stored_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobEvent(_Record):
    """One line of a job's history. A `transition` names the statuses it led from and to."""

    id: int
    job_id: UUID
    at: datetime
    event: str
    from_status: JobStatus | None
    to_status: JobStatus | None
    attempt: int
    worker_id: UUID | None
    error_code: str | None
    detail: dict[str, Any] | None

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        """Build the event from a row whose columns come in the order of the fields."""
        columns = _in_utc(row)
        columns[4:6] = [status and JobStatus(status) for status in columns[4:6]]
        return cls(*columns)


@dataclass(frozen=True, slots=True)
class JobItem(_Record):
    """What became of one unit of work inside a job."""

    job_id: UUID
    key: str
    attempt: int
    status: ItemStatus
    label: str | None
    error_message: str | None
    at: datetime

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        """Build the item from a row whose columns come in the order of the fields."""
        columns = _in_utc(row)
        columns[3] = ItemStatus(columns[3])
        return cls(*columns)


@dataclass(frozen=True, slots=True)
class JobLog(_Record):
    """What the body of a job has logged. `level` is the name of the level, such as ``INFO``."""

    id: int
    job_id: UUID
    attempt: int
    at: datetime
    level: str
    logger: str
    message: str


@dataclass(frozen=True, slots=True)
class Worker(_Record):
    """A worker that is not known to be dead, and the jobs it holds."""

    id: UUID
    hostname: str
    pid: int
    queues: list[str]
    started_at: datetime
    heartbeat_at: datetime
    lease_until: datetime
    alive: bool
    holds: list[UUID]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next_cursor` asks for the next one and is None on the last."""

    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Stats:
    """How many jobs there are.

    `by_status` has every status, `by_type` every job type that has jobs, with its statuses.
    """

    by_status: Mapping[JobStatus, int]
    by_type: Mapping[str, Mapping[JobStatus, int]]
    oldest_queued_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return the counts in types that JSON knows."""
        return {
            "by_status": {status.value: count for status, count in self.by_status.items()},
            "by_type": {
                job_type: {status.value: count for status, count in counts.items()}
                for job_type, counts in self.by_type.items()
            },
            "oldest_queued_at": _plain(self.oldest_queued_at),
        }


def _in_utc(row: tuple[Any, ...]) -> list[Any]:
    # The driver gives times in the session's zone, which is the server's business.
    return [value.astimezone(UTC) if type(value) is datetime else value for value in row]


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value
