"""Messages: what is stored so that a job can be published at any time, and the publishing."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from celery import Celery, Task
from celery.canvas import Signature, _chain, _chord, maybe_signature
from celery.exceptions import SoftTimeLimitExceeded
from celery.utils.functional import maybe_list
from kombu.exceptions import EncodeError
from kombu.pools import producers
from kombu.utils import json as kombu_json

from jobstate.creation import When
from jobstate.errors import InvalidValueError

logger = logging.getLogger("jobstate")

TICKET = "jobstate-after"
"""The header that says which attempt a message follows; see docs/lifecycle.md."""

OWNER = "jobstate-owner"
"""The header that says who owns a job whose message was published without its row."""

LANDS = "jobstate-lands"
"""The header of a plain task that ends a job which was delegated to it: the job's id."""

# What belongs to one call and cannot be kept; and what columns of the row say better.
_TRANSIENT = frozenset(
    {"connection", "producer", "publisher", "result_cls", "router", "task_type", "add_to_parent"}
)
_IN_COLUMNS = frozenset({"countdown", "eta", "expires", "task_id"})
_FOLLOWUPS = ("link", "link_error", "chain", "chord")
_ERRBACKS = ("link_error", "chord")
_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


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
        pending = {
            "followups": any(kept.get(name) for name in _FOLLOWUPS),
            "errbacks": any(kept.get(name) for name in _ERRBACKS),
        }
        return json.dumps({"body": body, **pending})

    @classmethod
    def decode(cls, task_name: str, stored: Mapping[str, Any]) -> "Message":
        """Read a message as it was stored."""
        args, kwargs, options = kombu_json.loads(stored["body"])
        return cls(task_name, args, kwargs, options)


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
                if hasattr(app.tasks.get(signature.task), "job_track"):
                    signature.options = {**inherited, **signature.options}
            options[name] = frozen


def find_signature(canvas: Signature, task_id: str) -> Signature | None:
    """Find the task of a canvas that has this id."""
    if isinstance(canvas, _chord):
        inner = [canvas.body]
    elif isinstance(canvas, _chain):
        inner = list(canvas.tasks)
    else:
        return canvas if canvas.id == task_id else None
    found = (find_signature(signature, task_id) for signature in inner)
    return next((signature for signature in found if signature is not None), None)


def first_of(canvas: Signature) -> Signature:
    """Return what is published at once: a chain's first task, or all of it."""
    return first_of(canvas.tasks[0]) if isinstance(canvas, _chain) else canvas


def send(
    app: Celery,
    job_id: UUID,
    ticket: int,
    message: Message,
    *,
    eta: When | None,
    expires: When | None,
    timeout: float,
) -> bool:
    """Give a job's message to the broker; return whether it took it within `timeout` seconds.

    A broker that is down is no error, nor is a result backend: the row has the message, and it is
    published later.
    """
    options = {name: value for name, value in message.options.items() if name not in _IN_COLUMNS}
    options["headers"] = {**(options.get("headers") or {}), TICKET: ticket}
    when = {"eta" if isinstance(eta, datetime) else "countdown": _seconds(eta)}
    try:
        with _producer(app, timeout) as producer:
            _publisher(app, message.task_name)(
                message.args,
                message.kwargs,
                task_id=str(job_id),
                expires=_seconds(expires),
                producer=producer,
                retry_policy=_ONCE,
                **when,
                **options,
            )
    except SoftTimeLimitExceeded:
        raise  # It is meant for the body that publishes here.
    except Exception as error:
        if app.conf.task_always_eager:
            raise  # Nothing was published: this is the body's own exception.
        logger.warning(
            "Job %s was not published: the broker did not take it (%s). Its row keeps the message.",
            job_id,
            error,
            extra={"job_id": str(job_id)},
        )
        return False
    return True


@contextmanager
def _producer(app: Celery, timeout: float) -> Iterator[Any]:
    """Lend a producer whose connection gives up in time, whatever the app's own would do."""
    connection = app.connection_for_write(
        connect_timeout=timeout,
        transport_options={"socket_timeout": timeout, "socket_connect_timeout": timeout},
    )
    with producers[connection].acquire(block=True, timeout=timeout) as producer:
        yield producer


def _publisher(app: Celery, task_name: str) -> Callable[..., object]:
    """Return Celery's own way to publish: that of a JobTask would make a job of it again."""
    task = app.tasks.get(task_name)
    return partial(app.send_task, task_name) if task is None else partial(Task.apply_async, task)


def _seconds(when: When | None) -> datetime | float | None:
    return when.total_seconds() if isinstance(when, timedelta) else when
