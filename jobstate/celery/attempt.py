"""One attempt at a job: its verbs, from the take to the landing or the release."""

import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from enum import Enum, auto
from typing import TypeVar
from uuid import UUID

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from jobstate import attempts
from jobstate.attempts import Hold, Landing
from jobstate.celery import outcome
from jobstate.celery.publish import Message
from jobstate.celery.runtime import Runtime
from jobstate.creation import When, moment
from jobstate.errors import JobCancelled, LeaseLost, StoreUnavailable
from jobstate.items import ItemLedger, Outcome
from jobstate.operations import about
from jobstate.progress import Progress, Report
from jobstate.records import Job, Partial
from jobstate.states import ErrorCode
from jobstate.store import Operation
from jobstate.values import mend_text, to_json
from jobstate.waiting import backoff

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

    def __init__(self, runtime: Runtime, job: Job, hold: Hold, *, followups: bool) -> None:
        self.runtime = runtime
        self.job = job
        self.hold = hold
        self.grip = Grip.HELD
        self.retry_error: BaseException | None = None
        self.exhausted_by: BaseException | None = None
        self._followups = followups
        self._cancelled = False
        self._token: Token[Attempt | None] | None = None
        interval = runtime.settings.progress_interval
        self.progress = Progress(self._write_progress, interval)
        passing = (Ignore, Reject, Retry, SoftTimeLimitExceeded)
        self.items = ItemLedger(self._write_items, interval, passing)

    def begin(self) -> None:
        """Make this the current attempt, until `end`."""
        self._token = _current.set(self)
        _running[self.job.id] = self

    def end(self) -> None:
        """Make the one before this current again."""
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        if self.grip is not Grip.HELD:
            _running.pop(self.job.id, None)

    def check(self) -> None:
        """Ask whether the job is still held.

        Raises:
            JobCancelled: It was asked to be cancelled.
            LeaseLost: It is held no more.
        """
        self._heed(self._run(attempts.check_held(self.hold)))
        self.raise_if_cancelled()

    def raise_if_cancelled(self) -> None:
        """Tell the body what the last write has learnt.

        Raises:
            JobCancelled: The job was asked to be cancelled.
        """
        if self._cancelled:
            raise JobCancelled(self.job.id)

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

    def fail(self, error: BaseException) -> None:
        """Land what left the body as an exception."""
        if isinstance(error, LeaseLost):
            self.grip = Grip.LOST
        exhausted = self.exhausted_by is not None and type(error) is type(self.exhausted_by)
        self.land(outcome.failure(error, self.runtime.settings, retries_exhausted=exhausted))

    def land(self, landing: Landing, *, followups: bool = False) -> bool:
        """Land the job, waiting for the database if need be; return whether this attempt did."""
        if not self._items_written():
            return False
        report = self.progress.unwritten
        done, job = self._insist(attempts.land(self.hold, landing, report, followups=followups))
        # A landing whose answer was lost is refused when it is repeated, and was done all the same.
        done = done or (job.attempt, job.status) == (self.hold.attempt, landing.status)
        self.grip = Grip.LANDED if done else Grip.LOST
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
        return done

    def clear_followups(self) -> None:
        """Note that callbacks and the next chain step were dispatched."""
        if self._followups:
            self._insist(attempts.clear_followups(self.job.id))

    def release(
        self,
        *,
        message: Message | None = None,
        queue: str | None = None,
        eta: When | None = None,
        retries: int | None = None,
    ) -> bool:
        """Give up the job for a later attempt, in the row; return whether it was still held."""
        if not self._items_written():
            return False
        error = self.retry_error or sys.exception()
        reason = {"error": mend_text(f"{type(error).__name__}: {error}")} if error else {}
        done, _ = self._insist(
            attempts.release(
                self.hold,
                message=None if message is None else message.encode(),
                task_name=None if message is None else message.task_name,
                queue=queue,
                retries=self.job.retries if retries is None else retries,
                when=moment("eta", "countdown", eta),
                publish_grace=self.runtime.settings.publish_grace,
                error_code=ErrorCode.EXCEPTION if error else None,
                detail=to_json(reason, "error of the retry", _MAX_DETAIL),
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

    def _items_written(self) -> bool:
        """Write the last items; say whether the job is still held."""
        if self.grip is Grip.HELD:
            try:
                _insist(self.items.flush)
            except LeaseLost:
                self.grip = Grip.LOST
        return self.grip is Grip.HELD

    def _insist(self, operation: Operation[T]) -> T:
        return _insist(lambda: self._run(operation))

    def _run(self, operation: Operation[T]) -> T:
        return self.runtime.service.store.run(operation)

    def _write_progress(self, report: Report) -> None:
        if self.grip is not Grip.HELD:
            return
        try:
            self._heed(self._run(attempts.report_progress(self.hold, report)))
        except StoreUnavailable as error:
            # Progress is never worth a body: the next report, or the landing, brings it.
            logger.warning(
                "Progress of job %s was not written: %s", self.job.id, error, extra=about(self.job)
            )

    def _write_items(self, batch: dict[str, Outcome]) -> None:
        self._heed(self._run(attempts.record_items(self.hold, batch)))

    def _heed(self, cancelled: bool | None) -> None:  # noqa: FBT001 - the answer of a write
        if cancelled is None:
            self.grip = Grip.LOST
            raise LeaseLost(self.job.id, self.hold.attempt)
        self._cancelled = cancelled


_current: ContextVar[Attempt | None] = ContextVar("jobstate_attempt", default=None)
_running: dict[UUID, Attempt] = {}


def current_attempt() -> Attempt | None:
    """Return the attempt whose body runs here, if any."""
    return _current.get()


def running_attempt(job_id: UUID) -> Attempt | None:
    """Return this process's attempt at a job, if it has one that was not ended properly."""
    return _running.get(job_id)


def _insist(call: Callable[[], T]) -> T:
    """Call until the database answers: only Celery's limits and a shutdown end the wait."""
    pauses = backoff()
    while True:
        try:
            return call()
        except StoreUnavailable as error:
            pause = next(pauses)
            logger.warning("Trying again in %.1f s: %s", pause, error)
            time.sleep(pause)
