"""Checks of what workers and apps run with, against each other and what was observed."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from jobstate.doctor.checks import Check, Finding
from jobstate.doctor.questions import Observed
from jobstate.setups import CONSUMER_TIMEOUT, Setup, TaskSetup

AHEAD = 60.0
"""How long a message may wait in a worker for its time, in seconds; sweepers hold others back."""

STALL = 30.0
"""How long a result backend may hold a task up, in seconds."""

Named = Sequence[tuple[str, Setup]]
"""Who runs with what."""


def redelivery(
    named: Named,
    tasks: Sequence[TaskSetup],
    observed: Mapping[str, Observed],
    consumer_timeout: float | None = None,
) -> Iterator[Finding]:
    """Find brokers that deliver a message again while its task runs.

    `consumer_timeout` is that of the RabbitMQ server, where somebody says so.
    """
    longest_wait, told = _longest(tasks, observed)
    for who, setup in named:
        # What a queue declares goes before what the server has.
        is_assumed = setup.consumer_timeout == CONSUMER_TIMEOUT
        of_consumers = (
            consumer_timeout if is_assumed and consumer_timeout else setup.consumer_timeout
        )
        for check, limit, what in (
            (Check.VISIBILITY_TIMEOUT, setup.visibility_timeout, "a visibility timeout"),
            (Check.CONSUMER_TIMEOUT, of_consumers, "a consumer timeout"),
        ):
            if limit is not None and longest_wait >= limit:
                yield Finding(check, f"{who} on {setup.broker} has {what} of {limit:g} s; {told}.")


def _longest(tasks: Sequence[TaskSetup], observed: Mapping[str, Observed]) -> tuple[float, str]:
    """Return the longest time that a message goes unacknowledged, and what it is."""
    waits = [(AHEAD, f"a message may wait {AHEAD:.0f} s in a worker for its time")]
    waits += [
        (took.most, f"{name} takes {took.most:.1f} s (99 of 100 do), up to {took.longest:.1f} s")
        for name, took in observed.items()
        if took.late
    ]
    waits += [
        (
            float(task.hard_limit),
            f"{task.name} acknowledges late and may take {task.hard_limit:g} s",
        )
        for task in tasks
        if task.late and task.hard_limit
    ]
    return max(waits)


def differing(named: Named) -> Iterator[Finding]:
    """Find apps on one broker with different visibility timeouts."""
    timed = sorted(
        (
            (setup.broker, setup.visibility_timeout, who)
            for who, setup in named
            if setup.visibility_timeout is not None
        )
    )
    for broker, group in groupby(timed, key=lambda one: one[0]):
        timeouts = {timeout: who for _, timeout, who in group}
        if len(timeouts) > 1:
            told = ", ".join(f"{timeout:g} s ({who})" for timeout, who in sorted(timeouts.items()))
            yield Finding(
                Check.VISIBILITY_DIFFERS, f"The visibility timeouts on {broker} differ: {told}."
            )


def connections(named: Named) -> Iterator[Finding]:
    """Find connections to brokers that are not given up when they are dead."""
    for who, setup in named:
        missing = [
            name
            for name in ("socket_timeout", "socket_connect_timeout")
            if setup.transport in ("redis", "rediss", "sentinel") and not getattr(setup, name)
        ]
        if missing:
            yield Finding(
                Check.SOCKET_TIMEOUTS, f"{who} on {setup.broker} has no {' and no '.join(missing)}."
            )
        if "amqp" in setup.transport and not setup.broker_heartbeat:
            yield Finding(
                Check.BROKER_HEARTBEAT, f"{who} on {setup.broker} has no broker_heartbeat."
            )


def celery(named: Named, tasks: Sequence[TaskSetup]) -> Iterator[Finding]:
    """Find settings of Celery by which jobs are lost, run twice, or stall."""
    for who, setup in named:
        if setup.cancels_on_connection_loss:
            yield Finding(
                Check.CONNECTION_LOSS,
                f"{who} has worker_cancel_long_running_tasks_on_connection_loss on.",
            )
        if setup.retry_on_worker_lost:
            yield Finding(Check.RETRY_ON_WORKER_LOST, f"{who} has task_retry_on_worker_lost on.")
        if setup.acks_late:
            late = [task.name for task in tasks if task.late]
            told = f": {', '.join(late)}" if late else ""
            yield Finding(Check.ACKS_LATE_EVERYWHERE, f"{who} has task_acks_late on{told}.")
        if setup.result_backend and not (setup.ignore_result and _all_ignore(tasks)):
            if setup.track_started:
                yield Finding(
                    Check.RESULT_BACKEND,
                    f"{who} stores results in {setup.result_backend}, with task_track_started on.",
                )
            if setup.result_timeout is None or setup.result_timeout > STALL:
                yield Finding(
                    Check.RESULT_BACKEND,
                    f"{who} stores results in {setup.result_backend}, and waits "
                    + (f"{setup.result_timeout:g} s" if setup.result_timeout else "for ever")
                    + " for its answer.",
                )


def _all_ignore(tasks: Sequence[TaskSetup]) -> bool:
    return all(task.ignores_result for task in tasks)


def grace(
    tasks: Sequence[TaskSetup], observed: Mapping[str, Observed], seconds: float
) -> Iterator[Finding]:
    """Find tasks that a deploy would kill for good."""
    for task in tasks:
        took = observed.get(task.name)
        limit = min(filter(None, (task.soft_limit, task.hard_limit)), default=None)
        if task.late or (limit is not None and limit <= seconds):
            continue
        if took is not None and took.longest > seconds:
            yield Finding(
                Check.GRACE_PERIOD,
                f"{task.name} took up to {took.longest:.1f} s; the grace period is {seconds:g} s.",
            )
        elif limit is not None:
            yield Finding(
                Check.GRACE_PERIOD,
                f"{task.name} may take {limit:g} s; the grace period is {seconds:g} s.",
            )
