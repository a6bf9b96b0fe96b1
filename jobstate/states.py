"""Where a job can be, and which moves are legal: the one truth about statuses and error codes."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class JobStatus(StrEnum):
    """The status of a job: waiting, running, or landed in one of three ways."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    PARTIAL = "partial"


VALID_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = MappingProxyType(
    {
        JobStatus.QUEUED: frozenset({JobStatus.PROCESSING}),
        JobStatus.PROCESSING: frozenset({JobStatus.COMPLETED, JobStatus.PARTIAL, JobStatus.FAILED}),
        JobStatus.COMPLETED: frozenset(),
        JobStatus.PARTIAL: frozenset(),
        JobStatus.FAILED: frozenset(),
    }
)
"""Every legal move of a job. The database's trigger enforces the same table."""

TERMINAL_STATUSES = frozenset(status for status, legal in VALID_TRANSITIONS.items() if not legal)
"""The statuses a job never leaves."""


def is_terminal_state(status: JobStatus | str) -> bool:
    """Tell whether a job in this status has landed.

    Raises:
        ValueError: `status` is not a job status.
    """
    return JobStatus(status) in TERMINAL_STATUSES


def sources_of(target: JobStatus) -> list[JobStatus]:
    """List the statuses from which a job may move to `target`."""
    return [status for status, legal in VALID_TRANSITIONS.items() if target in legal]


class ItemStatus(StrEnum):
    """What became of one item of a job."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class ErrorCode(StrEnum):
    """Why a job failed, where the reason is the library's to know.

    A task adds codes of its own with ``JobFailed(code=...)``; these are refused there.
    """

    EXCEPTION = "exception"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NEVER_DELIVERED = "never_delivered"
    WORKER_LOST = "worker_lost"
    TIME_LIMIT = "time_limit"
    UNKNOWN_TASK = "unknown_task"
    REJECTED = "rejected"
    RETRIES_EXHAUSTED = "retries_exhausted"
    RESCUES_EXHAUSTED = "rescues_exhausted"
    NO_PROGRESS = "no_progress"
    DEADLINE = "deadline"

    @property
    def message(self) -> str:
        """What the owner of the job reads, where nobody said anything better."""
        return _MESSAGES[self]


_MESSAGES = {
    ErrorCode.EXCEPTION: "The task failed unexpectedly.",
    ErrorCode.CANCELLED: "The job was cancelled.",
    ErrorCode.EXPIRED: "The job waited too long to start, and expired.",
    ErrorCode.NEVER_DELIVERED: "The job could not be delivered to any worker.",
    ErrorCode.WORKER_LOST: "The worker that ran the job was lost.",
    ErrorCode.TIME_LIMIT: "The job ran longer than its time limit.",
    ErrorCode.UNKNOWN_TASK: "No worker knows the task of this job.",
    ErrorCode.REJECTED: "The task gave the job up.",
    ErrorCode.RETRIES_EXHAUSTED: "The task failed again and again.",
    ErrorCode.RESCUES_EXHAUSTED: "The job lost its worker again and again.",
    ErrorCode.NO_PROGRESS: "The job made no progress for too long.",
    ErrorCode.DEADLINE: "The job did not end before its deadline.",
}
