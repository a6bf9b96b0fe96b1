"""The sweeper: finds what nobody looks after any more, and sees to it that it lands.

Any number may run at once, anywhere. Each job is decided about under its lock, by what is true
then; what is locked is somebody else's just now and is left to a later round.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol, TypeVar
from uuid import UUID

from jobstate import delegating, sweeping
from jobstate.answers import about
from jobstate.attempts import Hold, clear_followups, ending
from jobstate.cleaning import Cleaner, Files
from jobstate.errors import StoreRefused, StoreUnavailable
from jobstate.records import Job
from jobstate.settings import Settings
from jobstate.states import ErrorCode
from jobstate.store import Store
from jobstate.sweeping import Due, Finding

T = TypeVar("T", Due, Hold)

logger = logging.getLogger("jobstate")

BATCH = 100
"""How many jobs one rule may look at in a row, before the others have their turn."""

ROUNDS = 10
"""How many batches one call works off, so that it ends however much there is."""

_REASONS = {
    Finding.CANCEL: ErrorCode.CANCELLED,
    Finding.DEADLINE: ErrorCode.DEADLINE,
    Finding.NO_PROGRESS: ErrorCode.NO_PROGRESS,
    Finding.EXPIRED: ErrorCode.EXPIRED,
    Finding.DELEGATE_LOST: ErrorCode.WORKER_LOST,
    Finding.ORPHANED: ErrorCode.WORKER_LOST,
}


class Beacon(Protocol):
    """A mark in the broker, which is gone when the broker was emptied."""

    def is_lit(self, name: UUID) -> bool | None:
        """Tell whether it is there. None: the broker did not answer."""

    def light(self, name: UUID) -> bool:
        """Put it there; return whether the broker took it."""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one round of the sweeper did: numbers of jobs, unless said.

    `buried` are workers that were given up. `unjudged` are workers that are silent, but were not
    given up: the database has not been seen up for a whole lease. `cleaned` are files of attempts
    that are over. `purged` are jobs that were kept long enough.
    """

    buried: int = 0
    unjudged: int = 0
    rescued: int = 0
    failed: int = 0
    published: int = 0
    cleaned: int = 0
    purged: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the numbers in types that JSON knows."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Sweeper:
    """Looks after the jobs of one database.

    Args:
        store: The database.
        settings: The intervals and graces.
        publish: Publishes a job from its row; returns whether the broker took it.
        beacon: Tells whether the broker was emptied.
        files: The storage of assets; without it, no file is removed.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        publish: Callable[[UUID], bool],
        beacon: Beacon | None = None,
        files: Files | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._publish = publish
        self._beacon = beacon
        self._cleaner = Cleaner(store, settings, files)

    def sweep(self) -> SweepReport:
        """Do one round of everything that is due.

        Raises:
            StoreUnavailable: The database cannot be reached.
        """
        counts: Counter[str] = Counter()
        self._bury(counts)
        if self._beacon is not None:
            self._watch_broker(self._beacon)
        tried: set[UUID] = set()
        for _ in range(ROUNDS):
            dead = self._store.run(sweeping.held_by_the_dead(BATCH, tried))
            tried |= {hold.job_id for hold in dead}
            for hold in dead:
                self._alone(self._rescue, hold, counts)
            due = self._store.run_all(sweeping.due(self._settings, BATCH))
            for found in due:
                if found.finding is not Finding.WAIT:
                    self._alone(self._settle, found, counts)
            if len(dead) < BATCH and len(due) < BATCH:
                break
        # Nobody waits for these, so they come last.
        counts["cleaned"] = self._cleaner.clean_assets()
        counts["purged"] = self._cleaner.purge_expired()
        self._store.run(sweeping.forget_workers())
        return SweepReport(**counts)

    def rescue(self, hold: Hold) -> Job | None:
        """Decide about a job whose holder is gone; None: it is not held like that any more."""
        job = self._store.run(sweeping.rescue(hold))
        if job is None:
            return None
        logger.warning(
            "Job %s lost its worker at attempt %s: %s",
            job.id,
            hold.attempt,
            f"it is {job.status}" if job.is_terminal else "it runs again",
            extra=about(job),
        )
        if not job.is_terminal or job.followups_pending:
            self._publish(job.id)
        return job

    def _bury(self, counts: Counter[str]) -> None:
        # Workers that could not reach the database either must have time to renew first.
        if self._store.run(sweeping.see(self._settings)) < self._settings.lease:
            counts["unjudged"] = self._store.run(sweeping.silent_workers())
            return
        for hostname in self._store.run(sweeping.bury()):
            counts["buried"] += 1
            logger.warning("Worker %s fell silent and was given up.", hostname)

    def _watch_broker(self, beacon: Beacon) -> None:
        name, was_lit = self._store.run(sweeping.beacon())
        if beacon.is_lit(name) is not False:
            return
        # Whoever dies in between, the next round finds the broker dark still.
        if was_lit:
            number = self._store.run(sweeping.doubt_published())
            logger.warning("The broker was emptied: %d jobs are published again.", number)
        if beacon.light(name) and not was_lit:
            self._store.run(sweeping.beacon_lit())

    def _rescue(self, hold: Hold, counts: Counter[str]) -> None:
        job = self.rescue(hold)
        if job is not None:
            counts["failed" if job.is_terminal else "rescued"] += 1

    def _settle(self, due: Due, counts: Counter[str]) -> None:
        match due.finding:
            case Finding.PUBLISH:
                counts["published"] += self._publish(due.job_id)
            case Finding.ABANDONED:
                logger.error(
                    "The callbacks of job %s were not dispatched: no worker did in a week.",
                    due.job_id,
                )
                self._store.run(clear_followups(due.job_id))
            case Finding.UNDELIVERED:
                unknown = due.reason == ErrorCode.UNKNOWN_TASK
                code = ErrorCode.UNKNOWN_TASK if unknown else ErrorCode.NEVER_DELIVERED
                counts["failed"] += self._end(due, code)
            case Finding.DELEGATE_FAILED:
                failed = self._store.run(delegating.fail_delegated(due.job_id, due.attempt))
                counts["failed"] += failed is not None
            case finding:
                counts["failed"] += self._end(due, _REASONS[finding])

    def _end(self, due: Due, code: ErrorCode) -> bool:
        if due.worker_id is None:
            job = self._store.run_all(sweeping.end_unheld(due.job_id, due.attempt, ending(code)))
        else:
            hold = Hold(due.job_id, due.attempt, due.worker_id)
            job = self._store.run(sweeping.end_held(hold, code))
        if job is not None and job.followups_pending:
            self._publish(job.id)
        return job is not None

    def _alone(
        self, action: Callable[[T, Counter[str]], None], what: T, counts: Counter[str]
    ) -> None:
        """Deal with one job; one that cannot be judged must not keep the others from it."""
        try:
            action(what, counts)
        except Exception as error:
            if isinstance(error, StoreUnavailable) and not isinstance(error, StoreRefused):
                raise
            logger.exception("Job %s could not be swept.", what.job_id)
