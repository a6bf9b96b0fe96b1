"""What an app runs with: what a worker notes in its row, and `jobstate doctor` judges."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from celery import Celery

from jobstate.celery.broker import bounded_connection
from jobstate.celery.runtime import installed
from jobstate.celery.task import JobTask
from jobstate.settings import Settings
from jobstate.setups import CONSUMER_TIMEOUT, Setup, TaskSetup

# What kombu does where nothing is set, in seconds.
_VISIBILITY = {"redis": 3600.0, "rediss": 3600.0, "sentinel": 3600.0, "sqs": 1800.0}


def setup_of(app: Celery, settings: Settings) -> Setup:
    """Read what the processes of an app run with; connects to nothing."""
    conf = app.conf
    options = conf.broker_transport_options or {}
    broker = app.connection_for_write()
    transport = str(broker.transport_cls)
    backend = str(conf.result_backend or "")
    kind = backend.partition(":")[0]
    return Setup(
        broker=_without_credentials(broker.as_uri()),
        transport=transport,
        visibility_timeout=options.get("visibility_timeout", _VISIBILITY.get(transport)),
        consumer_timeout=_consumer_timeout(conf) if "amqp" in transport else None,
        socket_timeout=options.get("socket_timeout"),
        socket_connect_timeout=options.get("socket_connect_timeout"),
        broker_heartbeat=conf.broker_heartbeat,
        result_backend="" if kind == "disabled" else kind,
        result_timeout=conf.redis_socket_timeout if kind in ("redis", "rediss") else 0.0,
        ignore_result=bool(conf.task_ignore_result),
        track_started=bool(conf.task_track_started),
        acks_late=bool(conf.task_acks_late),
        retry_on_worker_lost=bool(conf.task_retry_on_worker_lost),
        cancels_on_connection_loss=bool(conf.worker_cancel_long_running_tasks_on_connection_loss),
        prepare_threshold=settings.prepare_threshold,
        clock=time.time(),
    )


def tasks_of(app: Celery) -> list[TaskSetup]:
    """Read what the JobTasks of an app declare, in the order of their names."""
    app.loader.import_default_modules()
    return [
        TaskSetup(
            name=name,
            late=bool(task.acks_late),
            soft_limit=task.soft_time_limit or app.conf.task_soft_time_limit,
            hard_limit=task.time_limit or app.conf.task_time_limit,
            ignores_result=bool(task.ignore_result),
        )
        for name, task in sorted(app.tasks.items())
        if isinstance(task, JobTask)
    ]


def is_installed(app: Celery) -> bool:
    """Tell whether jobstate was installed on an app."""
    return installed(app) is not None


def broker_problem(app: Celery, timeout: float) -> str | None:
    """Connect to the broker; return what it said, or None when it is there. Bounded in time."""
    try:
        with bounded_connection(app, timeout) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=timeout)
            connection.channel().close()
    except Exception as error:  # noqa: BLE001 - every transport has its own
        return str(error) or type(error).__name__
    return None


def _consumer_timeout(conf: Any) -> float:
    """Return the shortest that a queue declares, and else the server's default."""
    declared = [
        queue.queue_arguments["x-consumer-timeout"] / 1000
        for queue in conf.task_queues or ()
        if isinstance(getattr(queue, "queue_arguments", None), Mapping)
        and "x-consumer-timeout" in queue.queue_arguments
    ]
    return float(min(declared, default=CONSUMER_TIMEOUT))


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
