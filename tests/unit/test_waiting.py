"""When to look again."""

from itertools import islice, pairwise
from types import SimpleNamespace

import pytest

from jobstate import waiting
from jobstate.waiting import FIRST, SLOWEST, backoff, looks


class Clock:
    """A clock that moves only when somebody pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: self.now))

    def pauses(self, timeout: float) -> list[float | None]:
        """Wait for `timeout`, and return every pause."""
        taken = []
        for pause in looks(timeout):
            taken.append(pause)
            self.now += pause or 0
        return taken


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize("timeout", [0, -1, float("-inf"), float("nan")])
def test_without_time_there_is_one_look(clock: Clock, timeout: float) -> None:
    assert clock.pauses(timeout) == [None]


def test_pauses_grow_up_to_the_slowest(clock: Clock) -> None:
    *pauses, last_full, _, end = clock.pauses(60)
    assert end is None
    assert pauses[0] == FIRST
    assert all(earlier <= later <= SLOWEST for earlier, later in pairwise(pauses))
    assert last_full == SLOWEST


@pytest.mark.parametrize("timeout", [0.01, 0.2, 3, 60])
def test_the_last_look_comes_when_the_time_is_up(clock: Clock, timeout: float) -> None:
    *pauses, end = clock.pauses(timeout)
    assert end is None
    assert sum(pauses) == pytest.approx(timeout)


def test_an_endless_wait_goes_on_at_the_slowest_pace(clock: Clock) -> None:
    pauses = looks(float("inf"))
    for pause in islice(pauses, 50):
        clock.now += pause
    assert next(pauses) == SLOWEST


def test_backoff_doubles_with_chance_and_never_ends() -> None:
    pauses = list(islice(backoff(first=0.1, slowest=5.0), 100))
    limits = [min(0.1 * 2**step, 5.0) for step in range(100)]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))
    assert len(set(pauses)) > 90
