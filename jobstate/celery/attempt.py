"""One attempt at a job: its verbs, from the take to the landing or the release."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from typing import TypeVar
from uuid import UUID
from weakref import WeakSet

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from jobstate import attempts, sweeping
from jobstate.attempts import Hold, Landing
from jobstate.celery import outcome
from jobstate.celery.flusher import flusher
from jobstate.celery.patience import insist
from jobstate.celery.publish import Message
from jobstate.celery.runtime import Runtime
from jobstate.creation import When, moment
from jobstate.errors import (
    ConfigurationError,
    JobCancelled,
    JobStateError,
    LeaseLost,
    SchemaMismatch,
    StoreUnavailable,
)
from jobstate.items import ItemLedger, Outcome
from jobstate.logs import Line, LogBook
from jobstate.operations import about
from jobstate.progress import Progress, Report
from jobstate.records import Job, Partial
from jobstate.states import ErrorCode, JobStatus
from jobstate.store import Operation
from jobstate.values import to_json

T = TypeVar("T")

logger = logging.getLogger("jobstate")

_MAX_DETAIL = 64 * 1024


class Grip(Enum):
    """Whether an attempt still has its job."""

    HELD = auto()
    RELEASED = auto()
    LANDED = auto()
    LOST = auto()


class Attempt:
    """One take of a job by this process. Its grip says what may still be done."""

    def __init__(
        self, runtime: Runtime, job: Job, hold: Hold, *, followups: bool, grip: Grip = Grip.HELD
    ) -> None:
        self.runtime = runtime
        self.job = job
        self.hold = hold
        self.grip = grip
        self.ended = False
        self.runner = threading.get_ident()
        self.retry_error: BaseException | None = None
        self.exhausted_by: BaseException | None = None
        self.assets = 0
        """How many files the attempt has linked."""
        self._followups = followups
        self._cancelled = False
        self._doubts = 0
        self._token: Token[Attempt | None] | None = None
        interval = runtime.settings.progress_interval
        self.progress = Progress(self._write_progress, interval, flusher.wake)
        self.seen: object = None
        """What the body sees of the job, once it has looked."""
        passing = (Ignore, Reject, Retry, SoftTimeLimitExceeded)
        self.items = ItemLedger(self._write_items, interval, passing, self._wake_items)
        self.logs: LogBook | None = None
        """What the body logs, where its task keeps that."""
        _attempts.add(self)

    @classmethod
    def landed(cls, runtime: Runtime, job: Job) -> "Attempt":
        """Stand in for the attempt that landed a job and could not dispatch what follows it."""
        attempt = cls(runtime, job, Hold(job.id, job.attempt, UUID(int=0)), followups=True)
        attempt.grip = Grip.LANDED
        return attempt

    def claim(self, *, taken: bool) -> bool:
        """Become the one delivery of this process that runs the attempt; return whether it is.

        Two copies of a message may meet in two threads, and after an outage neither can tell by
        the row alone which of them took the job.

        Args:
            taken: Whether this delivery has the answer to its take. Without it, the attempt may
                have ended since the row was read, so the row is asked again.

        Raises:
            StoreUnavailable: The database cannot be reached; nothing is claimed.
        """
        if _claimed.setdefault(self.hold, self) is not self:
            return False
        held = taken
        try:
            held = held or self._run(attempts.check_held(self.hold)) is not None
        finally:
            if not held:
                del _claimed[self.hold]
        return held

    def is_at(self, task_id: str) -> bool:
        """Tell whether this is an attempt at the job of this id."""
        return str(self.job.id) == task_id

    def begin(self) -> None:
        """Make this the current attempt, until `end`."""
        self._token = _current.set(self)

    def end(self) -> None:
        """Make the one before this current again; what could not be landed is the keeper's now."""
        self.ended = True
        self.progress.stop()
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        if self.grip is not Grip.HELD:
            _claimed.pop(self.hold, None)

    def prepare(self, *, resume: bool) -> None:
        """Find out which items are to be done, where not all are; waits for the database.

        Args:
            resume: Whether those that an earlier attempt has done count as done.

        Raises:
            LeaseLost: The job is held no more.
        """
        if self.job.retry_of is not None:
            self.items.only = self._insist(attempts.only_items(self.job.id))
        if resume and self.hold.attempt > 1:
            done = self._insist(attempts.resume_items(self.hold))
            if done is None:
                self._heed(None)
            else:
                self.items.carry_over(done)

    def keep_logs(self) -> None:
        """Keep what the body logs from here on."""
        interval = self.runtime.settings.progress_interval
        self.logs = LogBook(self._write_logs, interval, self._wake_logs)

    def check(self) -> None:
        """Ask whether the job is still held.

        Raises:
            JobCancelled: It was asked to be cancelled.
            LeaseLost: It is held no more.
        """
        self._heed(self._run(attempts.check_held(self.hold)))
        self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Tell the body what the last write has learnt, whichever thread made it.

        Raises:
            JobCancelled: The job was asked to be cancelled.
            LeaseLost: It is held no more.
        """
        if self.grip is Grip.LOST:
            raise LeaseLost(self.job.id, self.hold.attempt)
        if self._cancelled:
            raise JobCancelled(self.job.id)

    def report(self) -> None:
        """Write progress if it is time; a database that is away costs a log line, not the body.

        Raises:
            JobCancelled: The job was asked to be cancelled.
            LeaseLost: It is held no more.
        """
        # Nothing is forgotten that was not written: another thread, or the landing, brings it.
        self.progress.hand_in()
        self.raise_if_stopped()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record an item in the block: a database that is away costs a log line, never the body."""
        try:
            yield
        except (ConfigurationError, SchemaMismatch, StoreUnavailable) as error:
            # The ledger keeps the outcomes: the next batch, or the landing, brings them.
            logger.warning(
                "Items of job %s were not written: %s", self.job.id, error, extra=about(self.job)
            )

    def insist(self, operation: Operation[T | None]) -> T:
        """Write until the database has done it, and return what it answers.

        Raises:
            LeaseLost: The job is held no more; nothing was written.
        """
        answer = self._insist(operation)
        if answer is None:
            raise self._lost()
        return answer

    def go_on(self) -> None:
        """Report progress without any: a body that stores a large file is not silent.

        Raises:
            JobCancelled: The job was asked to be cancelled.
            LeaseLost: It is held no more.
        """
        self.report()

    def succeed(self, value: object) -> object:
        """Land what the body returned, and return what callbacks are given.

        Raises:
            Ignore: The job is no longer this attempt's: nothing is dispatched.
            InvalidValueError: The result cannot be stored.
            JobFailed: Every item failed.
        """
        if self.grip is not Grip.HELD:
            raise Ignore(f"Job {self.job.id} was given up by its body.")
        landing = outcome.success(value, self.items.counts, self.runtime.settings)
        if not self.land(landing, followups=self._followups):
            raise Ignore(f"Job {self.job.id} is no longer held by attempt {self.hold.attempt}.")
        return value.result if isinstance(value, Partial) else value

    def fail(self, error: BaseException) -> bool:
        """Land what left the body as an exception; return whether this attempt did."""
        exhausted = error is self.exhausted_by
        landing = outcome.failure(error, self.runtime.settings, retries_exhausted=exhausted)
        if landing.error_code == ErrorCode.TIME_LIMIT and self.job.keep_partial and self._kept():
            landing = replace(landing, status=JobStatus.PARTIAL)
        return self.land(landing, followups=self._followups)

    def give_up(self) -> None:
        """Leave the job to its policy: it runs again, or failed with its worker."""
        if not self._items_written():
            return
        self._write_last_progress()
        job = self._insist(sweeping.rescue(self.hold))
        self.grip = Grip.RELEASED if job is not None else Grip.LOST
        if job is not None and (job.followups_pending or not job.is_terminal):
            self.runtime.publish_committed(job.id)

    def land(self, landing: Landing, *, followups: bool = False) -> bool:
        """Land the job, waiting for the database if need be; return whether this attempt did."""
        if not self._items_written():
            return False
        report = self.progress.close()
        grace = self.runtime.settings.publish_grace
        done, job = self._insist(
            attempts.land(self.hold, landing, report, followups=followups, publish_grace=grace)
        )
        # A landing whose answer was lost is refused when it is repeated, and was done all the same.
        done = done or (self._doubts > 0 and landing.is_of(job, self.hold))
        self.grip = Grip.LANDED if done else Grip.LOST
        self.job = job
        if not done:
            logger.warning(
                "Attempt %s came too late to land job %s as %s: it is %s, at attempt %s.",
                self.hold.attempt,
                job.id,
                landing.status,
                job.status,
                job.attempt,
                extra=about(job),
            )
            self._note_stale_write()
        return done

    def clear_followups(self, *, failed: bool) -> None:
        """Note that what follows a success, or a failure, was dispatched."""
        ended_so = self.grip is Grip.LANDED and (self.job.status is JobStatus.FAILED) is failed
        if self._followups and ended_so:
            self._insist(attempts.clear_followups(self.job.id))

    def release(
        self,
        *,
        message: Message | None = None,
        queue: str | None = None,
        eta: When | None = None,
        retries: int | None = None,
        canvas: str | None = None,
    ) -> bool:
        """Give up the job for a later attempt, in the row; return whether it was still held.

        Args:
            message: What starts the next attempt; the same message again unless given.
            queue: Where that goes.
            eta: When the next attempt is to start.
            retries: How many retries there were with it.
            canvas: The tasks that take the job over, as JSON; nothing else is published for it.
        """
        if not self._items_written():
            return False
        self._write_last_progress()
        error = self.retry_error
        reason = {"error": outcome.described(error)} if error else {}
        done, _ = self._insist(
            attempts.release(
                self.hold,
                message=None if message is None else message.encode(),
                task_name=None if message is None else message.task_name,
                queue=queue,
                retries=retries,
                when=moment("eta", "countdown", eta),
                publish_grace=self.runtime.settings.publish_grace,
                error_code=ErrorCode.EXCEPTION if error else None,
                detail=to_json(reason, "error of the retry", _MAX_DETAIL),
                canvas=canvas,
            )
        )
        self.grip = Grip.RELEASED if done else Grip.LOST
        return done

    def run_again(
        self,
        message: Message,
        *,
        queue: str | None = None,
        eta: When | None = None,
        expires: When | None = None,
        retries: int | None = None,
    ) -> None:
        """Release the job and publish its next attempt: the row first, then the broker.

        Raises:
            LeaseLost: The job is no longer this attempt's; nothing is published.
        """
        if not self.release(message=message, queue=queue, eta=eta, retries=retries):
            raise LeaseLost(self.job.id, self.hold.attempt)
        self.runtime.publish(self.job.id, self.hold.attempt, message, eta=eta, expires=expires)

    def _kept(self) -> bool:
        return self.items.counts.succeeded > 0 or self.assets > 0

    def _items_written(self) -> bool:
        """Write the last items and logs; say whether the job is still held."""
        if self.grip is Grip.HELD:
            try:
                self._wait_for(self.items.flush)
                if self.logs is not None:
                    self._wait_for(self.logs.close)
            except LeaseLost:
                self.grip = Grip.LOST
        return self.grip is Grip.HELD

    def _insist(self, operation: Operation[T]) -> T:
        return self._wait_for(lambda: self._run(operation))

    def _wait_for(self, call: Callable[[], T]) -> T:
        return insist(call, self.job.id, self._doubt)

    def _doubt(self) -> None:
        self._doubts += 1

    def _run(self, operation: Operation[T]) -> T:
        return self.runtime.service.store.run(operation)

    def _write_last_progress(self) -> None:
        """Write what waits to be, before the job is given up; nobody writes after that."""
        self.progress.flush()
        self.progress.close()

    def _write_progress(self, report: Report) -> bool:
        try:
            self._heed(self._run(attempts.report_progress(self.hold, report)))
        except LeaseLost:
            pass  # The body's next call raises it, whichever thread this is.
        except JobStateError as error:
            logger.warning(
                "Progress of job %s was not written: %s", self.job.id, error, extra=about(self.job)
            )
            return False
        return True

    def _wake_items(self, at: float, call: Callable[[], None]) -> None:
        flusher.wake(at, partial(self._record_late, call))

    def _record_late(self, call: Callable[[], None]) -> None:
        if self.grip is Grip.HELD:
            with suppress(LeaseLost), self.recording():  # The body's next call raises it.
                call()

    def _wake_logs(self, at: float, call: Callable[[], None]) -> None:
        flusher.wake(at, partial(self._log_late, call))

    def _log_late(self, call: Callable[[], None]) -> None:
        if self.grip is not Grip.HELD:
            return
        try:
            call()
        except LeaseLost:
            pass  # The body's next report raises it.
        except JobStateError as error:
            logger.warning(
                "Logs of job %s were not written: %s", self.job.id, error, extra=about(self.job)
            )

    def _write_logs(self, batch: list[Line]) -> None:
        self._heed(self._run(attempts.write_logs(self.hold, batch)))

    def _write_items(self, batch: dict[str, Outcome]) -> None:
        self._heed(self._run(attempts.record_items(self.hold, batch)))

    def _note_stale_write(self) -> None:
        with suppress(StoreUnavailable):
            self._run(attempts.note(self.job.id, "stale_write", self.hold.attempt))

    def _heed(self, cancelled: bool | None) -> None:  # noqa: FBT001 - the answer of a write
        if cancelled is None:
            raise self._lost()
        self._cancelled = cancelled
        if cancelled:
            self.progress.stop()

    def _lost(self) -> LeaseLost:
        self.grip = Grip.LOST
        self.progress.stop()
        self._note_stale_write()
        return LeaseLost(self.job.id, self.hold.attempt)


_current: ContextVar[Attempt | None] = ContextVar("jobstate_attempt", default=None)
_claimed: dict[Hold, Attempt] = {}
"""What this process runs; and what it ran and could not land."""


_attempts: WeakSet[Attempt] = WeakSet()


def _begin_anew() -> None:
    """In a process that a body has forked: nobody else works there on what it reports."""
    for attempt in list(_attempts):
        attempt.progress.begin_anew()
        attempt.items.begin_anew()
        if attempt.logs is not None:
            attempt.logs.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)


def current_attempt() -> Attempt | None:
    """Return the attempt whose body runs here, if any."""
    return _current.get()


def running_attempt(job_id: UUID) -> Attempt | None:
    """Return this process's attempt at a job, if it has one that has not landed."""
    return next((mine for mine in list(_claimed.values()) if mine.job.id == job_id), None)


def is_running(hold: Hold) -> bool:
    """Tell whether this process still runs an attempt."""
    attempt = _claimed.get(hold)
    if attempt is not None and attempt.ended:
        del _claimed[hold]
    return attempt is not None and not attempt.ended
