"""Pages of lists: how long one may be, and where the next one begins."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from jobstate.errors import InvalidValueError
from jobstate.records import Job, JobItem, JobLog
from jobstate.values import check_text

MAX_PAGE = 1000
"""How much one page of a list has at most."""

_MOST_ID = 2**63 - 1


def check_limit(limit: int, what: str) -> None:
    """Check how much a page is to have; `what` is in the list, such as ``jobs``.

    Raises:
        InvalidValueError: It is no whole number from 1 to `MAX_PAGE`.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise InvalidValueError(
            f"The limit {limit!r} is wrong: a page has 1 to {MAX_PAGE} {what}. "
            "Pass a whole number, and ask for the next page with its cursor."
        )


def check_first(limit: int | None, what: str) -> None:
    """Check how much is read at once; None: all.

    Raises:
        InvalidValueError: It is no whole number from 1 on.
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise InvalidValueError(
            f"The limit {limit!r} is wrong: at least one {what} is read. "
            "Pass a whole number, or leave it out to read all."
        )


def job_cursor(landed_at: datetime | None, job: Job) -> str:
    """Return the cursor of what follows a job; `landed_at` where the list is in that order."""
    landed_before = None if landed_at is None else landed_at.isoformat()
    return _write(landed_before, job.created_at.isoformat(), str(job.id))


def read_job_cursor(cursor: str | None) -> tuple[datetime | None, datetime | None, UUID | None]:
    """Return when the job landed, if that counts, when it was created, and its id.

    Raises:
        InvalidValueError: It was not given as a cursor of jobs; so below, of the others.
    """
    if cursor is None:
        return None, None, None
    try:
        landed_at, at, job_id = _read(cursor)
        landed_before = None if landed_at is None else datetime.fromisoformat(landed_at)
        return landed_before, datetime.fromisoformat(at), UUID(job_id)
    except (ValueError, TypeError, AttributeError) as error:
        raise _malformed(cursor) from error


def item_cursor(item: JobItem) -> str:
    """Return the cursor of what follows an item."""
    return _write(item.at.isoformat(), item.key)


def read_item_cursor(cursor: str | None) -> tuple[datetime | None, str | None]:
    """Return when the item was recorded, and its key."""
    if cursor is None:
        return None, None
    try:
        at, key = _read(cursor)
        return datetime.fromisoformat(at), check_text(key, "cursor")
    except (ValueError, TypeError) as error:
        raise _malformed(cursor) from error


def log_cursor(line: JobLog) -> str:
    """Return the cursor of what follows a line of a log."""
    return _write(line.id)


def read_log_cursor(cursor: str | None) -> int | None:
    """Return the id of the line."""
    if cursor is None:
        return None
    try:
        (line,) = _read(cursor)
    except (ValueError, TypeError) as error:
        raise _malformed(cursor) from error
    if isinstance(line, bool) or not isinstance(line, int) or not 0 < line <= _MOST_ID:
        raise _malformed(cursor)
    return line


def _write(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _read(cursor: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (AttributeError, RecursionError, binascii.Error) as error:
        raise ValueError(cursor) from error


def _malformed(cursor: object) -> InvalidValueError:
    return InvalidValueError(
        f"The cursor {cursor!r} is malformed: it must be a next_cursor as it was given. "
        "Start again without one."
    )
