"""How a job comes to be: the checks and the insert that every way of enqueueing shares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobstate.answers import one_job
from jobstate.errors import InvalidValueError
from jobstate.ids import new_id
from jobstate.records import Job
from jobstate.settings import Settings
from jobstate.store import Operation, Row, Script
from jobstate.values import (
    check_number,
    check_text,
    new_id_of,
    optional_text,
    owner_text,
    to_json,
)

When = datetime | timedelta | float
"""A moment, or how far it is from now: seconds or a `timedelta`."""

FARTHEST = timedelta(days=365_000)
"""How far from now a moment may be: Postgres stores times that Python cannot read back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """A job that is to be created."""

    user_id: object
    job_type: str
    parameters: object = None
    job_id: UUID | str | None = None
    task_name: str | None = None
    queue: str | None = None
    message: str | None = None
    eta: When | None = None
    expires: When | None = None
    deadline: When | None = None
    idempotency_key: str | None = None
    parent_id: UUID | str | None = None
    retry_of: UUID | str | None = None
    call: str | None = None
    """The call as JSON, where it can be made again after the landing."""
    id: UUID = field(init=False)

    def __post_init__(self) -> None:
        """Settle the id before anything is written, so that a lost answer can be asked again."""
        object.__setattr__(self, "id", new_id() if self.job_id is None else new_id_of(self.job_id))


def create(new: NewJob, settings: Settings) -> Script[tuple[Job, bool]]:
    """Create a job, or find the one that exists in its place; say whether it is new.

    Of two that race with one idempotency key, the second waits for the first to commit.
    """
    while True:
        if (created := (yield create_job(new, settings))) is not None:
            return created, True
        # Neither there nor free: it was deleted in between.
        if (found := (yield find_existing(new))) is not None:
            return found, False


def create_job(new: NewJob, settings: Settings) -> Operation[Job | None]:
    """Insert a job. None: its id or its idempotency key is there already; see `find_existing`."""
    parameters = {} if new.parameters is None else new.parameters
    params: dict[str, Any] = {
        **_identity(new),
        "task_name": optional_text(new.task_name, "task name"),
        "queue": optional_text(new.queue, "queue"),
        "parameters": to_json(parameters, "parameters", settings.max_parameters_bytes),
        "message": new.message,
        # Without a message there is nothing to publish, and so nothing to look after.
        "publish_grace": None if new.message is None else settings.publish_grace,
        "parent_id": None if new.parent_id is None else new_id_of(new.parent_id),
        "retry_of": None if new.retry_of is None else new_id_of(new.retry_of),
        "call": new.call,
        **moment("eta", "countdown", new.eta),
        **moment("expires_at", "expires_in", new.expires),
        **moment("deadline_at", "deadline_in", new.deadline),
    }
    return Operation("create_job", params, one_job)


def find_existing(new: NewJob) -> Operation[Job | None]:
    """Read the job that kept `new` from being created, which is the answer to creating it again."""

    def read(rows: list[Row]) -> Job | None:
        if not rows:
            return None
        if not rows[0][0]:
            raise taken(new)
        return Job.from_row(rows[0][1:])

    return Operation("find_existing", _identity(new), read)


def taken(new: NewJob) -> InvalidValueError:
    """Return the error of a job whose id belongs to another one."""
    return InvalidValueError(
        f"Job id {new.id} is taken: another job has it. "
        "Leave job_id or task_id out, and a new one is chosen."
    )


def _identity(new: NewJob) -> Mapping[str, object]:
    return {
        "id": new.id,
        "user_id": owner_text(new.user_id, f"The job {new.job_type}"),
        "job_type": check_text(new.job_type, "job type"),
        "idempotency_key": optional_text(new.idempotency_key, "idempotency key"),
    }


def moment(at: str, distance: str, when: When | None) -> Mapping[str, object]:
    """Bind a moment by the caller's clock, or a distance that the database adds to its own.

    Raises:
        InvalidValueError: It is neither, has no time zone, or is a thousand years away.
    """
    if when is None:
        return {at: None, distance: None}
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidValueError(
                f"The time {when} has no time zone: it could mean several moments. "
                "Use datetime.now(UTC) or another aware time."
            )
        _check_distance((when - datetime.now(UTC)).total_seconds(), when)
        return {at: when, distance: None}
    seconds = when.total_seconds() if isinstance(when, timedelta) else check_number(when, "time")
    _check_distance(seconds, when)
    return {at: None, distance: seconds}


def _check_distance(seconds: float, when: When) -> None:
    if abs(seconds) > FARTHEST.total_seconds():
        raise InvalidValueError(
            f"The time {when} is too far away: it is at most a thousand years from now. "
            "Check its unit: a number is in seconds."
        )
