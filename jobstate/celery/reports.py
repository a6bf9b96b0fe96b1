"""What a running body reports - progress, items, logs - and how it comes into the database."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from weakref import WeakSet

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from jobstate import reporting
from jobstate.answers import about
from jobstate.celery.announce import PROGRESS
from jobstate.celery.fence import Fence, Grip
from jobstate.celery.flusher import flusher
from jobstate.errors import (
    ConfigurationError,
    JobLocked,
    JobStateError,
    LeaseLost,
    SchemaMismatch,
    StoreUnavailable,
)
from jobstate.items import ItemLedger, Outcome
from jobstate.logs import Line, LogBook
from jobstate.progress import AT_FIRST, Progress, Report
from jobstate.records import Job

logger = logging.getLogger("jobstate")

_PASSING = (Ignore, Reject, Retry, SoftTimeLimitExceeded)
_NO_ITEMS = "Items of job %s were not written: %s"
_NO_LOGS = "Logs of job %s were not written: %s"


class Reports:
    """Collects what the body of one attempt reports, and writes it, in this thread or another.

    A database that is away costs a log line, never the body: nothing is forgotten that was not
    written, and the landing brings it at the latest.
    """

    def __init__(self, fence: Fence, job: Job) -> None:
        self._fence = fence
        self._job = job
        self._interval = fence.runtime.settings.progress_interval
        self.progress = Progress(
            self._write_progress,
            self._interval,
            flusher.wake,
            first=min(self._interval, AT_FIRST),
        )
        self.items = ItemLedger(
            self._write_items, self._interval, _PASSING, partial(self._wake, _NO_ITEMS)
        )
        self.logs: LogBook | None = None
        """What the body logs, where its task keeps that."""
        fence.stop = self.progress.stop
        _all.add(self)

    def begin_anew(self) -> None:
        """Forget what other threads were about to do: a process that was forked has none."""
        self.progress.begin_anew()
        self.items.begin_anew()
        if self.logs is not None:
            self.logs.begin_anew()

    def prepare(self, *, resume: bool) -> None:
        """Find out which items are to be done, where not all are; waits for the database.

        Args:
            resume: Whether those that an earlier attempt has done count as done.

        Raises:
            LeaseLost: The job is held no more.
        """
        if self._job.retry_of is not None:
            self.items.only = self._fence.insist(reporting.only_items(self._job.id))
        if resume and self._fence.hold.attempt > 1:
            done: list[str] = self._fence.require(reporting.resume_items(self._fence.hold))
            self.items.carry_over(done)

    def keep_logs(self) -> None:
        """Keep what the body logs from here on."""
        self.logs = LogBook(self._write_logs, self._interval, partial(self._wake, _NO_LOGS))

    def report(self) -> None:
        """Write progress if it is time, or see to it that it will be.

        Raises:
            JobCancelled: The job was asked to be cancelled.
            LeaseLost: It is held no more.
        """
        self.progress.hand_in()
        self._fence.raise_if_stopped()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record items in the block, and tell the body afterwards what was learnt by it.

        Raises:
            JobCancelled: The job was asked to be cancelled.
            JobCompleted: The body has completed it.
            LeaseLost: It is held no more.
        """
        self._fence.refuse_completed()
        with self._logging(_NO_ITEMS):
            yield
        self._fence.raise_if_stopped()

    def write_out(self) -> None:
        """Write the last items and logs, waiting for the database.

        Raises:
            LeaseLost: The job is held no more.
        """
        self._fence.wait_for(self.items.flush)
        if self.logs is not None:
            self._fence.wait_for(self.logs.close)

    def write_last_logs(self) -> None:
        """Write the last logs of a job that has landed already, if the database lets it."""
        if self.logs is not None:
            with suppress(LeaseLost), self._logging(_NO_LOGS):
                self.logs.close()

    def write_last_progress(self) -> None:
        """Write the progress that waits to be; nobody writes any after that."""
        self.progress.flush()
        self.progress.close()

    def _write_progress(self, report: Report) -> bool:
        try:
            self._fence.heed(self._fence.run(reporting.report_progress(self._fence.hold, report)))
            self._fence.runtime.announce(PROGRESS, self._job, self._fence.hold, report)
        except LeaseLost:
            pass  # The body's next call raises it, whichever thread this is.
        except JobLocked:
            self.progress.say_again()
        except JobStateError as error:
            self._warn("Progress of job %s was not written: %s", error)
            return False
        return True

    def _write_items(self, batch: dict[str, Outcome]) -> None:
        self._fence.heed(self._fence.run(reporting.record_items(self._fence.hold, batch)))

    def _write_logs(self, batch: list[Line]) -> None:
        self._fence.heed(self._fence.run(reporting.write_logs(self._fence.hold, batch)))

    def _wake(self, problem: str, at: float, call: Callable[[], None]) -> None:
        flusher.wake(at, partial(self._write_late, problem, call))

    def _write_late(self, problem: str, call: Callable[[], None]) -> None:
        if self._fence.grip is Grip.HELD:
            with suppress(LeaseLost), self._logging(problem):  # The body's next report raises it.
                call()

    @contextmanager
    def _logging(self, problem: str) -> Iterator[None]:
        """Have a database that is away cost no more than a log line."""
        try:
            yield
        except JobLocked as error:
            logger.debug(problem, self._job.id, error, extra=about(self._job))
        except (ConfigurationError, SchemaMismatch, StoreUnavailable) as error:
            self._warn(problem, error)

    def _warn(self, problem: str, error: JobStateError) -> None:
        logger.warning(problem, self._job.id, error, extra=about(self._job))


_all: WeakSet[Reports] = WeakSet()


def _begin_anew() -> None:
    """In a process that a body has forked: nobody else works there on what it reports."""
    for reports in list(_all):
        reports.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
