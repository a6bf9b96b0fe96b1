"""What a body logs, kept with its job: collected here, and written in batches."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from threading import Lock

from jobstate.values import mend_text

MAX_LINES = 1000
"""How many records of an attempt are kept; the first ones."""

MAX_LINE = 4000
"""How much of a record is kept, in characters."""

MAX_SIZE = 256 * 1024
"""How much is kept of an attempt in all, in characters."""

BATCH = 500
"""How many records are written at once."""

PAUSE = 5.0
"""How long nothing is written after a write that failed, in seconds."""


@dataclass(frozen=True, slots=True)
class Line:
    """A record that was logged. `at` is of `time.monotonic()`."""

    at: float
    level: str
    logger: str
    message: str


class LogBook:
    """Keeps what one attempt logs; adding to it never waits, neither for the database.

    Args:
        write: Writes a batch; the lines are kept when it raises.
        interval: How long a line waits for others, in seconds.
        wake: Has lines written from another thread.
    """

    def __init__(
        self,
        write: Callable[[list[Line]], None],
        interval: float,
        wake: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._write = write
        self._interval = interval
        self._wake = wake
        self._taken = 0
        self._size = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Leave to the parent what a process that was forked has a copy of; it has no threads."""
        self._lines: deque[Line] = deque()
        self._dropped = 0
        self._awaited = False
        self._lock = Lock()

    def add(self, level: str, logger: str, message: str) -> None:
        """Remember a record, or that there were too many."""
        if self._taken >= MAX_LINES or self._size >= MAX_SIZE:
            self._dropped += 1
            return
        text = mend_text(message[:MAX_LINE])
        self._taken += 1
        self._size += len(text)
        self._lines.append(Line(time.monotonic(), level, mend_text(logger[:MAX_LINE]), text))
        self._have_it_written(self._interval)

    def close(self) -> None:
        """Write what was not written yet, and how much was too much."""
        if dropped := self._dropped:
            self._dropped = 0
            text = f"{dropped} more records were not kept: an attempt keeps {MAX_LINES}."
            self._lines.append(Line(time.monotonic(), "WARNING", "jobstate", text))
        self.flush()

    def flush(self) -> None:
        """Write every line that was not written yet."""
        with self._lock:
            while batch := list(islice(self._lines, BATCH)):
                self._write(batch)
                for _ in batch:
                    self._lines.popleft()

    def _have_it_written(self, pause: float) -> None:
        if not self._awaited:
            self._awaited = True
            try:
                self._wake(time.monotonic() + pause, self._flush_late)
            except RuntimeError:  # The interpreter ends, and starts no more threads.
                self._awaited = False

    def _flush_late(self) -> None:
        self._awaited = False
        try:
            self.flush()
        except BaseException:
            self._have_it_written(PAUSE)
            raise
