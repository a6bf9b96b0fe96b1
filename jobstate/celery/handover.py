"""What signal handlers of the main process leave to the keeper."""

import os
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from jobstate import attempts, delegating, publishing, sweeping
from jobstate.attempts import Hold, Landing
from jobstate.celery.attempt import is_running
from jobstate.celery.bench import Bench
from jobstate.errors import StoreUnavailable
from jobstate.states import ErrorCode
from jobstate.store import Operation, Store
from jobstate.sweeper import Sweeper


@dataclass(frozen=True, slots=True)
class Desk:
    """What the keeper deals with a hand-over at: the database, the sweeper, the worker's id."""

    store: Store
    sweeper: Sweeper
    worker_id: UUID
    lost_grace: float
    bench: Bench


class HandedOver(Protocol):
    """Something that happened to a job outside of its body."""

    @property
    def job_id(self) -> UUID:
        """The job."""

    def settle(self, desk: Desk) -> None:
        """Do what follows from it, unless what the handler knew is no longer so."""


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run whose process died, or was made to.

    A copy of the message that dies says nothing about the job: the row names who holds it.
    """

    job_id: UUID
    pid: int
    code: ErrorCode
    ticket: int

    def settle(self, desk: Desk) -> None:
        """End the job, or have it run again where that is its policy."""
        holds = self._holds(desk)
        if not holds:
            self._untaken().settle(desk)
            # The process may have left behind a take that the database does only now.
            holds = self._holds(desk)
        for hold in holds:
            if self.code is not ErrorCode.WORKER_LOST:
                self._end(desk, hold)
            elif is_gone(hold, self.pid, desk.bench):
                desk.sweeper.rescue(hold)

    def _holds(self, desk: Desk) -> list[Hold]:
        held = desk.store.run(sweeping.held_by(desk.worker_id))
        return [
            Hold(job_id, attempt, desk.worker_id)
            for (job_id, attempt), pid in held.items()
            if (job_id, pid) == (self.job_id, self.pid)
        ]

    def _untaken(self) -> HandedOver:
        """Return what it is of a run that ended before it had taken the job."""
        if self.code is ErrorCode.CANCELLED:
            return UnstartedRun(self.job_id, self.ticket, attempts.ending(self.code))
        return LostMessage(self.job_id, self.ticket)

    def _end(self, desk: Desk, hold: Hold) -> None:
        ended = desk.store.run(sweeping.end_held(hold, self.code))
        if ended is None and desk.store.run(attempts.check_held(hold)) is not None:
            raise StoreUnavailable(f"Job {self.job_id} is locked by somebody just now. Try again.")


@dataclass(frozen=True, slots=True)
class UnstartedRun:
    """A delivery that ended before its body began, and for good."""

    job_id: UUID
    ticket: int
    landing: Landing

    def settle(self, desk: Desk) -> None:
        """Fail the job, if it still waits for this delivery."""
        self.settle_in(desk.store)

    def settle_in(self, store: Store) -> None:
        """The same, away from the keeper."""
        store.run_all(sweeping.insist_end_unheld(self.job_id, self.ticket, self.landing))


@dataclass(frozen=True, slots=True)
class DelegateFailed:
    """A plain task failed, of those that a job was delegated to at this attempt."""

    job_id: UUID
    ticket: int
    landing: Landing

    def settle(self, desk: Desk) -> None:
        """Fail the job, unless somebody has taken it over."""
        self.settle_in(desk.store)

    def settle_in(self, store: Store) -> None:
        """The same, away from the keeper."""
        store.run(delegating.fail_delegated(self.job_id, self.ticket, self.landing))


@dataclass(frozen=True, slots=True)
class LostMessage:
    """A delivery that Celery threw away although its job may still run."""

    job_id: UUID
    ticket: int
    code: ErrorCode | None = None

    def settle(self, desk: Desk) -> None:
        """Have the message published again."""
        desk.store.run(self.putting_back(desk.lost_grace))

    def putting_back(self, grace: float) -> Operation[None]:
        """Return what has it published again, after a pause."""
        return publishing.put_back(self.job_id, self.ticket, self.code, grace)


def is_gone(hold: Hold, pid: int, bench: Bench) -> bool:
    """Tell whether a process of this worker does not run this attempt, or not any more."""
    if pid == os.getpid():
        return not is_running(hold)
    try:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            os.kill(pid, 0)
        # Leaves the child to be collected by the pool.
        elif os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
    except (ChildProcessError, ProcessLookupError):
        return True
    return not bench.runs(pid, hold.job_id)
