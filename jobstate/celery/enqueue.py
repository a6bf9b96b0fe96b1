"""From a call to a queued job: who owns it, what is recorded, insert, publish."""

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from celery import Celery
from celery.utils.saferepr import saferepr

from jobstate import delegating, tracing
from jobstate.celery.attempt import current_attempt
from jobstate.celery.publish import TICKET, Message
from jobstate.celery.runtime import Runtime
from jobstate.creation import NewJob, When, create, create_job
from jobstate.errors import InvalidValueError, OwnerRequired
from jobstate.reading import get_job_internal
from jobstate.records import Job
from jobstate.store import (
    AsyncStore,
    after_async_commit,
    after_commit,
    async_driver_connection,
    driver_connection,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A task that is to run as a job. `body` is its function, where it is known here."""

    message: Message
    job_type: str
    user_id: object
    body: Callable[..., Any] | None = None
    redact: Sequence[str] = ()
    task_id: UUID | str | None = None
    idempotency_key: str | None = None
    parent_id: UUID | str | None = None
    deadline: When | None = None

    @property
    def ticket(self) -> int | None:
        """The attempt that delegated its job to this call, if one did."""
        return (self.message.options.get("headers") or {}).get(TICKET)

    def in_trace(self, carried: Mapping[str, str] | None = None) -> "Call":
        """Return the call as a part of the current trace, which its message carries on.

        Args:
            carried: The headers of the current trace, where they are known.
        """
        if carried is None:
            carried = tracing.headers()
        if not carried:
            return self
        options = self.message.options
        headers = {**(options.get("headers") or {}), **carried}
        return replace(self, message=replace(self.message, options={**options, "headers": headers}))


def submit(runtime: Runtime, call: Call, connection: object = None) -> Job:
    """Create the job and publish its message after the commit.

    With `connection`, the insert is a part of the caller's transaction.

    Raises:
        InvalidValueError: Something cannot be stored; nothing was.
        StoreUnavailable: The database cannot be reached; nothing was stored.
    """
    with tracing.enqueueing(call.job_type) as span:
        job = _submit(runtime, call.in_trace(), connection)
        span.describe(job)
        return job


async def asubmit(
    runtime: Runtime, store: AsyncStore, call: Call, connection: object = None
) -> Job:
    """Do the same without blocking the event loop; publishing has a thread of its own."""
    with tracing.enqueueing(call.job_type) as span:
        job = await _asubmit(runtime, store, call.in_trace(), connection)
        span.describe(job)
        return job


def submit_here(runtime: Runtime, call: Call) -> Job:
    """Do the same for a call of a body, or of Celery, which dispatches what follows a landed job.

    That waits for the database: to Celery, a chord has failed whose body cannot be enqueued.
    """
    attempt = current_attempt()
    if attempt is None or not attempt.dispatching:
        return submit(runtime, call)
    return attempt.fence.wait_for(lambda: submit(runtime, call))


def _submit(runtime: Runtime, call: Call, connection: object) -> Job:
    new = new_job(runtime, call)
    store = runtime.service.store
    within = None if connection is None else driver_connection(connection)
    if call.ticket is not None:
        if (created := store.run(create_job(new, runtime.settings), within)) is None:
            return _succeed(runtime, call, new, call.ticket)
        job, is_new = created, True
    else:
        job, is_new = store.run_each(create(new, runtime.settings), within)
    if not is_new:
        return job
    if connection is None:
        runtime.publish(job.id, 0, call.message, eta=new.eta, expires=new.expires, first=True)
    else:
        after_commit(connection, lambda: runtime.publish_committed(job.id, first=True))
    return job


async def _asubmit(runtime: Runtime, store: AsyncStore, call: Call, connection: object) -> Job:
    new = new_job(runtime, call)
    within = None if connection is None else await async_driver_connection(connection)
    job, is_new = await store.run_each(create(new, runtime.settings), within)
    if is_new and connection is None:
        await asyncio.to_thread(
            runtime.publish, job.id, 0, call.message, eta=new.eta, expires=new.expires, first=True
        )
    elif is_new:
        loop = asyncio.get_running_loop()
        publish = partial(runtime.publish_committed, job.id, first=True)
        after_async_commit(connection, lambda: loop.run_in_executor(None, publish))
    return job


def _succeed(runtime: Runtime, call: Call, new: NewJob, ticket: int) -> Job:
    """Have a task take over the job that was delegated to it, and has its id."""
    store, message = runtime.service.store, call.message
    succeed = delegating.succeed_to(
        new.id,
        ticket,
        message.task_name,
        new.queue,
        message.encode(),
        runtime.settings.publish_grace,
    )
    if store.run(succeed):
        runtime.publish(new.id, ticket, message, eta=new.eta, expires=new.expires)
    return store.run(get_job_internal(new.id))


def new_job(
    runtime: Runtime, call: Call, *, queue: str | None = None, publishable: bool = True
) -> NewJob:
    """Describe the row of a call; without its message when nobody will have to publish it.

    Args:
        runtime: That of the app.
        call: The call.
        queue: The queue that its message goes to, where it is known.
        publishable: Whether the row is to have the message.
    """
    app, options = runtime.app, call.message.options
    queue = queue or queue_of(app, call.message)
    message = call.message.encode()
    return NewJob(
        user_id=call.user_id,
        job_type=call.job_type,
        parameters=parameters_of(call),
        job_id=call.task_id,
        task_name=call.message.task_name,
        queue=queue,
        message=message if publishable else None,
        call=None if _is_redacted(call) else call.message.encode_call(queue, message),
        eta=moment_of(app, options, "eta", "countdown"),
        expires=moment_of(app, options, "expires"),
        deadline=call.deadline,
        idempotency_key=call.idempotency_key,
        parent_id=call.parent_id or _surrounding("id"),
    )


def owner_of(runtime: Runtime, user_id: object, subject: str) -> object:
    """Return the owner: the one given, else the surrounding job's, else the system's.

    Raises:
        OwnerRequired: There is none.
    """
    for candidate in (user_id, _surrounding("user_id"), runtime.settings.system_user_id):
        if candidate is not None:
            return candidate
    raise OwnerRequired(subject)


def moment_of(app: Celery, options: Mapping[str, Any], *names: str) -> When | None:
    """Return the first of these options that is set, as an aware time or a distance in seconds.

    Raises:
        InvalidValueError: It is text that is no ISO 8601 time.
    """
    found = next((options[name] for name in names if options.get(name) is not None), None)
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found)
        except ValueError:
            raise InvalidValueError(
                f"The time {found!r} of option {names[0]} is malformed: it must be ISO 8601. "
                "Pass an aware datetime, or seconds."
            ) from None
    if isinstance(found, datetime) and found.tzinfo is None:
        # Celery reads a naive time in the app's time zone; so does this.
        found = found.replace(tzinfo=app.timezone)
    return found


def queue_of(app: Celery, message: Message) -> str:
    """Work out the name of the queue that Celery will route the message to."""
    task = app.tasks.get(message.task_name)
    route = app.amqp.router.route(
        dict(message.options), message.task_name, message.args, message.kwargs, task
    )
    queue = route.get("queue") or route.get("routing_key")
    return str(getattr(queue, "name", queue) or app.conf.task_default_queue)


def parameters_of(call: Call) -> dict[str, Any]:
    """Return the arguments by name, without those that are not to be recorded."""
    named = _named(call.body, call.message.args, call.message.kwargs)
    return {name: value for name, value in named.items() if name not in call.redact}


def shown_by_celery(
    body: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], redact: Sequence[str]
) -> dict[str, str]:
    """Return what Celery's logs and events are to show instead of arguments that hold a secret."""
    named = _named(body, args, kwargs)
    if named.keys().isdisjoint(redact):
        return {}
    harmless = {name: value for name, value in named.items() if name not in redact}
    return {"argsrepr": "()", "kwargsrepr": saferepr(harmless)}


def _is_redacted(call: Call) -> bool:
    named = _named(call.body, call.message.args, call.message.kwargs) if call.redact else {}
    return not named.keys().isdisjoint(call.redact)


def _named(
    body: Callable[..., Any] | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    named = {**({"args": list(args)} if args else {}), **kwargs}
    if body is not None:
        # The body itself refuses arguments that do not fit; they are recorded as they came.
        with suppress(TypeError):
            named = _bind(body, args, kwargs)
    return named


def _bind(
    body: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    signature = _signature(body)
    named = dict(signature.bind(*args, **kwargs).arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            named |= named.pop(name, {})
    return named


@lru_cache(maxsize=1024)
def _signature(body: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(body)


def _surrounding(name: str) -> Any:
    attempt = current_attempt()
    return None if attempt is None else getattr(attempt.job, name)
