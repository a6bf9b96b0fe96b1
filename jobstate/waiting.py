"""When to look again: eagerly at first, then ever more patiently."""

import time
from collections.abc import Iterator
from random import random

FIRST = 0.05
SLOWEST = 1.0
GROWTH = 1.5


def looks(timeout: float) -> Iterator[float | None]:
    """Yield, before each look, the pause in seconds that follows it; None before the last look.

    There is always one look, and the last one comes when `timeout` seconds have passed.
    """
    ends_at = time.monotonic() + timeout
    pause = FIRST
    while (left := ends_at - time.monotonic()) > 0:
        yield min(pause, left)
        pause = min(pause * GROWTH, SLOWEST)
    yield None


def backoff(first: float = 0.1, slowest: float = 5.0) -> Iterator[float]:
    """Yield ever longer pauses in seconds, without an end; half of each is chance."""
    pause = first
    while True:
        yield pause * (0.5 + random() / 2)  # noqa: S311 - spreads load, keeps no secret
        pause = min(pause * 2, slowest)
