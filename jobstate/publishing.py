"""What the row knows of its message: what is to be published, what went out, what was lost.

No hold fences this: while a message is on its way nobody has the job. Its ticket is compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from jobstate.answers import nothing
from jobstate.states import ErrorCode
from jobstate.store import Operation, Row

_TOGETHER = 3
"""Of how many small jobs a page has room for new versions, where its fillfactor is 85."""

_PARTS = 8
"""How many times as many jobs are in a page, and some to spare."""


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


def note_first_published(ages: Mapping[UUID, float]) -> Iterator[Operation[None]]:
    """Remember how many seconds ago the first messages of these jobs went out.

    Nothing is remembered of a job that was taken or written to since, or that is locked just now.

    Each operation must commit before the next one. Jobs that were created one after the other are
    in the same page of the table, which has room for new versions of a few of them; the others go
    elsewhere, and enter every index anew. With each commit, the old versions make room.
    """
    ids = sorted(ages)
    parts = min(_PARTS, -(-len(ids) // _TOGETHER))
    for part in range(parts):
        noted = ids[part::parts]
        params = {"ids": noted, "ages": [ages[job_id] for job_id in noted]}
        yield Operation("note_first_published", params, nothing)


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
