"""Batches: jobs of one transaction, whose messages travel together."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from jobstate import publishing, tracing
from jobstate.batches import BatchValueError, create_batch, named
from jobstate.celery.calls import call_of
from jobstate.celery.enqueue import Call, new_job
from jobstate.celery.publish import Message
from jobstate.celery.runtime import Runtime, is_far
from jobstate.celery.task import JobTask
from jobstate.celery.template import routes_by_name, template_of
from jobstate.creation import NewJob, When
from jobstate.errors import InvalidValueError, JobStateError, OwnerRequired
from jobstate.records import Job
from jobstate.store import (
    AsyncStore,
    after_async_commit,
    after_commit,
    async_driver_connection,
    driver_connection,
)

logger = logging.getLogger("jobstate")

PIECE = 500
"""How many messages travel together, and are noted together."""

_OWN = frozenset({"user_id", "idempotency_key", "deadline", "job_type"})
_RENAMED = {"parent_id": "parent_job"}
_CELERYS = frozenset(
    {"compression", "countdown", "eta", "expires", "headers", "ignore_result", "link", "link_error"}
    | {"priority", "queue", "routing_key", "serializer", "shadow", "soft_time_limit", "time_limit"}
)
_KEYS = frozenset({"args", "kwargs", "task_id", *_OWN, *_RENAMED, *_CELERYS})


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A first message that is to be published."""

    job_id: UUID
    queue: str | None
    message: Message
    eta: When | None
    expires: When | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls of a task that are enqueued together, and the jobs that they are to be."""

    calls: Sequence[Call]
    jobs: Sequence[NewJob]

    def outgoing(self, answers: Sequence[tuple[Job, bool]]) -> list[Outgoing]:
        """Return the messages of the jobs that are new."""
        return [
            Outgoing(new.id, new.queue, call.message, new.eta, new.expires)
            for call, new, (_, is_new) in zip(self.calls, self.jobs, answers, strict=True)
            if is_new
        ]


def batch_of(
    runtime: Runtime,
    task: str | JobTask,
    calls: Iterable[Mapping[str, Any]],
    common: Mapping[str, Any],
) -> Batch:
    """Check the calls of a task; what one does not say is as in `common`.

    Raises:
        InvalidValueError: One is wrong; the message says which.
        OwnerRequired: One has no owner.
    """
    found = runtime.app.tasks.get(task, task) if isinstance(task, str) else task
    checked: list[Call] = []
    jobs: list[NewJob] = []
    carried, is_routed_once = tracing.headers(), routes_by_name(runtime.app)
    for place, given in enumerate(calls):
        try:
            call = _call_of(runtime, found, given, common).in_trace(carried)
            is_alike = checked and checked[-1].message.options == call.message.options
            queue = jobs[-1].queue if is_alike and is_routed_once else None
            jobs.append(new_job(runtime, call, queue=queue))
            checked.append(call)
        except (InvalidValueError, OwnerRequired, TypeError) as error:
            raise named(place, error) from error
    return Batch(checked, jobs)


def submit_batch(runtime: Runtime, batch: Batch, connection: object = None) -> list[Job]:
    """Create the jobs, all or none, and publish their messages after the commit."""
    store, script = runtime.service.store, create_batch(batch.jobs, runtime.settings)
    if connection is None:
        try:
            answers = store.run_all(script)
        except InvalidValueError as error:
            raise _located(runtime, batch.jobs, error) from error
        publish_batch(runtime, batch.outgoing(answers))
    else:
        answers = store.run_within(script, driver_connection(connection))
        if ids := [out.job_id for out in batch.outgoing(answers)]:
            after_commit(connection, partial(publish_committed, runtime, ids))
    return [job for job, _ in answers]


async def asubmit_batch(
    runtime: Runtime, store: AsyncStore, batch: Batch, connection: object = None
) -> list[Job]:
    """Do the same without blocking the event loop; publishing has a thread of its own."""
    script = create_batch(batch.jobs, runtime.settings)
    if connection is None:
        try:
            answers = await store.run_all(script)
        except InvalidValueError as error:
            raise await asyncio.to_thread(_located, runtime, batch.jobs, error) from error
        await asyncio.to_thread(publish_batch, runtime, batch.outgoing(answers))
    else:
        answers = await store.run_within(script, await async_driver_connection(connection))
        loop = asyncio.get_running_loop()
        publish = partial(
            publish_committed, runtime, [out.job_id for out in batch.outgoing(answers)]
        )
        after_async_commit(connection, lambda: loop.run_in_executor(None, publish))
    return [job for job, _ in answers]


def publish_batch(runtime: Runtime, batch: Sequence[Outgoing]) -> None:
    """Publish first messages, and note it in their rows.

    When the broker does not take some, the sweeper publishes those, and all that follow them.

    Raises:
        InvalidValueError: No broker would ever take one; its job has failed, the others are out.
    """
    refused: list[InvalidValueError] = []
    _publish_all(runtime, batch, refused)
    if refused:
        raise refused[0]


def publish_committed(runtime: Runtime, ids: Sequence[UUID]) -> None:
    """Publish jobs whose commit is done; what goes wrong now is no error of the commit."""
    try:
        for start in range(0, len(ids), 2 * PIECE):
            piece = ids[start : start + 2 * PIECE]
            rows = runtime.service.store.run(publishing.messages_of(piece))
            refused: list[InvalidValueError] = []
            _publish_all(runtime, [_stored(*row) for row in rows], refused)
            for error in refused:
                logger.warning("A job of a batch was not published: %s", error)
    except JobStateError as error:
        logger.warning("A batch of jobs was not published: %s", error)


def _located(
    runtime: Runtime, jobs: Sequence[NewJob], error: InvalidValueError
) -> InvalidValueError | OwnerRequired:
    """Return what the database refuses in a batch as the error of a job, found by halves."""
    if isinstance(error, BatchValueError):
        return error

    def refused(first: int, last: int) -> InvalidValueError | None:
        try:
            runtime.service.store.try_all(create_batch(jobs[first:last], runtime.settings))
        except InvalidValueError as found:
            return found
        return None

    first, last = 0, len(jobs)
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (first, middle) if refused(first, middle) else (middle, last)
    found = refused(first, last)
    return error if found is None else named(first, found)


def _publish_all(
    runtime: Runtime, batch: Sequence[Outgoing], refused: list[InvalidValueError]
) -> None:
    """Publish until the broker is down, and list what no broker would ever take."""
    declared: set[str | None] = set()
    piece: list[Outgoing] = []
    for out in batch:
        if is_far(out.eta):
            continue
        if out.queue in declared and not runtime.app.conf.task_always_eager:
            piece.append(out)
            if len(piece) == PIECE and not _publish_piece(runtime, piece, refused):
                return
            continue
        # The first of each queue travels alone: it declares the queue, on a connection that is
        # opened again where it has been lost.
        try:
            if not runtime.publish(
                out.job_id, 0, out.message, eta=out.eta, expires=out.expires, first=True
            ):
                return
            declared.add(out.queue)
        except InvalidValueError as error:
            refused.append(error)
    _publish_piece(runtime, piece, refused)


def _publish_piece(
    runtime: Runtime, piece: list[Outgoing], refused: list[InvalidValueError]
) -> bool:
    """Publish messages whose queues are declared, and empty the list; say whether to go on."""
    if not piece:
        return True
    calls = dict(_calls(runtime, piece))
    piece.clear()
    try:
        return runtime.publish_together(calls)
    except InvalidValueError as error:
        refused.append(error)
        return True


def _calls(
    runtime: Runtime, piece: Sequence[Outgoing]
) -> Iterator[tuple[UUID, Callable[..., object]]]:
    """Find out for each message how it is published."""
    like, template = None, None
    for out in piece:
        message, whens = out.message, {"eta": out.eta, "expires": out.expires}
        if like is None or (like.task_name, like.options) != (message.task_name, message.options):
            like, template = message, template_of(runtime.app, message)
        if template is not None and out.eta is None and out.expires is None:
            yield out.job_id, template.call(out.job_id, message)
        else:
            yield out.job_id, message.call(runtime.app, out.job_id, 0, **whens, plainly=True)


def _stored(
    job_id: UUID,
    queue: str | None,
    task_name: str,
    stored: Mapping[str, Any],
    eta: float | None,
    expires: float | None,
) -> Outgoing:
    return Outgoing(job_id, queue, Message.decode(task_name, stored), eta, expires)


def _call_of(
    runtime: Runtime,
    task: str | JobTask,
    given: Mapping[str, Any],
    common: Mapping[str, Any],
) -> Call:
    if not isinstance(given, Mapping):
        raise InvalidValueError(
            f"The call is a {type(given).__name__}: it must be a dict of what enqueue_with takes. "
            'Pass {"args": (value,)}.'
        )
    if unknown := given.keys() - _KEYS:
        raise InvalidValueError(
            f"There is no {', '.join(sorted(map(repr, unknown)))} in a call: it has "
            f"{', '.join(sorted(_KEYS))}. Options of all jobs are passed by keyword."
        )
    said = {**common, **given}
    options = {_RENAMED.get(name, name): value for name, value in said.items()}
    args, kwargs = options.pop("args", ()), options.pop("kwargs", None)
    task_id = options.pop("task_id", None)
    return call_of(runtime.app, task, args, kwargs, task_id, {"user_id": None, **options})
