"""A durable job row in Postgres for every Celery task: it always lands.

Importing this package does nothing; `install` connects it to a Celery app.
"""

from jobstate.aio import AsyncJobService
from jobstate.celery import (
    CurrentJob,
    JobLogFilter,
    JobState,
    JobTask,
    Partial,
    current_job,
    install,
)
from jobstate.errors import (
    AssetNotFound,
    ConfigurationError,
    InvalidStateTransitionError,
    InvalidValueError,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobLocked,
    JobNotFound,
    JobStateError,
    LeaseLost,
    NotOwner,
    NotRetryable,
    OwnerRequired,
    SchemaMismatch,
    StorageUnavailable,
    StoreRefused,
    StoreUnavailable,
    TransactionOpen,
)
from jobstate.records import Asset, Job, JobEvent, JobItem, JobLog, Page, Stats
from jobstate.service import JobService
from jobstate.settings import Settings
from jobstate.states import (
    VALID_TRANSITIONS,
    ErrorCode,
    ItemStatus,
    JobStatus,
    is_terminal_state,
)

__all__ = [
    "VALID_TRANSITIONS",
    "Asset",
    "AssetNotFound",
    "AsyncJobService",
    "ConfigurationError",
    "CurrentJob",
    "ErrorCode",
    "InvalidStateTransitionError",
    "InvalidValueError",
    "ItemStatus",
    "Job",
    "JobCancelled",
    "JobCompleted",
    "JobEvent",
    "JobFailed",
    "JobItem",
    "JobLocked",
    "JobLog",
    "JobLogFilter",
    "JobNotFound",
    "JobService",
    "JobState",
    "JobStateError",
    "JobStatus",
    "JobTask",
    "LeaseLost",
    "NotOwner",
    "NotRetryable",
    "OwnerRequired",
    "Page",
    "Partial",
    "SchemaMismatch",
    "Settings",
    "Stats",
    "StorageUnavailable",
    "StoreRefused",
    "StoreUnavailable",
    "TransactionOpen",
    "current_job",
    "install",
    "is_terminal_state",
]
