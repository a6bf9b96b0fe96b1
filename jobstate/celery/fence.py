"""What an attempt writes through: it knows whether the attempt still has its job."""

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import TypeVar

from jobstate import attempts, publishing
from jobstate.attempts import Hold
from jobstate.celery.patience import insist
from jobstate.celery.runtime import Runtime
from jobstate.counters import STALE_WRITES
from jobstate.errors import JobCancelled, JobCompleted, LeaseLost, StoreUnavailable
from jobstate.store import JoinedTransaction, Operation

T = TypeVar("T")


class Grip(Enum):
    """Whether an attempt still has its job."""

    HELD = auto()
    LANDING = auto()
    """Landed in a transaction of the body's own, which may be rolled back still."""
    RELEASED = auto()
    LANDED = auto()
    LOST = auto()


_COMPLETED = (Grip.LANDING, Grip.LANDED)


class Fence:
    """Runs the writes of one attempt, and remembers what they have answered.

    Args:
        runtime: The app's.
        hold: What the attempt holds.
        grip: Whether it still does.
        repeatable: Whether the job may run again, so that its take may have been lost.
    """

    def __init__(self, runtime: Runtime, hold: Hold, grip: Grip, *, repeatable: bool) -> None:
        self.runtime = runtime
        self.hold = hold
        self.grip = grip
        self.doubts = 0
        """How many writes went unanswered: each may have been done."""
        self.stop: Callable[[], None] = lambda: None
        """Called when there is nothing more to report."""
        self.landing: JoinedTransaction | None = None
        """Where the job was landed, if in a transaction of the body's own."""
        self.settle: Callable[[], None] = lambda: None
        """Called to find out what has become of it."""
        self._cancelled = False
        self._repeatable = repeatable

    def run(self, operation: Operation[T]) -> T:
        """Run an operation in a transaction of its own."""
        return self.runtime.service.store.run(operation)

    def insist(self, operation: Operation[T]) -> T:
        """Run an operation until the database has done it."""
        return self.wait_for(lambda: self.run(operation))

    def require(self, operation: Operation[T | None]) -> T:
        """Write until the database has done it, and return what it answers.

        Raises:
            LeaseLost: The job is held no more; nothing was written.
        """
        answer = self.insist(operation)
        if answer is None:
            raise self.lost()
        return answer

    def wait_for(self, call: Callable[[], T]) -> T:
        """Call until the database does what is called for."""
        return insist(call, self.hold.job_id, self._doubt)

    def heed(self, cancelled: bool | None) -> None:  # noqa: FBT001 - the answer of a write
        """Take in what a write has answered.

        Raises:
            LeaseLost: The job is held no more.
        """
        if cancelled is None:
            raise self.lost()
        self._cancelled = cancelled
        if cancelled:
            self.stop()

    def check(self) -> None:
        """Ask whether the job is still held.

        Raises:
            JobCancelled: It was asked to be cancelled.
            LeaseLost: It is held no more.
        """
        self.raise_if_stopped()
        if self.grip not in _COMPLETED:
            self.heed(self.run(attempts.check_held(self.hold)))
            self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Tell the body what the last write has learnt, whichever thread made it.

        Raises:
            JobCancelled: The job was asked to be cancelled.
            LeaseLost: It is held no more.
        """
        if self.grip is Grip.LANDING and self.landing is not None and not self.landing.is_on:
            self.settle()
        if self.grip in _COMPLETED:
            return
        if self.grip is Grip.LOST:
            raise LeaseLost(self.hold.job_id, self.hold.attempt)
        if self._cancelled:
            raise JobCancelled(self.hold.job_id)

    def refuse_completed(self) -> None:
        """Refuse what is to be recorded of a job that its body has completed.

        Raises:
            JobCompleted: It has, and was not rolled back.
        """
        if self.grip is Grip.LANDING and self.landing is not None and not self.landing.is_open:
            self.settle()
        if self.grip in _COMPLETED:
            raise JobCompleted(self.hold.job_id)

    def refused(self) -> None:
        """See to a job whose row has refused a write of this attempt; its history remembers it."""
        STALE_WRITES.add()
        with suppress(StoreUnavailable):
            self.run(attempts.note(self.hold.job_id, "stale_write", self.hold.attempt))
        self.put_back()

    def put_back(self) -> None:
        """Have a job run again whose take was lost, with the last second of the database's life.

        It waits as if it had never been taken, but its message is gone: another one follows.
        """
        if self._repeatable:
            ticket, grace = self.hold.attempt - 1, self.runtime.settings.lost_grace
            with suppress(StoreUnavailable):
                self.run(publishing.put_back(self.hold.job_id, ticket, None, grace))

    def _doubt(self) -> None:
        self.doubts += 1

    def lost(self) -> LeaseLost:
        """Note that the job is held no more; return what tells the body."""
        self.grip = Grip.LOST
        self.stop()
        self.refused()
        return LeaseLost(self.hold.job_id, self.hold.attempt)
