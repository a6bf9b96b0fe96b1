"""A circuit breaker: a broker that has just failed is left alone for a while."""

import time

FIRST = 1.0
LONGEST = 30.0


class Circuit:
    """Closed until a failure; then open for a pause that doubles with each further one."""

    def __init__(self) -> None:
        self._pause = FIRST
        self._closes_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether to do without."""
        return time.monotonic() < self._closes_at

    def failed(self) -> None:
        """Open it."""
        self._closes_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST)

    def worked(self) -> None:
        """Close it."""
        self._pause, self._closes_at = FIRST, 0.0
