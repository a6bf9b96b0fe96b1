"""What must be true of each job: a plain model that is told of every call and its answer.

It knows nothing of SQL. Times are spans of the test's clock: a call happened somewhere in its span.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self
from uuid import UUID

from jobstate.attempts import Hold, Landing, Policy
from jobstate.states import VALID_TRANSITIONS, ErrorCode, JobStatus, is_terminal_state

GRACE = 10.0
"""How long a held job may take to notice that it was cancelled."""


class Span(NamedTuple):
    """When something happened: not before `earliest`, not after `latest`."""

    earliest: float
    latest: float

    def later(self, seconds: float) -> Self:
        """Return the span so many seconds later."""
        return self._replace(earliest=self.earliest + seconds, latest=self.latest + seconds)

    def may_be_over(self, now: Self) -> bool:
        """Tell whether the moment may have come by then."""
        return self.earliest <= now.latest

    def is_over(self, now: Self) -> bool:
        """Tell whether the moment has come before then for sure."""
        return self.latest < now.earliest


@dataclass
class Entry:
    """All that must be true of one job."""

    job_id: UUID
    policy: Policy
    follow: bool
    """Whether something follows its end, good or bad."""
    deadline: Span | None = None
    expires: Span | None = None

    history: list[JobStatus] = field(default_factory=lambda: [JobStatus.QUEUED])
    attempt: int = 0
    holder: Hold | None = None
    rescues: int = 0
    progress: int = 0
    error_code: str | None = None
    result: object = None
    cancelled: Span | None = None
    pending: bool = False
    items: dict[str, tuple[int, str]] = field(default_factory=dict)
    assets: list[tuple[int, str]] = field(default_factory=list)

    driven: bool = False
    runs: int = 0
    """How many bodies have begun..."""
    asked_for: int = 1
    """... and how many were asked for: by the caller, and by the body itself."""
    has_run: bool = False
    """Whether a body has run to its end, or there was a reason why not."""
    reported: Span | None = None
    doomed: set[str] = field(default_factory=set)
    """What a sweeper may have found since this attempt began or ended."""

    @property
    def status(self) -> JobStatus:
        """Where the job is."""
        return self.history[-1]

    @property
    def has_landed(self) -> bool:
        """Whether it is where it will stay."""
        return is_terminal_state(self.status)

    def holds(self, hold: Hold) -> bool:
        """Tell whether this attempt has the right to write."""
        return self.holder == hold

    def is_free_for(self, ticket: int) -> bool:
        """Tell whether a delivery with this ticket may take the job."""
        return not self.has_landed and self.holder is None and self.attempt == ticket

    def taken(self, hold: Hold, at: Span) -> None:
        """Note a new attempt; the body that it runs must have been asked for."""
        self.attempt += 1
        assert hold == Hold(self.job_id, self.attempt, hold.worker_id)
        self.runs += 1
        assert self.policy.idempotent or self.runs <= self.asked_for, "its body runs again"
        self._become(JobStatus.PROCESSING)
        self.holder, self.progress, self.error_code = hold, 0, None
        self.reported = at
        self.doomed.clear()

    def landed(self, landing: Landing, result: object) -> None:
        """Note that the attempt which holds the job has landed it."""
        self._ended(landing.status, landing.error_code, pending=self.follow)
        self.result = result

    def released(self) -> None:
        """Note that the attempt asked for another run of its job."""
        self.asked_for += 1
        self._let_go()

    def rescued(self) -> None:
        """Note that the holder was given up: the policy says what follows."""
        if self.policy.idempotent and self.rescues < self.policy.max_rescues:
            self.rescues += 1
            self._let_go()
            return
        code = ErrorCode.RESCUES_EXHAUSTED if self.policy.idempotent else ErrorCode.WORKER_LOST
        self._ended(self._interrupted, code, pending=self.follow)

    def ended(self, code: str) -> None:
        """Note that the job was ended from outside; one that never started is started for that."""
        interrupted = self.holder is not None and code != ErrorCode.CANCELLED
        status = self._interrupted if interrupted else JobStatus.FAILED
        if self.status is JobStatus.QUEUED:
            self.attempt += 1
            self._become(JobStatus.PROCESSING)
        self._ended(status, code, pending=self.follow and not self.driven)

    @property
    def _interrupted(self) -> JobStatus:
        """How the job lands when its attempt is interrupted."""
        kept = self.policy.keep_partial and (
            any(
                (attempt, status) == (self.attempt, "succeeded")
                for attempt, status in self.items.values()
            )
            or any(attempt == self.attempt for attempt, _ in self.assets)
        )
        return JobStatus.PARTIAL if kept else JobStatus.FAILED

    def moved(self, target: JobStatus, code: str | None) -> None:
        """Note that an operator, or whoever drives the job, has moved it."""
        assert target in VALID_TRANSITIONS[self.status]
        if target is JobStatus.PROCESSING:
            self.attempt += 1
            self.driven = True
            self.error_code = None
            self._become(target)
        else:
            self._ended(target, code, pending=False)

    def doom(self, now: Span, publishes: int) -> None:
        """Remember for which reasons a sweeper that looks now may fail the job."""
        if self.has_landed:
            return
        held = self.holder is not None
        silent = self.reported and self.reported.later(self.policy.no_progress or 1e9)
        reasons: Mapping[ErrorCode, bool] = {
            ErrorCode.CANCELLED: _over(self.cancelled and self.cancelled.later(GRACE * held), now),
            ErrorCode.DEADLINE: _over(self.deadline, now),
            ErrorCode.NO_PROGRESS: held and _over(silent, now),
            ErrorCode.EXPIRED: not held and _over(self.expires, now),
        }
        self.doomed |= {code.value for code, holds in reasons.items() if holds}
        if not held and publishes >= 10:
            self.doomed.add(self.error_code or ErrorCode.NEVER_DELIVERED.value)

    def explain(self, row: Mapping[str, Any], given_up: set[UUID]) -> None:
        """Take over what a sweeper did, if there was a reason; else the row will not fit."""
        if (row["status"], row["worker_id"]) != (self.status, self.worker_id):
            if self.holder and self.holder.worker_id in given_up and not self._was_ended(row):
                self.rescued()
            elif self._was_ended(row):
                self.ended(row["error_code"])
        if row["publishes"] >= 10 and self.has_landed and not row["pending"]:
            self.pending = False  # given up after ten tries

    def expected(self) -> dict[str, Any]:
        """Return what the tables must say."""
        return {
            "status": self.status,
            "history": self.history,
            "has_landed": self.has_landed,
            "attempt": self.attempt,
            "worker_id": self.worker_id,
            "rescues": self.rescues,
            "progress": self.progress,
            "error_code": self.error_code,
            "result": self.result,
            "cancelled": self.cancelled is not None,
            "pending": self.pending,
            "items": sorted([key, *found] for key, found in self.items.items()),
            "assets": sorted(map(list, self.assets)),
        }

    @property
    def worker_id(self) -> UUID | None:
        """The worker that holds the job."""
        return self.holder and self.holder.worker_id

    def _was_ended(self, row: Mapping[str, Any]) -> bool:
        ends = (JobStatus.FAILED, JobStatus.PARTIAL)
        return row["status"] in ends and row["error_code"] in self.doomed

    def _ended(self, status: JobStatus, code: str | None, *, pending: bool) -> None:
        self._let_go()
        self._become(status)
        self.error_code, self.pending = code, pending
        self.has_run = code != ErrorCode.WORKER_LOST
        if status is not JobStatus.FAILED:
            self.progress = 100

    def _let_go(self) -> None:
        self.holder = None
        self.doomed.clear()

    def _become(self, status: JobStatus) -> None:
        if self.status is not status:
            assert status in VALID_TRANSITIONS[self.status], "it has landed already"
            self.history.append(status)


def _over(moment: Span | None, now: Span) -> bool:
    return moment is not None and moment.may_be_over(now)
