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
from kombu.exceptions import EncodeError, OperationalError
from kombu.utils import json as kombu_json

from jobstate.creation import When
from jobstate.errors import InvalidValueError

logger = logging.getLogger("jobstate")

TICKET = "jobstate-after"
"""The header that says which attempt a message follows; see docs/lifecycle.md."""

OWNER = "jobstate-owner"
"""The header that says who owns a job whose message was published without its row."""

# What belongs to one call and cannot be kept; and what columns of the row say better.
_TRANSIENT = frozenset(
    {"connection", "producer", "publisher", "result_cls", "router", "task_type", "add_to_parent"}
)
_IN_COLUMNS = frozenset({"countdown", "eta", "expires", "task_id"})
_FOLLOWUPS = ("link", "link_error", "chain", "chord")


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
        kept = {
            name: getattr(value, "name", value) if name in ("queue", "exchange") else value
            for name, value in self.options.items()
            if name not in _TRANSIENT | _IN_COLUMNS and value is not None
        }
        try:
            body = kombu_json.dumps([list(self.args), dict(self.kwargs), kept])
            body.encode()
        except (TypeError, ValueError, EncodeError) as error:
            raise InvalidValueError(
                f"The call of {self.task_name} cannot be stored: {error}. Arguments and options "
                "of a job must be JSON. Pass ids and plain values instead of objects."
            ) from error
        followups = any(kept.get(name) for name in _FOLLOWUPS)
        return json.dumps({"body": body, "followups": followups})

    @classmethod
    def decode(cls, task_name: str, stored: Mapping[str, Any]) -> "Message":
        """Read a message as it was stored."""
        args, kwargs, options = kombu_json.loads(stored["body"])
        return cls(task_name, args, kwargs, options)


def send(
    app: Celery,
    job_id: UUID,
    ticket: int,
    message: Message,
    *,
    eta: When | None,
    expires: When | None,
) -> bool:
    """Give a job's message to the broker; return whether it took it.

    A broker that is down is no error: the row has the message, and it is published later.
    """
    options = {name: value for name, value in message.options.items() if name not in _IN_COLUMNS}
    options["headers"] = {**(options.get("headers") or {}), TICKET: ticket}
    try:
        _publisher(app, message.task_name)(
            message.args,
            message.kwargs,
            task_id=str(job_id),
            expires=_seconds(expires),
            **{"eta" if isinstance(eta, datetime) else "countdown": _seconds(eta)},
            **options,
        )
    except OperationalError as error:
        logger.warning(
            "Job %s was not published: the broker did not take it (%s). Its row keeps the message.",
            job_id,
            error,
            extra={"job_id": str(job_id)},
        )
        return False
    return True


def _publisher(app: Celery, task_name: str) -> Callable[..., object]:
    """Return Celery's own way to publish: that of a JobTask would make a job of it again."""
    task = app.tasks.get(task_name)
    return partial(app.send_task, task_name) if task is None else partial(Task.apply_async, task)


def _seconds(when: When | None) -> datetime | float | None:
    return when.total_seconds() if isinstance(when, timedelta) else when
