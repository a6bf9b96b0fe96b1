"""Runs an app's messages in this very process, one after another: for `jobstate.testing`.

They go through a broker in memory and through Celery's own tracer, like in a worker's child. Only
what a worker's main process does is missing: pools, time limits, revoking, waiting for an eta.
"""

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from celery import Celery
from celery.app.trace import trace_task_ret
from kombu.connection import Connection
from kombu.message import Message
from kombu.transport import memory

from jobstate import sweeping
from jobstate.celery.install import JobState, install
from jobstate.celery.runtime import runtime_of
from jobstate.settings import Settings
from jobstate.values import job_id_of

_LEASE = 3600.0
"""Nobody renews it, in seconds."""


def new_app() -> Celery:
    """Make an app for tests that bring none."""
    return Celery("tests", set_as_current=False)


@contextmanager
def on_trial(app: Celery, settings: Settings) -> Iterator[JobState]:
    """Point an app at another database and at a broker in memory, and back again at the end."""
    jobs = install(app)
    runtime = runtime_of(app)
    before, broker = runtime.settings, _broker_of(app)
    _set_broker(app, dict.fromkeys(broker, None) | {"broker_url": "memory://"})
    # A test has one thread, in which everything happens in the same order each time.
    runtime.point_at(settings, notes_wait=False)
    try:
        yield jobs
    finally:
        runtime.service.close()
        runtime.point_at(before)
        _set_broker(app, broker)
        empty_broker()


@contextmanager
def taking_jobs(app: Celery) -> Iterator[UUID]:
    """Be a worker of the app, which takes jobs under an id of its own."""
    runtime, worker_id = runtime_of(app), uuid4()
    store = runtime.service.store
    queues = [str(name) for name in app.amqp.queues.consume_from]
    store.run(
        sweeping.register_worker(worker_id, socket.gethostname(), os.getpid(), queues, _LEASE)
    )
    runtime.seat.worker_id = worker_id
    try:
        yield worker_id
    finally:
        runtime.seat.worker_id = None
        store.run(sweeping.end_worker(worker_id))


def work(app: Celery, queues: Iterable[str]) -> bool:
    """Run the next message of these queues, whatever its eta; return whether there was one."""
    with app.connection_for_write() as connection:
        for queue in sorted({*queues, *app.amqp.queues.consume_from}):
            message = _next(connection, queue)
            if message is not None:
                message.ack()
                _run(app, message)
                return True
    return False


def empty_broker() -> None:
    """Forget every message."""
    memory.Channel.queues.clear()


def publish_again(app: Celery, job_id: UUID | str) -> bool:
    """Publish a live job from its row once more; return whether there was anything to publish."""
    return runtime_of(app).publish_stored(job_id_of(job_id), again=True)


def _next(connection: Connection, queue: str) -> Message | None:
    # A queue that nobody has sent anything to does not exist.
    if queue not in memory.Channel.queues:
        return None
    found: Message | None = connection.default_channel.basic_get(queue)
    return found


def _run(app: Celery, message: Message) -> None:
    headers = dict(message.headers)
    headers["delivery_info"] = dict(message.delivery_info)
    headers["reply_to"] = message.properties.get("reply_to")
    headers["correlation_id"] = message.properties.get("correlation_id")
    trace_task_ret(
        headers["task"],
        headers["id"],
        headers,
        message.body,
        message.content_type,
        message.content_encoding,
        app=app,
    )


_BROKER_KEYS = ("broker_url", "broker_read_url", "broker_write_url", "broker_transport_options")


def _broker_of(app: Celery) -> dict[str, object]:
    return {key: app.conf.get(key) for key in _BROKER_KEYS}


def _set_broker(app: Celery, values: dict[str, object]) -> None:
    app.conf.update(
        {**values, "broker_transport_options": values["broker_transport_options"] or {}}
    )
    # What keeps connections to the broker of before.
    app._pool = None  # noqa: SLF001 - Celery has no other way to let go of it
    app.__dict__.pop("amqp", None)
