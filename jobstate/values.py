"""What may enter a row: every value from outside is checked here, before it reaches the database.

Two attitudes. What a caller passes is checked, and refused with a clear error. What the library
itself must write for a job to land (the text of an exception) is mended instead.
"""

import json
import math
import sys
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from jobstate.errors import InvalidValueError, JobNotFound, OwnerRequired
from jobstate.states import JobStatus

MAX_TEXT = 10_000
"""Characters of a message that are kept; a longer one is cut where the library writes it."""

MAX_DEPTH = 100
"""How deep JSON may be nested. Whatever reads it back must not run out of stack."""


def job_id_of(value: UUID | str) -> UUID:
    """Return the id of a job that is looked up.

    Raises:
        JobNotFound: It is not a UUID, so no job has it.
    """
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise JobNotFound(value) from None


def new_id_of(value: UUID | str) -> UUID:
    """Return the id that a new job or task is to have.

    Raises:
        InvalidValueError: It is not a UUID.
    """
    try:
        return job_id_of(value)
    except JobNotFound:
        raise InvalidValueError(
            f"Task id {value!r} is not a UUID: the task id is the job's id. "
            "Pass a UUID or its text, or leave it out."
        ) from None


def owner_text(user_id: object, subject: str) -> str:
    """Return the owner as the text that the database reads as its own type of user id.

    Raises:
        OwnerRequired: It is None.
        InvalidValueError: It is no UUID, integer or text.
    """
    if user_id is None:
        raise OwnerRequired(subject)
    if isinstance(user_id, bool) or not isinstance(user_id, UUID | int | str):
        raise InvalidValueError(
            f"{subject}: user id {user_id!r} is a {type(user_id).__name__}, "
            "but an owner is a UUID, an integer or text. Pass the user's primary key."
        )
    if isinstance(user_id, int):
        _check_digits(user_id, "user id")
    return check_text(str(user_id), "user id")


def check_status(value: JobStatus | str) -> JobStatus:
    """Return the status that a caller named.

    Raises:
        InvalidValueError: There is no such status.
    """
    try:
        return JobStatus(value)
    except ValueError:
        raise InvalidValueError(
            f"Status {value!r} is unknown: a job is {', '.join(JobStatus)}. Use JobStatus."
        ) from None


def check_text(text: str, name: str) -> str:
    """Return text that Postgres can store, unchanged.

    Raises:
        InvalidValueError: It is not text, or has a NUL character or a lone surrogate.
    """
    if not isinstance(text, str):
        raise InvalidValueError(
            f"The {name} is a {type(text).__name__}: it must be text. Convert it with str()."
        )
    if "\x00" in text:
        raise InvalidValueError(
            f"There is a NUL character in the {name}, at position {text.index(chr(0))}: Postgres "
            "cannot store one. Remove it."
        )
    if (position := _lone_surrogate(text)) is not None:
        raise InvalidValueError(
            f"There is a lone surrogate in the {name}, at position {position}: it is not valid "
            "Unicode. Decode the text with errors='replace'."
        )
    return text


def optional_text(text: str | None, name: str) -> str | None:
    """Check text that may be missing; see `check_text`."""
    return None if text is None else check_text(text, name)


def mend_text(text: str) -> str:
    """Return text that Postgres can store, whatever it was: cut, with U+FFFD for what it cannot."""
    whole = text.replace("\x00", "\ufffd").encode("utf-8", "surrogatepass")
    return whole.decode("utf-8", "replace")[:MAX_TEXT]


def to_json(value: object, name: str, limit: int) -> str:
    """Return `value` as JSON that Postgres can store.

    Dates, times, UUIDs and decimals become text.

    Args:
        value: What to store.
        name: What it is, for the message.
        limit: The most it may take, in bytes of UTF-8.

    Raises:
        InvalidValueError: It is not JSON (the message names the type and where it is), holds
            text that Postgres cannot store, or is larger than `limit`.
    """
    try:
        text = _encode(value)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError):
        _explain(value, name)
        raise
    if "\\u0000" in text or _is_deep(value, text):
        _explain(value, name)
    if size > limit:
        raise InvalidValueError(
            f"Too large: {size:,} bytes of JSON in the {name}, and at most {limit:,} are stored. "
            "Store it as an asset and keep a reference, or raise the limit in the settings."
        )
    return text


def _known(value: object) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError


# Made once: making it takes longer than encoding a few arguments.
_encode = json.JSONEncoder(default=_known, ensure_ascii=False, allow_nan=False).encode


def _is_deep(value: object, text: str) -> bool:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    level: list[Iterable[object]] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return False
        level = [
            member.values() if isinstance(member, dict) else member
            for members in level
            for member in members
            if isinstance(member, dict | list | tuple)
        ]
    return bool(level)


def _explain(
    value: object, name: str, path: tuple[str, ...] = (), around: tuple[object, ...] = ()
) -> None:
    """Raise the error of the first thing in `value` that keeps it from being stored.

    `path` leads to `value`, through the containers `around` it.
    """
    where = f"{name} at {'.'.join(path)}" if path else name
    match value:
        case None | bool() | datetime() | date() | time() | UUID() | Decimal():
            return
        case str():
            check_text(value, where)
        case int():
            _check_digits(value, where)
        case float():
            check_number(value, where)
        case dict() | list() | tuple():
            _check_nesting(value, where, around)
            for key, member in value.items() if isinstance(value, dict) else enumerate(value):
                _check_key(key, where)
                _explain(member, name, (*path, str(key)), (*around, value))
        case _:
            raise InvalidValueError(
                f"The {where} is a {type(value).__name__}: it is not JSON. "
                "Use numbers, text, lists, dicts, dates, UUIDs or decimals."
            )


def _check_nesting(value: object, where: str, around: tuple[object, ...]) -> None:
    if any(value is container for container in around):
        raise InvalidValueError(
            f"The {where} refers to itself: JSON has no way to write that. "
            "Replace the reference by an id."
        )
    if len(around) >= MAX_DEPTH:
        raise InvalidValueError(
            f"The {where} is nested too deeply: JSON is stored up to {MAX_DEPTH} levels deep. "
            "Flatten it, or store it as an asset."
        )


def _check_key(key: object, where: str) -> None:
    if isinstance(key, str):
        check_text(key, f"key of the {where}")
    elif isinstance(key, float):
        check_number(key, f"key of the {where}")
    elif isinstance(key, int):
        _check_digits(key, f"key of the {where}")
    elif key is not None:
        raise InvalidValueError(
            f"The {where} has a key of type {type(key).__name__}: "
            "JSON keys are text. Convert it with str()."
        )


def _check_digits(value: int, where: str) -> None:
    try:
        str(value)
    except ValueError:
        raise InvalidValueError(
            f"The {where} has more than {sys.get_int_max_str_digits()} digits: Python does not "
            "write such a number as text. Store it as hex()."
        ) from None


def check_number(value: float, name: str) -> float:
    """Return a number, unchanged.

    Raises:
        InvalidValueError: It is no number, not finite, or larger than a float can be.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValueError(
            f"The {name} is a {type(value).__name__}: it must be a number. Convert it with float()."
        )
    try:
        finite = math.isfinite(value)
    except OverflowError:
        raise InvalidValueError(
            f"The {name} is too large: it must fit a float. Count in a larger unit."
        ) from None
    if not finite:
        raise InvalidValueError(
            f"The {name} is {value}: it must be a finite number. Check the division it came from."
        )
    return value


def check_span(value: float | timedelta, name: str) -> float:
    """Return a span of time in seconds.

    Raises:
        InvalidValueError: It is no number, or negative.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if check_number(seconds, name) < 0:
        raise InvalidValueError(
            f"The {name} {value!r} is negative: it goes back from now. Pass seconds or a timedelta."
        )
    return seconds


def _lone_surrogate(text: str) -> int | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None
