"""Messages: what is stored so that a job can be published at any time, and the publishing."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from celery import Celery, Task
from celery.canvas import maybe_signature
from celery.exceptions import ImproperlyConfigured, SoftTimeLimitExceeded
from celery.utils.functional import maybe_list
from kombu.exceptions import (
    ContentDisallowed,
    EncodeError,
    OperationalError,
    SerializerNotInstalled,
)
from kombu.utils import json as kombu_json

from jobstate import tracing
from jobstate.celery.broker import ONCE, BrokerDownError, bounded_producer
from jobstate.creation import When
from jobstate.errors import InvalidValueError

logger = logging.getLogger("jobstate")

TICKET = "jobstate-after"
"""The header that says which attempt a message follows; see docs/lifecycle.md."""

OWNER = "jobstate-owner"
"""The header that says who owns a job whose message was published without its row."""

# What belongs to one call and cannot be kept.
_TRANSIENT = frozenset(
    {"connection", "producer", "publisher", "result_cls", "router", "task_type", "add_to_parent"}
)
IN_COLUMNS = frozenset({"countdown", "eta", "expires", "task_id"})
"""Options of a call that are columns of its job's row."""

_NOT_IN_MESSAGE = _TRANSIENT | IN_COLUMNS
_FOLLOWUPS = ("link", "link_error", "chain", "chord")
_ERRBACKS = ("link_error", "chord")
# What a job that runs the same call again must not have of it.
_OF_ONE_RUN = frozenset(
    {*_FOLLOWUPS, "group_id", "group_index", "headers", "parent_id", "reply_to", "retries"}
    | {"root_id"}
)


_HOPELESS = (
    ContentDisallowed,
    EncodeError,
    ImproperlyConfigured,
    SerializerNotInstalled,
    TypeError,
    ValueError,
)
"""What is raised when a message can be published by nobody, whatever the broker does."""


@dataclass(frozen=True, slots=True)
class Message:
    """What Celery needs to run a job's task: the task, its arguments, its options."""

    task_name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: Mapping[str, Any]

    def encode(self) -> str:
        """Return the message as it is stored: exact text inside JSON, so that nothing is changed.

        Raises:
            InvalidValueError: It cannot be written as JSON.
        """
        kept = self._kept_without(_NOT_IN_MESSAGE)
        pending = {
            "followups": any(kept.get(name) for name in _FOLLOWUPS),
            "errbacks": any(kept.get(name) for name in _ERRBACKS),
        }
        return json.dumps({"body": self._body(kept), **pending})

    def encode_call(self, queue: str, message: str | None = None) -> str:
        """Return the bare call, for another job: without its place in a canvas and what follows.

        Args:
            queue: The queue that the message goes to.
            message: The message as it was encoded, which is not done twice where nothing differs.

        Raises:
            InvalidValueError: It cannot be written as JSON.
        """
        if message is None or not _OF_ONE_RUN.isdisjoint(self.options):
            kept = self._kept_without(_NOT_IN_MESSAGE | _OF_ONE_RUN)
            bare = {"body": self._body(kept), "followups": False, "errbacks": False}
            message = json.dumps(bare)
        names = f'"task_name": {json.dumps(self.task_name)}, "queue": {json.dumps(queue)}'
        return f'{{{names}, "message": {message}}}'

    def _kept_without(self, names: frozenset[str]) -> dict[str, Any]:
        return {
            name: getattr(value, "name", value) if name in ("queue", "exchange") else value
            for name, value in self.options.items()
            if name not in names and value is not None
        }

    def _body(self, options: Mapping[str, Any]) -> str:
        try:
            body: str = kombu_json.dumps([list(self.args), dict(self.kwargs), options])
            body.encode()
        except (TypeError, ValueError, EncodeError) as error:
            raise InvalidValueError(
                f"The call of {self.task_name} cannot be stored: {error}. Arguments and options "
                "of a job must be JSON. Pass ids and plain values instead of objects."
            ) from error
        return body

    def call(
        self,
        app: Celery,
        job_id: UUID,
        ticket: int,
        *,
        eta: When | None,
        expires: When | None,
        plainly: bool = False,
    ) -> Callable[..., object]:
        """Return what publishes the message, given `producer=`.

        `plainly` is for further messages to the same queue: it is not declared, and nothing is
        tried twice.
        """
        options = {name: value for name, value in self.options.items() if name not in IN_COLUMNS}
        options["headers"] = {**(options.get("headers") or {}), TICKET: ticket}
        options["eta" if isinstance(eta, datetime) else "countdown"] = _seconds(eta)
        if plainly:
            options = {"declare": [], **options, "retry": False}
        # Also where the call has a policy of its own: it is the sweeper that tries again.
        options |= {"task_id": str(job_id), "expires": _seconds(expires), "retry_policy": ONCE}
        call = partial(self._publisher(app), self.args, self.kwargs, **options)
        # With nothing but the ticket, the message carries no trace.
        headers = options["headers"]
        return call if len(headers) == 1 else tracing.within(headers, call)

    def _publisher(self, app: Celery) -> Callable[..., object]:
        """Return Celery's own way to publish: that of a JobTask would make a job of it again."""
        task = app.tasks.get(self.task_name)
        if task is None:
            return partial(app.send_task, self.task_name)
        return partial(Task.apply_async, task)

    @classmethod
    def decode(cls, task_name: str, stored: Mapping[str, Any]) -> "Message":
        """Read a message as it was stored."""
        args, kwargs, options = kombu_json.loads(stored["body"])
        return cls(task_name, tuple(args), kwargs, options)


def freeze_callbacks(app: Celery, options: dict[str, Any], **inherited: object) -> None:
    """Settle the ids of callbacks and errbacks, so that a second dispatch makes no second job.

    Those that are jobs get the options of `inherited`: Celery may dispatch them in a process that
    knows nothing of the job they follow.
    """
    for name in ("link", "link_error"):
        if options.get(name):
            frozen = [
                maybe_signature(found, app, clone=True) for found in maybe_list(options[name])
            ]
            for signature in frozen:
                signature.freeze()
                if getattr(app.tasks.get(signature.task), "runs_as_job", False):
                    signature.options = {**inherited, **signature.options}
            options[name] = frozen


def send(app: Celery, job_id: UUID, call: Callable[..., object], timeout: float) -> bool:
    """Call `call` with a producer; return whether it was all published, in `timeout` seconds.

    What goes wrong in this process alone is no error: the row has the message, and it is
    published later.

    Raises:
        BrokerDownError: The broker did not take it in time.
        InvalidValueError: No broker would ever take it.
    """
    try:
        with bounded_producer(app, timeout) as producer:
            call(producer=producer)
    except SoftTimeLimitExceeded:
        raise  # It is meant for the body that publishes here.
    except Exception as error:
        if app.conf.task_always_eager:
            raise  # Nothing was published: this is the body's own exception.
        if isinstance(error, _HOPELESS):
            raise _hopeless(job_id, error) from error
        logger.warning(
            "Job %s was not published: the broker did not take it (%s). Its row keeps the message.",
            job_id,
            error,
            extra={"job_id": str(job_id)},
        )
        if isinstance(error, OperationalError | OSError):
            raise BrokerDownError from error
        return False
    return True


def send_batch(
    app: Celery, calls: Mapping[UUID, Callable[..., object]], timeout: float
) -> dict[UUID, InvalidValueError]:
    """Call all of `calls` with one producer, which sends what they publish together.

    Returns:
        Those of the jobs that no broker would ever take. All others were published.

    Raises:
        BrokerDownError: The broker did not take some of them in time; it is not known which.
    """
    refused: dict[UUID, InvalidValueError] = {}
    try:
        with bounded_producer(app, timeout) as producer, producer.batch():
            for job_id, call in calls.items():
                try:
                    call(producer=producer)
                except _HOPELESS as error:
                    refused[job_id] = _hopeless(job_id, error)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        logger.warning(
            "%d jobs were not published: the broker did not take them (%s). "
            "Their rows keep the messages.",
            len(calls),
            error,
        )
        raise BrokerDownError from error
    return refused


def _hopeless(job_id: UUID, error: Exception) -> InvalidValueError:
    return InvalidValueError(
        f"Job {job_id} cannot be published: {error}. Its options contradict each other or "
        "the app's configuration. Correct them."
    )


def ticket_of(request: Any) -> int:
    """Return which attempt the message of a request follows."""
    return (request.headers or {}).get(TICKET) or 0


def _seconds(when: When | None) -> datetime | float | None:
    return when.total_seconds() if isinstance(when, timedelta) else when
