"""What the row knows of its message: what is to be published, what went out, what was lost.

No hold fences this: while a message is on its way nobody has the job. Its ticket is compared.
"""

from collections.abc import Sequence
from uuid import UUID

from jobstate.answers import nothing
from jobstate.states import ErrorCode
from jobstate.store import Operation, Row


def message_of(job_id: UUID, *, again: bool) -> Operation[Row | None]:
    """Read what has to be published for a job: task, message, ticket, seconds to its times."""
    params = {"id": job_id, "again": again}
    return Operation("message_of", params, lambda rows: rows[0] if rows else None)


def messages_of(ids: Sequence[UUID]) -> Operation[list[Row]]:
    """Read what has to be published of these jobs for the first time: the id, and `message_of`."""
    return Operation("messages_of", {"ids": list(ids)}, lambda rows: rows)


def note_published(job_id: UUID, ticket: int, look_again: float) -> Operation[None]:
    """Remember that a job's message went out; the sweeper looks again after so many seconds."""
    params = {"id": job_id, "ticket": ticket, "look_again": look_again}
    return Operation("note_published", params, nothing)


def note_batch_published(ids: Sequence[UUID]) -> Operation[None]:
    """Remember that the first messages of these jobs went out, as far as nobody has them locked."""
    return Operation("note_batch_published", {"ids": list(ids)}, nothing)


def put_back(
    job_id: UUID, ticket: int, error_code: ErrorCode | None, lost_grace: float
) -> Operation[None]:
    """Have a job published again whose message was thrown away."""
    params = {
        "id": job_id,
        "ticket": ticket,
        "error_code": error_code,
        "lost_grace": lost_grace,
    }
    return Operation("put_back", params, nothing)
