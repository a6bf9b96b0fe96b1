"""Templates: what Celery works out for each message, worked out once for many that are alike.

Of what `apply_async` costs, more than half is the same for all messages of a batch: where they go,
what the app's configuration says, a result that nobody looks at.
"""

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any
from uuid import UUID

import celery.app.base
import celery.app.task
from celery import Celery, Task
from celery.app.routes import MapRoute, Router

from jobstate import tracing
from jobstate.celery.broker import ONCE
from jobstate.celery.publish import IN_COLUMNS, TICKET, Message
from jobstate.celery.reprs import reprs_of

_NAMED = ("ignore_result", "soft_time_limit", "time_limit")
_TEXTS = ("argsrepr", "kwargsrepr")
_ALIKE = frozenset(
    {"compression", "delivery_mode", "exchange", "headers", "immediate", "mandatory", "priority"}
    | {"queue", "routing_key", "serializer", "shadow", *_NAMED, *_TEXTS}
)
"""Options that make messages no different from one another."""


class Template:
    """Publishes first messages of a task with the same options, as Celery's `apply_async` does.

    They are for a queue that is declared, start at once and never expire, and nothing is tried
    twice. The signals of Celery are sent for each.
    """

    def __init__(self, app: Celery, message: Message) -> None:
        self._app, self._name, self._said = app, message.task_name, message.options
        self._task = task = app.tasks.get(message.task_name)
        own = {} if task is None else celery.app.task.extract_exec_options(task)
        ignored = getattr(task, "ignore_result", None)
        options = {"ignore_result": ignored, **own, **message.options}
        options = {name: value for name, value in options.items() if name not in IN_COLUMNS}
        headers = {**(options.pop("headers", None) or {}), TICKET: 0}
        self._shadow = options.pop("shadow", None)
        self._texts = {name: options.pop(name) for name in _TEXTS if name in options}
        self._common = {name: options.pop(name, None) for name in _NAMED}
        self._common["create_sent_event"] = app.conf.task_send_sent_event
        self._common["reply_to"] = app.thread_oid
        routed = app.amqp.router.route(options, self._name, (), {}, task)
        plainly = {"declare": [], "retry": False, "retry_policy": ONCE}
        self._sending = {**routed, **plainly, "headers": headers}

    def call(self, job_id: UUID, message: Message) -> Callable[..., object]:
        """Return what publishes the message, given `producer=`."""
        call = partial(self._publish, str(job_id), message)
        headers = self._sending["headers"]
        return call if len(headers) == 1 else tracing.within(headers, call)

    def _publish(self, job_id: str, message: Message, producer: Any) -> None:
        args, kwargs, amqp = message.args, message.kwargs, self._app.amqp
        shadow = self._shadow
        if shadow is None and self._task is not None:
            shadow = self._task.shadow_name(args, kwargs, self._said)
        texts = {**reprs_of(args, kwargs), **self._texts}
        made = amqp.create_task_message(
            job_id, self._name, args, kwargs, shadow=shadow, **texts, **self._common
        )
        if not self._common["ignore_result"]:
            self._app.backend.on_task_call(producer, job_id)
        amqp.send_task_message(producer, self._name, made, **self._sending)


def template_of(app: Celery, message: Message) -> Template | None:
    """Return the template of a message. None: Celery, or what extends it, has to look at each."""
    said = {name for name, value in message.options.items() if value is not None}
    task = app.tasks.get(message.task_name)
    is_plain = (
        said <= _ALIKE | IN_COLUMNS
        # Within a task, a message tells what it comes from, and may inherit the priority.
        and app.current_worker_task is None
        and getattr(task, "_dump_pydantic_arguments", None) is None
        and routes_by_name(app)
        # What traces or counts calls may have put itself around them.
        and _is_celerys(Task.apply_async, celery.app.task)
        and _is_celerys(getattr(app.send_task, "__func__", None), celery.app.base)
    )
    return Template(app, message) if is_plain else None


def routes_by_name(app: Celery) -> bool:
    """Tell whether messages go where their task and options say; functions may ask for more."""
    router = app.amqp.router
    return type(router) is Router and all(type(route) is MapRoute for route in router.routes)


def _is_celerys(function: object, module: Any) -> bool:
    # The type of a proxy is its own, whatever it says of itself.
    return type(function) is FunctionType and function.__globals__ is vars(module)
