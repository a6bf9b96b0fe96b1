"""What happens in this process, counted since its start, for whoever shows its metrics.

To count takes no lock, so it may be done anywhere: by a signal handler, by the collector of
garbage, or beside a thread that forks.
"""

import os
from itertools import count
from threading import Lock


class Tally:
    """A number that only grows; in a process that was forked, it begins at 0 again."""

    def __init__(self) -> None:
        self.begin_anew()
        _all.append(self)

    def begin_anew(self) -> None:
        """Forget what the parent has counted, and a lock that one of its threads held."""
        self._ticks = count()
        self._reads = 0
        self._lock = Lock()

    def add(self, times: int = 1) -> None:
        """Count something, or as many as there are."""
        for _ in range(times):
            next(self._ticks)  # One step of the interpreter, which nothing interrupts.

    def read(self) -> int:
        """Return how many there were. The iterator tells by a further tick, which is left out."""
        with self._lock:
            total = next(self._ticks) - self._reads
            self._reads += 1
        return total


class Counter:
    """A metric of this process, with a tally for each value that its label has.

    Args:
        name: What it is called, without its prefix and its suffix.
        text: What it counts.
        label: What its label is called, if it has one.
        values: All that the label can be.
    """

    def __init__(
        self, name: str, text: str, label: str | None = None, values: tuple[str, ...] = ("",)
    ) -> None:
        self.name = name
        self.text = text
        self.label = label
        self._tallies = {value: Tally() for value in values}

    def add(self, value: str = "", times: int = 1) -> None:
        """Count something, with a value of the label."""
        self._tallies[value].add(times)

    def read(self) -> dict[str, int]:
        """Return how many there were, by the label's value."""
        return {value: tally.read() for value, tally in self._tallies.items()}


_all: list[Tally] = []

PUBLICATIONS = Counter(
    "publications",
    "Messages that this process was to publish.",
    "outcome",
    ("published", "failed", "not_tried", "refused"),
)
DATABASE_ERRORS = Counter(
    "database_errors",
    "Statements of this process that the database has not done.",
    "kind",
    ("unavailable", "unanswered", "locked", "rolled_back", "refused"),
)
STALE_WRITES = Counter(
    "stale_writes", "Writes of this process that were refused: their job was no longer theirs."
)
DUPLICATE_DELIVERIES = Counter(
    "duplicate_deliveries", "Messages that this process dropped because their job had been taken."
)
VIEWER_QUERIES = Counter(
    "viewer_queries",
    "How often this process asked the database for all of its viewers.",
    "outcome",
    ("answered", "failed"),
)
COUNTERS = (PUBLICATIONS, DATABASE_ERRORS, STALE_WRITES, DUPLICATE_DELIVERIES, VIEWER_QUERIES)

VIEWERS_CAME, VIEWERS_LEFT = Tally(), Tally()
"""The difference is how many there are."""


def _begin_anew() -> None:
    for tally in _all:
        tally.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
