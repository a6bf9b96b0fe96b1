"""One attempt at a job: its verbs, from the take to the landing or the release."""

import logging
import threading
from contextvars import ContextVar, Token
from dataclasses import replace
from uuid import UUID

from celery.exceptions import Ignore

from jobstate import attempts, reporting, sweeping
from jobstate.answers import about
from jobstate.attempts import Hold, Landing
from jobstate.celery import outcome
from jobstate.celery.announce import LANDED
from jobstate.celery.fence import Fence, Grip
from jobstate.celery.joining import Joining
from jobstate.celery.publish import Message
from jobstate.celery.reports import Reports
from jobstate.celery.runtime import Runtime
from jobstate.creation import When, moment
from jobstate.errors import LeaseLost
from jobstate.records import Job
from jobstate.states import ErrorCode, JobStatus
from jobstate.tracing import JobSpan
from jobstate.values import to_json

logger = logging.getLogger("jobstate")

_MAX_DETAIL = 64 * 1024


class Attempt:
    """One take of a job by this process. Its grip says what may still be done."""

    def __init__(
        self, runtime: Runtime, job: Job, hold: Hold, *, followups: bool, grip: Grip = Grip.HELD
    ) -> None:
        self.runtime = runtime
        self.job = job
        self.hold = hold
        self.fence = Fence(runtime, hold, grip, repeatable=job.idempotent)
        self.reports = Reports(self.fence, job)
        self.joining = Joining(self.fence, self.reports, followups=followups)
        self.ended = False
        self.runner = threading.get_ident()
        self.dispatching = False
        """Whether the body is over, and Celery dispatches what follows it."""
        self.retry_error: BaseException | None = None
        self.exhausted_by: BaseException | None = None
        self.span = JobSpan()
        """What a trace shows of the attempt."""
        self.seen: object = None
        """What the body sees of the job, once it has looked."""
        self._followups = followups
        self._token: Token[Attempt | None] | None = None

    @property
    def grip(self) -> Grip:
        """Whether the attempt still has its job."""
        return self.fence.grip

    @property
    def has_landed(self) -> bool:
        """Whether it was this attempt that landed the job, or it stands in for that one."""
        return self.grip is Grip.LANDED

    @classmethod
    def landed(cls, runtime: Runtime, job: Job) -> "Attempt":
        """Stand in for the attempt that landed a job and could not dispatch what follows it."""
        hold = Hold(job.id, job.attempt, UUID(int=0))
        return cls(runtime, job, hold, followups=True, grip=Grip.LANDED)

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
            held = held or self.fence.run(attempts.check_held(self.hold)) is not None
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
        self.reports.progress.stop()
        self.span.leave()
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        if self.grip is not Grip.HELD:
            _claimed.pop(self.hold, None)

    def succeed(self, value: object) -> object:
        """Land what the body returned, and return what callbacks are given.

        What it has completed in a transaction of its own stays as it is.

        Raises:
            Ignore: The job is no longer this attempt's: nothing is dispatched from here.
            InvalidValueError: The result cannot be stored.
            JobFailed: Every item failed.
        """
        if self.joining.landed is not None:
            self.job = self.joining.landed
            if self.joining.dispatched:
                raise Ignore(f"What follows job {self.job.id} was dispatched already.")
            return self.job.result
        if self.grip is not Grip.HELD:
            raise Ignore(f"Job {self.job.id} was given up by its body.")
        landing = outcome.success(value, self.reports.items.counts, self.runtime.settings)
        if not self.land(landing, followups=self._followups):
            raise Ignore(f"Job {self.job.id} is no longer held by attempt {self.hold.attempt}.")
        return value.result if isinstance(value, outcome.Partial) else value

    def fail(self, error: BaseException) -> bool:
        """Land what left the body as an exception; return whether this attempt did."""
        exhausted = error is self.exhausted_by
        landing = outcome.failure(error, self.runtime.settings, retries_exhausted=exhausted)
        if landing.error_code == ErrorCode.TIME_LIMIT and self.job.keep_partial and self._kept():
            landing = replace(landing, status=JobStatus.PARTIAL)
        return self.land(landing, followups=self._followups)

    def give_up(self) -> None:
        """Leave the job to its policy: it runs again, or failed with its worker."""
        if not self._written_out():
            return
        self.reports.write_last_progress()
        job = self.fence.insist(sweeping.rescue(self.hold))
        self.fence.grip = Grip.RELEASED if job is not None else Grip.LOST
        if job is not None and (job.followups_pending or not job.is_terminal):
            self.runtime.publish_committed(job.id, again=True)

    def land(self, landing: Landing, *, followups: bool = False) -> bool:
        """Land the job, waiting for the database if need be; return whether this attempt did."""
        if not self._written_out():
            return False
        report = self.reports.progress.close()
        grace = self.runtime.settings.publish_grace
        done, job = self.fence.insist(
            attempts.land(self.hold, landing, report, followups=followups, publish_grace=grace)
        )
        # A landing whose answer was lost is refused when it is repeated, and was done all the same.
        done = done or (self.fence.doubts > 0 and landing.is_of(job, self.hold))
        self.fence.grip = Grip.LANDED if done else Grip.LOST
        self.job = job
        if done:
            self.span.landed(job)
            self.runtime.announce(LANDED, job, self.hold)
        else:
            logger.warning(
                "Attempt %s came too late to land job %s as %s: it is %s, at attempt %s.",
                self.hold.attempt,
                job.id,
                landing.status,
                job.status,
                job.attempt,
                extra=about(job),
            )
            self.fence.refused()
        return done

    def clear_followups(self, *, failed: bool) -> None:
        """Note that what follows a success, or a failure, was dispatched."""
        ended_so = self.grip is Grip.LANDED and (self.job.status is JobStatus.FAILED) is failed
        if self._followups and ended_so:
            self.fence.insist(attempts.clear_followups(self.job.id))

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

        Raises:
            JobCompleted: The body has completed it.
            TransactionOpen: The body has it locked in a transaction of its own.
        """
        self.joining.settle()
        self.fence.refuse_completed()
        if not self._written_out():
            return False
        self.reports.write_last_progress()
        error = self.retry_error
        reason = {"error": outcome.described(error)} if error else {}
        done, _ = self.fence.insist(
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
        self.fence.grip = Grip.RELEASED if done else Grip.LOST
        if not done:
            self.fence.put_back()
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
        has_files = reporting.has_files(self.hold)
        return self.reports.items.counts.succeeded > 0 or self.fence.insist(has_files)

    def _written_out(self) -> bool:
        """Write the last items and logs; say whether the job is still held."""
        if self.grip is Grip.HELD:
            try:
                self.reports.write_out()
            except LeaseLost:
                self.fence.grip = Grip.LOST
        return self.grip is Grip.HELD


_current: ContextVar[Attempt | None] = ContextVar("jobstate_attempt", default=None)
_claimed: dict[Hold, Attempt] = {}
"""What this process runs; and what it ran and could not land, which no copy may run again."""


def current_attempt() -> Attempt | None:
    """Return the attempt whose body runs here, if any."""
    return _current.get()


def running_attempt(job_id: UUID) -> Attempt | None:
    """Return this process's latest attempt at a job, if it has one that has not landed."""
    here = [mine for mine in list(_claimed.values()) if mine.job.id == job_id]
    return max(here, key=lambda mine: mine.hold.attempt, default=None)


def is_running(hold: Hold) -> bool:
    """Tell whether this process still runs an attempt."""
    attempt = _claimed.get(hold)
    return attempt is not None and not attempt.ended
