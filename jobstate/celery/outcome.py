"""How the end of a body becomes the landing of its job: one verb for each ending."""

import os
import socket
import traceback
from dataclasses import dataclass
from typing import Any

from billiard.exceptions import TimeLimitExceeded
from celery.exceptions import MaxRetriesExceededError, SoftTimeLimitExceeded

from jobstate.attempts import Landing
from jobstate.errors import JobCancelled, JobFailed
from jobstate.items import ItemCounts
from jobstate.settings import Settings
from jobstate.states import ErrorCode, JobStatus
from jobstate.values import mend_text, optional_text, to_json

_MAX_DETAIL = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Partial:
    """Returned by a task whose work is worth keeping although some of it failed.

    Its job lands in partial. Callbacks and the next chain step get `result`.
    """

    result: Any = None
    error_message: str | None = None


def success(value: object, counts: ItemCounts, settings: Settings) -> Landing:
    """Land what a body returned: completed, or partial if it says so or some items failed.

    Raises:
        InvalidValueError: The result cannot be stored.
        JobFailed: Every item failed.
    """
    result, message, status = value, None, JobStatus.COMPLETED
    if isinstance(value, Partial):
        result, status = value.result, JobStatus.PARTIAL
        message = optional_text(value.error_message, "error message of Partial")
    if counts.failed:
        if counts.failed == counts.total:
            raise JobFailed(f"All {counts.total} items failed.")
        status = JobStatus.PARTIAL
        message = message or f"{counts.failed} of {counts.total} items failed."
    stored = None if result is None else to_json(result, "result", settings.max_result_bytes)
    return Landing(status, result=stored, error_message=message)


def failure(error: BaseException, settings: Settings, *, retries_exhausted: bool) -> Landing:
    """Land what left a body as an exception."""
    detail = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "traceback": "".join(traceback.format_exception(error)),
    }
    if isinstance(error, JobFailed):
        return failed(error.code, _said(error.message), detail)
    if isinstance(error, JobCancelled):
        return failed(ErrorCode.CANCELLED, None, detail)
    if isinstance(error, SoftTimeLimitExceeded | TimeLimitExceeded):
        return failed(ErrorCode.TIME_LIMIT, None, detail)
    if settings.error_message == "generic":
        message = ErrorCode.EXCEPTION.message
    else:
        message = _text_of(error)
    exhausted = retries_exhausted or isinstance(error, MaxRetriesExceededError)
    code = ErrorCode.RETRIES_EXHAUSTED if exhausted else ErrorCode.EXCEPTION
    return failed(code, message, detail)


def failed(code: str, message: str | None = None, detail: dict[str, str] | None = None) -> Landing:
    """Land in failed, with the code's own message unless there is a better one."""
    text = ErrorCode(code).message if message is None else message
    where = {"host": socket.gethostname(), "pid": os.getpid()}
    mended = {name: mend_text(value) for name, value in (detail or {}).items()}
    return Landing(
        JobStatus.FAILED,
        error_code=code,
        error_message=mend_text(text),
        error_detail=to_json(where | mended, "error detail", _MAX_DETAIL),
    )


def described(error: BaseException) -> str:
    """Return the type and the text of an exception, as the history has them."""
    return mend_text(f"{type(error).__name__}: {_text_of(error)}")


def _said(message: object) -> str:
    """Return what a task wants its owner to read, be it an exception, a number or nothing."""
    if message is None:
        return ErrorCode.EXCEPTION.message
    return message if isinstance(message, str) else _text_of(message)


def _text_of(error: object) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 - an exception whose text is broken still has to be told
        return type(error).__name__
