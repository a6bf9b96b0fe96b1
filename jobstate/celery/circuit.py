"""A circuit breaker: a broker that has just failed is left alone for a while."""

import os
import time
from collections.abc import Callable
from threading import Lock
from weakref import WeakSet

FIRST = 1.0
LONGEST = 30.0


class Circuit:
    """Closed until a failure; then open for a pause that doubles with each further one.

    When the pause is over, one caller tries; the others do without until it has worked. Safe across
    threads and forks.

    Args:
        clock: What tells the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = FIRST
        self._next_try_at: float | None = None
        self._is_tried = False
        self.begin_anew()
        _all.add(self)

    def begin_anew(self) -> None:
        """Let go of a lock that a thread of the parent held when this process was forked."""
        self._lock = Lock()

    @property
    def is_open(self) -> bool:
        """Whether it has failed, and has not worked since."""
        return self._next_try_at is not None

    def admits(self) -> bool:
        """Tell whether to try; where it is open, this is the one that tries."""
        if self._next_try_at is None:
            return True
        with self._lock:
            now = self._clock()
            if self._next_try_at is None or now < self._next_try_at:
                return self._next_try_at is None
            # One that is never heard of again must not be the last.
            self._next_try_at = now + self._pause
            self._is_tried = True
            return True

    def failed(self) -> None:
        """Open it; of many that fail at the same time, the first alone counts."""
        with self._lock:
            if self._next_try_at is None:
                self._pause = FIRST
            elif self._is_tried:
                self._pause = min(self._pause * 2, LONGEST)
            else:
                return
            self._is_tried = False
            self._next_try_at = self._clock() + self._pause

    def learnt_nothing(self) -> None:
        """Let the next one try at once: what went wrong says nothing of the broker."""
        with self._lock:
            if self._is_tried:
                self._is_tried = False
                self._next_try_at = self._clock()

    def worked(self) -> None:
        """Close it."""
        if self._next_try_at is not None:
            with self._lock:
                self._next_try_at = None


_all: WeakSet[Circuit] = WeakSet()


def _begin_anew() -> None:
    for circuit in list(_all):
        circuit.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
