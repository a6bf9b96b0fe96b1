"""What a route is asked, and what it answers, whatever the framework."""

import hashlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from jobstate.records import Asset, Job
from jobstate.service import JobService
from jobstate.watching import Changes
from jobstate.web.shapes import Shape, job_path, job_shape, to_text

RETRY_AFTER = 1
"""How soon a client should ask again about a live job, in seconds."""


class Headers(Protocol):
    """Headers, found in any case."""

    def get(self, name: str, /) -> str | None:
        """Return a header, or None."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the app says. An admin may use every job, in the place of its owner."""

    user_id: object
    is_admin: object = False


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: by whom, about what, with which parameters.

    `base` is the path below which the routes are, such as ``/api``. `csrf` is the name and the
    value of a field that the framework wants in every form. `is_head`: the client wants to know
    what it would get, and gets no body (RFC 9110).
    """

    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Headers
    base: str = ""
    csrf: tuple[str, str] | None = None
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Flow:
    """A response whose body comes piece by piece, from an iterator or an asyncio one."""

    headers: Mapping[str, str]
    pieces: Any
    status: int = 200


@dataclass(frozen=True, slots=True)
class Download:
    """A stored file is to be sent, or of it what is from byte `start` up to `end`, left out."""

    asset: Asset
    owner: object
    headers: Mapping[str, str]
    status: int = 200
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """The events of a job are to be sent, or those of all jobs of an owner.

    It begins with `job` as it was read just now, or with what was `read` of the owner's jobs, which
    `has_missed` some. `position` is where the client broke off. `leave` is called when it is over.
    """

    owner: object
    position: int | None
    base: str
    job: Job | None = None
    read: Changes | None = None
    has_missed: bool = False
    leave: Callable[[], object] = lambda: None


Ask = Callable[[JobService], Any]
"""A call of the service; the asyncio one is asked the same, and its answer awaited."""

Plan = Generator[Ask, Any, Answer | Download | Stream]
"""How a route answers: what it asks the service, one after the other, and what it returns."""

_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
}


def json_answer(
    shape: Shape, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """Answer with JSON."""
    headers = {"Content-Type": "application/json"} | _SAFE | dict(headers or {})
    return Answer(status, headers, to_text(shape).encode())


def tagged(request: Request, answer: Answer) -> Answer:
    """Give an answer its ETag; without a body when the client has just this one."""
    # Weak: a proxy that compresses keeps it.
    tag = f'W/"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    answer = replace(answer, headers={**answer.headers, "ETag": tag})
    known = request.headers.get("If-None-Match") or ""
    if tag.removeprefix("W/") not in (one.strip().removeprefix("W/") for one in known.split(",")):
        return answer
    kept = {name: value for name, value in answer.headers.items() if name != "Content-Type"}
    return Answer(304, kept)


def job_answer(request: Request, job: Job, status: int = 200) -> Answer:
    """Answer with a job; while it is live, with when to ask again."""
    return json_answer(job_shape(job, request.base), status, _patience(job))


def accepted_answer(job: Job, base: str) -> Answer:
    """Answer that a job was accepted: 202, and where to ask what becomes of it."""
    headers = {"Location": job_path(job.id, base)} | _patience(job)
    return json_answer(job_shape(job, base), 202, headers)


def _patience(job: Job) -> dict[str, str]:
    return {} if job.is_terminal else {"Retry-After": str(RETRY_AFTER)}
