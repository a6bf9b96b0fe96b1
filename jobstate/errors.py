"""Everything that can go wrong, as the caller sees it.

A message names the fact, the subject, what was expected, and the remedy.
"""

import copyreg
import re
from uuid import UUID

from jobstate.states import VALID_TRANSITIONS, ErrorCode, JobStatus

_CODE = re.compile(r"[a-z0-9_]{1,50}")


class JobStateError(Exception):
    """The base of every error that jobstate raises."""

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes as it is: Celery pickles what a body raises."""
        # The default form would pass the message to a constructor that takes the facts.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class ConfigurationError(JobStateError):
    """A setting or a declaration is wrong; the message lists everything that is."""


class InvalidValueError(JobStateError, ValueError):
    """An argument cannot be stored: wrong type, out of range, not JSON, too large."""


class OwnerRequired(JobStateError):  # noqa: N818 - a name of the public API
    """A job was enqueued without an owner, and none could be inherited."""

    def __init__(self, subject: str) -> None:
        super().__init__(
            f"{subject} has no owner: every job belongs to a user. Pass user_id=, enqueue it from "
            "inside another job, or set jobstate_system_user_id."
        )


class JobNotFound(JobStateError):  # noqa: N818 - a name of the public API
    """There is no job with this id."""

    def __init__(self, job_id: object) -> None:
        self.job_id = job_id
        super().__init__(
            f"Job {job_id} does not exist: no row has this id. "
            "It was never committed, or it was purged."
        )


class NotOwner(JobStateError):  # noqa: N818 - a name of the public API
    """The job belongs to somebody else."""

    def __init__(self, job_id: object, user_id: object) -> None:
        self.job_id = job_id
        self.user_id = user_id
        super().__init__(
            f"Job {job_id} does not belong to user {user_id}: only its owner may use it. "
            "Show this user a 404; an operator uses get_job_internal()."
        )


class InvalidStateTransitionError(JobStateError):
    """The job's status does not allow the move; the row is unchanged."""

    def __init__(self, job_id: UUID, current: JobStatus, target: JobStatus) -> None:
        self.job_id = job_id
        self.current = current
        self.target = target
        legal = ", ".join(sorted(VALID_TRANSITIONS[current]))
        expectation = f"it can only become {legal}" if legal else "it has landed and never moves"
        if not legal:
            remedy = "To run it again, enqueue a new job."
        elif target is JobStatus.QUEUED:
            remedy = "Leave it as it is: only a job that has landed can be run again."
        elif target is current:
            remedy = "Leave it as it is, or move it to one of these."
        else:
            remedy = "Move it through processing first."
        super().__init__(
            f"Job {job_id} cannot become {target}: it is {current}, and {expectation}. {remedy}"
        )


class NotRetryable(JobStateError):  # noqa: N818 - a name of the public API
    """No Celery task runs this job, so it cannot be run again."""


class LeaseLost(JobStateError):  # noqa: N818 - a name of the public API
    """This attempt no longer holds the job; nothing it writes from now on is visible."""

    def __init__(self, job_id: UUID, attempt: int) -> None:
        self.job_id = job_id
        self.attempt = attempt
        super().__init__(
            f"Job {job_id} was taken away from attempt {attempt}: it was released, landed or "
            "taken by another attempt. Stop the work; nothing this attempt writes is visible."
        )


class JobCompleted(JobStateError):  # noqa: N818 - the same form as JobCancelled
    """The body has completed its job by `complete_in`; nothing more is recorded of it."""

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(
            f"Job {job_id} was completed by complete_in(): nothing more is recorded of it. "
            "Do this before, or pass connection= to add_asset()."
        )


class TransactionOpen(JobStateError):  # noqa: N818 - the same form as JobCancelled
    """A transaction of the body's own, in which its job was written, has not ended."""

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(
            f"Job {job_id} was written in a transaction of its body's own, which is still open: it "
            "must end before the body does, and before anything else is written of the job. "
            "Commit it first, or roll it back."
        )


class JobCancelled(JobStateError):  # noqa: N818 - a name of the public API
    """Somebody asked for this job to be cancelled."""

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(
            f"Job {job_id} was cancelled on request: its body should end now. "
            "Let this exception leave the body."
        )


class JobFailed(JobStateError):  # noqa: N818 - a name of the public API
    """Raised by a task: lands its job in failed with this message and code.

    Args:
        message: What the owner reads.
        code: Why, for programs: lower case, digits and underscores, at most 50 characters, not
            one of the library's own codes. Without one, the code is ``exception``.

    Raises:
        InvalidValueError: The code is malformed or the library's own.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = ErrorCode.EXCEPTION.value if code is None else check_code(code)


class StoreUnavailable(JobStateError):  # noqa: N818 - a name of the public API
    """The database could not be reached or did not answer in time; nothing is known to be lost."""


class StoreRefused(StoreUnavailable):
    """The database refuses a statement for a reason of its own, such as somebody's trigger.

    Like an outage it may pass, but it may concern one job alone.
    """


class JobLocked(StoreUnavailable):
    """Another transaction has the job locked just now; nothing was written, nor waited for."""

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(
            f"Job {job_id} is locked: another transaction is about to change it. "
            "Nothing was written. Try again."
        )


class AssetNotFound(JobStateError):  # noqa: N818 - the same form as JobNotFound
    """There is no asset with this id, or its file is gone."""

    def __init__(self, asset_id: object) -> None:
        self.asset_id = asset_id
        super().__init__(
            f"Asset {asset_id} does not exist: no job's valid attempt has stored it. "
            "It was never stored, or it was purged."
        )


class StorageUnavailable(JobStateError):  # noqa: N818 - the same form as StoreUnavailable
    """The storage of the assets could not be reached, or refused a file."""


class SchemaMismatch(JobStateError):  # noqa: N818 - a name of the public API
    """The database's schema is missing, or does not fit this version of jobstate."""


def check_code(code: str) -> str:
    """Return a task's own error code unchanged.

    Raises:
        InvalidValueError: It is malformed or the library's own.
    """
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise InvalidValueError(
            f"Error code {code!r} is malformed: a code has 1 to 50 lower-case letters, digits and "
            "underscores. Choose one such as 'out_of_credit'."
        )
    if code in set(ErrorCode):
        raise InvalidValueError(
            f"Error code {code!r} is one of jobstate's own: a task's code must differ from them. "
            "Choose another, or leave it out."
        )
    return code
