"""Has Flower show jobs: their columns, live; and, from the table, what it has not seen itself.

Flower has no place for plugins. What is replaced here are the classes that it makes its tasks
and its state with; everything else goes through its own search index and tables.
"""

import asyncio
import json
import logging
import math
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice
from numbers import Real
from typing import Any
from uuid import UUID

import click
import flower.app
import flower.events
from celery import states
from celery.events.state import Task, Worker
from flower.views.tasks import TASK_COLUMNS
from tornado.ioloop import PeriodicCallback
from tornado.options import define, options

from jobstate import monitoring
from jobstate.celery.announce import LANDED, PROGRESS
from jobstate.celery.runtime import installed
from jobstate.errors import JobNotFound, JobStateError
from jobstate.monitoring import Summary
from jobstate.states import ErrorCode, JobStatus, is_terminal_state
from jobstate.store import Store
from jobstate.values import job_id_of

logger = logging.getLogger("jobstate")

COLUMNS = {
    "job_type": "Job type",
    "owner": "Owner",
    "job_status": "Job status",
    "progress": "Progress (%)",
    "progress_message": "Message",
    "attempt": "Attempt",
    "error_code": "Error code",
}
"""What Flower knows of a job beyond a task: the fields and the titles of their columns."""

SHOWN = "name,uuid,owner,state,job_status,progress,attempt,received,runtime,worker"
"""The columns of the tasks page, unless `tasks_columns` says otherwise."""

_UNCHANGED = "name,uuid,state,received,runtime,worker"
"""Flower's own choice."""

AT_ONCE = 500
"""How many tasks are shown in one go, before Flower can answer requests again."""

REFRESH = 5.0
"""How often the table is read, in seconds."""

HISTORY = 5_000
"""How many jobs are shown after a start: of those that landed, that run, and that wait, each."""

ASKED = 1000
"""How many tasks that seem to run are looked up at most in one refresh, the newest first."""

LANDINGS = 2000
"""How many landings one refresh reads at most; the next one goes on."""


class JobInFlower(Task):  # type: ignore[misc]  # Celery ships no types
    """A task of Flower's that may be a job."""

    _fields = (*Task._fields, *COLUMNS)
    job_type = owner = job_status = progress = progress_message = attempt = error_code = None

    def event(
        self,
        type_: str,
        timestamp: float | None = None,
        local_received: float | None = None,
        fields: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Learn from an event; one of jobstate's leaves it to Celery's own how the task ended."""
        if type_ not in (PROGRESS, LANDED):
            super().event(type_, timestamp, local_received, fields, **options)
            return
        said = {name: value for name, value in (fields or {}).items() if name in COLUMNS}
        if self._is_later(said["attempt"], said["job_status"]):
            return
        self.__dict__.update(said)
        if not self.ready:
            self.state, self.timestamp = states.STARTED, timestamp

    def learn(self, summary: Summary, worker: Worker | None) -> bool:
        """Learn from a job's row; return whether anything is new.

        What events have said of the call stays; what has become of it is in the row.
        """
        if self._is_later(summary.attempt, summary.status):
            return False
        before = dict(self.__dict__)
        known = {name for name in before if getattr(self, name) is not None}
        said = {name: value for name, value in _call_of(summary).items() if name not in known}
        self.__dict__.update(said, **_fate_of(summary))
        if worker is not None:
            self.worker = worker
        if (state := _state_of(summary)) is not None:
            self.state, self.timestamp = state, summary.updated_at.timestamp()
        return bool(self.__dict__ != before)

    def _is_later(self, attempt: int, status: str) -> bool:
        """Tell whether more is known already than what was true at some attempt."""
        known = self.attempt or 0
        return known > attempt or (
            known == attempt and self.ready and not is_terminal_state(JobStatus(status))
        )


class JobEvents(flower.events.Events):  # type: ignore[misc]  # Flower ships no types
    """Flower's state, filled from the jobs table at the start and refreshed from it.

    A database that is away costs one log line. Then Flower shows what it sees by itself.
    """

    def __init__(self, capp: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(capp, *args, **kwargs)
        for task in self.state.tasks.data.values():  # Restored from Flower's own file.
            if type(task) is Task:
                task.__class__ = JobInFlower
        self._workers: dict[str, Worker] = {}
        self._filled = self._complained = self._reading = False
        self._since: datetime | None = None
        self._reader: PeriodicCallback | None = None
        runtime = installed(capp)
        if runtime is None:
            logger.warning(
                "Flower shows no jobs: jobstate is not installed on its Celery app. Start it as "
                "`celery --app NAME flower`, with the app that the workers have."
            )
            return
        self._store = Store.open(replace(runtime.settings, pool_size=1))
        self._reader = PeriodicCallback(self.refresh, options.jobstate_refresh * 1000)

    def start(self) -> None:
        """Begin to listen, and to read the table."""
        super().start()
        if self._reader is not None:
            self.io_loop.add_callback(self.refresh)
            self._reader.start()

    def stop(self) -> None:
        """End both."""
        if self._reader is not None:
            self._reader.stop()
            self._store.close()
        super().stop()

    async def refresh(self) -> None:
        """Show what the table has: all of it the first time, then what may have changed."""
        if self._reading:
            return
        self._reading = True
        try:
            await self._read()
        finally:
            self._reading = False

    async def _read(self) -> None:
        if self._filled:
            limit = LANDINGS
            operation = monitoring.changed_jobs(self._unfinished(), self._since, limit)
        else:
            limit = min(options.jobstate_history, self.state.tasks.limit or HISTORY)
            operation = monitoring.newest_jobs(limit)
        try:
            summaries = await self.io_loop.run_in_executor(None, self._store.run, operation)
        except JobStateError as error:
            if not self._complained:
                logger.warning("Flower cannot read the jobs, and tries again: %s", error)
            self._complained = True
            return
        self._complained = False
        self._since = monitoring.look_again_from(self._since, summaries, limit)
        for index, summary in enumerate(summaries):
            self._show(summary)
            if index % AT_ONCE == 0:
                await asyncio.sleep(0)
        self._filled = True

    def _unfinished(self) -> list[UUID]:
        """Return which tasks seem to wait or to run; some may be no jobs."""
        tasks = reversed(self.state.tasks.data.values())
        found = []
        for task in islice((task for task in tasks if not task.ready), ASKED):
            with suppress(JobNotFound):
                found.append(job_id_of(task.uuid))
        return found

    def _show(self, summary: Summary) -> None:
        state, task_id = self.state, str(summary.id)
        task = state.tasks.data.get(task_id)
        if task is None:
            if state.tasks.limit and len(state.tasks) >= state.tasks.limit:
                return  # What Flower has seen itself is not pushed out by what it has missed.
            task = state.tasks[task_id] = JobInFlower(task_id, cluster_state=state)
        if task.learn(summary, self._worker_of(summary)):
            state.search_engine.upsert(task)
            if task.name is not None:
                state._seen_types.add(task.name)  # noqa: SLF001 - the filter offers these

    def _worker_of(self, summary: Summary) -> Worker | None:
        name = summary.hostname
        if name is None:
            return None
        # Not among Flower's own workers: one that is long gone is not to be shown as offline.
        known: Worker | None = self.state.workers.data.get(name)
        return known or self._workers.setdefault(name, Worker(name))


def set_up() -> None:
    """Have Flower show jobs from its start on; repeatable."""
    flower.app.Events = JobEvents
    flower.events.EventsState.Task = JobInFlower
    TASK_COLUMNS.update(COLUMNS)
    # A line of flowerconfig.py, the environment or the command line wins.
    if options.tasks_columns == _UNCHANGED:
        options.tasks_columns = SHOWN
    if "jobstate_refresh" not in options:
        for name, value, kind in (
            ("jobstate_refresh", REFRESH, Real),
            ("jobstate_history", HISTORY, int),
        ):
            define(name, value, type=kind, callback=partial(_check, name))


def _check(name: str, value: float) -> None:
    # Flower is a command of click's, which tells this without a traceback.
    if not 0 < value < math.inf:
        raise click.UsageError(
            f"{name} is {value}, but it must be a number above 0. Correct Flower's configuration."
        )


def _call_of(summary: Summary) -> dict[str, Any]:
    """Return what Celery's events say about a call, as they say it."""
    began, ended = summary.started_at, summary.completed_at
    said: dict[str, Any] = {
        "name": summary.task_name,
        "args": "()",
        "kwargs": _shown(summary.parameters),
        "received": summary.created_at.timestamp(),
        "started": None if began is None else began.timestamp(),
        "routing_key": summary.queue,
        "parent_id": None if summary.parent_id is None else str(summary.parent_id),
        "traceback": summary.traceback,
        "exception": summary.error_message,
        "result": None if summary.result is None else _shown(summary.result),
    }
    if ended is not None:
        said[_ENDED[_state_of(summary)]] = ended.timestamp()
        said["runtime"] = None if began is None else (ended - began).total_seconds()
    return said


def _fate_of(summary: Summary) -> dict[str, Any]:
    return {
        "job_type": summary.job_type,
        "owner": summary.owner,
        "job_status": summary.status.value,
        "progress": summary.progress,
        "progress_message": summary.progress_message,
        "attempt": summary.attempt,
        "error_code": summary.error_code,
        "retries": summary.retries,
    }


_ENDED = {states.SUCCESS: "succeeded", states.FAILURE: "failed", states.REVOKED: "revoked"}

_REVOKED = frozenset({ErrorCode.CANCELLED, ErrorCode.EXPIRED})


def _state_of(summary: Summary) -> str | None:
    """Return the state of Celery's that says it best; None where only Flower knows."""
    match summary.status:
        case JobStatus.QUEUED:
            return None
        case JobStatus.PROCESSING:
            return str(states.STARTED if summary.held else states.RETRY)
        case JobStatus.FAILED:
            return str(states.REVOKED if summary.error_code in _REVOKED else states.FAILURE)
    return str(states.SUCCESS)


def _shown(text: str) -> str:
    """Return JSON as Python shows the value; where it was cut off, as it is."""
    try:
        return repr(json.loads(text))
    except ValueError:
        return f"{text}…"
