"""Figures about everybody's jobs, at a price that does not grow with how many there ever were.

What happened is counted from the history, event by event, each read once; what is there now is
counted among the live jobs, which have an index of their own.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from jobstate.states import JobStatus
from jobstate.store import Operation, Row

MOST_LIVE = 100_000
"""Up to how many live jobs are counted; more are as bad."""

MOST_MISSING = 2_000
"""How many events are waited for at most that others have overtaken."""

LATEST = 3600.0
"""How long they are waited for, in seconds: whoever takes longer was rolled back."""

MOST_LABELS = 100
"""How many values of a label have series of their own; the rest shares one."""

OTHER = "other"


class Cursor:
    """Where the history was read to. None of its events is counted twice, or left out.

    Ids are given before the commit: one that is missing may be of a transaction that still runs.
    """

    def __init__(self, last: int) -> None:
        self.last = last
        self._missing: dict[int, float] = {}

    def missing(self) -> list[int]:
        """Return the ids to look for again, and give up those that are missing for too long."""
        oldest = time.monotonic() - LATEST
        late = {number: since for number, since in self._missing.items() if since > oldest}
        self._missing = dict(list(late.items())[-MOST_MISSING:])
        return list(self._missing)

    def go_back(self, last: int) -> None:
        """Begin again where the history ends now, if that is earlier: a backup was restored."""
        if last < self.last:
            self.last = last
            # Those after it are found by their order again, and must not be found twice.
            self._missing = {number: at for number, at in self._missing.items() if number <= last}

    def take(self, found: Iterable["Happened"]) -> Iterator["Happened"]:
        """Yield what was found, and remember what was not."""
        now = time.monotonic()
        for happened in found:
            if happened.id > self.last:
                first = max(self.last + 1, happened.id - MOST_MISSING)
                self._missing |= dict.fromkeys(range(first, happened.id), now)
                self.last = happened.id
            else:
                self._missing.pop(happened.id, None)
            yield happened


class Labels:
    """The values of a label; there are never too many."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def of(self, value: str) -> str:
        """Return the value, or one for all others where there are too many."""
        if value in self._known or len(self._known) < MOST_LABELS:
            self._known.add(value)
            return value
        return OTHER


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a job's history, with what it measures."""

    id: int
    job_type: str
    event: str
    to_status: JobStatus | None
    error_code: str | None
    seconds: float | None
    """How long the job waited for its first take, or took from that to its landing."""

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build it from a row whose columns come in the order of the fields."""
        columns = list(row)
        columns[3] = columns[3] and JobStatus(columns[3])
        return cls(*columns)


@dataclass(frozen=True, slots=True)
class Live:
    """How many jobs of a type are in a live status."""

    job_type: str
    status: JobStatus
    count: int
    oldest: float | None
    """How long the oldest queued one has waited, in seconds; negative before it is due."""


@dataclass(frozen=True, slots=True)
class Keepers:
    """Who looks after the jobs."""

    workers: int
    """Workers whose lease is alive."""
    swept: float | None
    """How long ago somebody swept, in seconds; None: nobody ever has."""


def last_event() -> Operation[int]:
    """Read where the history ends."""
    return Operation("last_event", {}, lambda rows: int(rows[0][0]))


def events_after(after: int, missing: Sequence[int], limit: int) -> Operation[list[Happened]]:
    """Read what happened since an event; and which of the missing events are there by now."""
    params = {"after": after, "missing": list(missing), "limit": limit}
    return Operation("events_after", params, lambda rows: [Happened.from_row(row) for row in rows])


def live_jobs() -> Operation[list[Live]]:
    """Count the jobs that have not landed."""

    def read(rows: list[Row]) -> list[Live]:
        return [Live(name, JobStatus(status), *rest) for name, status, *rest in rows]

    return Operation("live_jobs", {"limit": MOST_LIVE}, read)


def keepers() -> Operation[Keepers]:
    """Ask who looks after the jobs."""
    return Operation("keepers", {}, lambda rows: Keepers(*rows[0]))
