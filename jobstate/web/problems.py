"""Errors as problem+json (RFC 9457): what a client may know of them."""

import logging
from http import HTTPStatus

from jobstate.errors import (
    AssetNotFound,
    InvalidStateTransitionError,
    InvalidValueError,
    JobNotFound,
    JobStateError,
    NotOwner,
    NotRetryable,
    OwnerRequired,
    StorageUnavailable,
    StoreUnavailable,
)
from jobstate.web.exchange import Answer
from jobstate.web.places import TooManyStreams
from jobstate.web.shapes import to_text
from jobstate.web.sse import KEEP_ALIVE

PROBLEM = "application/problem+json"

WAIT = 5
"""How soon a client should ask again when the database is away, in seconds."""

logger = logging.getLogger("jobstate")

_UNAVAILABLE = "The jobs cannot be read just now. Nothing is lost; ask again in a moment."
_BROKEN = "The server is not set up as it should be. Its log says more."


class Forbidden(JobStateError):  # noqa: N818 - the same form as JobNotFound
    """The caller is known, and may not do this."""


_STATUSES: dict[tuple[type[JobStateError], ...], int] = {
    # The same for all: nobody learns which jobs others have.
    (JobNotFound, NotOwner, AssetNotFound): 404,
    (OwnerRequired,): 401,
    (Forbidden,): 403,
    (InvalidStateTransitionError, NotRetryable): 409,
    (InvalidValueError,): 400,
}

_DETAILS = {
    404: "There is nothing here, or it is somebody else's.",
    401: "Nobody is logged in: jobs belong to a user. Log in first.",
}


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Answer:
    """Answer with a problem."""
    shape = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    headers = {
        "Content-Type": PROBLEM,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **(headers or {}),
    }
    return Answer(status, headers, to_text(shape).encode())


def problem_of(error: JobStateError) -> Answer:
    """Answer with what the client may know of an error; the rest goes to the log."""
    for kinds, status in _STATUSES.items():
        if isinstance(error, kinds):
            return problem(status, _DETAILS.get(status, str(error)))
    if isinstance(error, TooManyStreams):
        # By then it was noticed whose clients are gone.
        return problem(429, str(error), {"Retry-After": f"{KEEP_ALIVE:.0f}"})
    if isinstance(error, StoreUnavailable | StorageUnavailable):
        logger.warning("A request about jobs could not be answered: %s", error)
        return problem(503, _UNAVAILABLE, {"Retry-After": str(WAIT)})
    logger.error("A request about jobs could not be answered: %s", error)
    return problem(500, _BROKEN)
