"""A tracked loop counts what is done, and is otherwise the loop that it wraps."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from jobstate import InvalidValueError, JobCancelled
from jobstate.celery.track import Track
from jobstate.progress import Progress, Report


class Loops:
    """Loops of one body; every report is written at once."""

    def __init__(self) -> None:
        self.written: list[Report] = []
        self.cancelled = False
        self.progress = Progress(self._write, 0.0, lambda *_: None)

    def track(self, iterable: Any, total: Any = None, message: str | None = None) -> Track[Any]:
        """Track a loop, as a body would."""
        return Track(self.progress, self._report, iterable, total, message)

    @property
    def counted(self) -> list[tuple[float | None, float | None]]:
        """What was reported as done, of how much."""
        return [(report.current, report.total) for report in self.written]

    @property
    def last(self) -> Report:
        """The last report."""
        return self.written[-1]

    def _report(self) -> None:
        self.progress.hand_in()
        if self.cancelled:
            raise JobCancelled(None)  # type: ignore[arg-type]  # which job does not matter here

    def _write(self, report: Report) -> bool:
        self.written.append(report)
        return True


@pytest.fixture
def loops() -> Loops:
    return Loops()


async def letters(text: str) -> AsyncIterator[str]:
    for letter in text:
        yield letter


def test_an_item_is_done_when_the_next_one_is_asked_for(loops: Loops) -> None:
    tracked = loops.track("abc", message="Reading")
    seen = [(letter, loops.last.current) for letter in tracked]
    assert seen == [("a", 0), ("b", 1), ("c", 2)]
    assert loops.counted == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert loops.last == Report(100, 3, 3, "Reading")


async def test_an_async_loop_is_tracked_too(loops: Loops) -> None:
    assert [letter async for letter in loops.track(letters("abc"), total=3)] == ["a", "b", "c"]
    assert loops.counted == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_an_iterator_has_no_total(loops: Loops) -> None:
    assert list(loops.track(iter("ab"))) == ["a", "b"]
    assert loops.last.percent == 0
    assert loops.last.current == 2


def test_it_has_the_length_and_the_truth_of_what_it_wraps(loops: Loops) -> None:
    assert len(loops.track("abc")) == 3
    assert len(loops.track(iter("abc"), total=3)) == 3
    assert not loops.track([])
    assert loops.track(iter(""))
    with pytest.raises(TypeError):
        len(loops.track(iter("abc")))


def test_something_without_a_length_just_now_has_no_total(loops: Loops) -> None:
    class Stream:
        def __len__(self) -> int:
            raise TypeError("not yet read")

        def __iter__(self) -> Iterator[int]:
            return iter((1, 2))

    assert list(loops.track(Stream())) == [1, 2]


@pytest.mark.parametrize("wrong", [-1, float("nan"), "many", True])
def test_a_wrong_total_is_refused_before_the_loop(loops: Loops, wrong: object) -> None:
    with pytest.raises(InvalidValueError, match="total"):
        loops.track("abc", total=wrong)
    assert loops.written == []


def test_an_infinite_total_is_none(loops: Loops) -> None:
    assert list(loops.track("ab", total=float("inf"))) == ["a", "b"]
    assert loops.last.percent == 0


def test_more_items_than_were_announced_stay_at_a_hundred_percent(loops: Loops) -> None:
    list(loops.track("abc", total=2))
    assert loops.last == Report(100, 3, 2)


def test_the_total_may_change_on_the_way(loops: Loops) -> None:
    tracked = loops.track("abcd", total=2)
    for letter in tracked:
        if letter == "b":
            tracked.total = 8
    assert loops.counted[-3:] == [(2, 8), (3, 8), (4, 8)]
    assert len(tracked) == 8


def test_of_nested_loops_the_outermost_counts(loops: Loops) -> None:
    for _ in loops.track("ab", message="Files"):
        for _ in loops.track(range(100)):
            assert loops.last.total == 2
    assert loops.last == Report(100, 2, 2, "Files")


def test_a_nested_loop_shows_its_message(loops: Loops) -> None:
    for name in loops.track("ab", message="Files"):
        for _ in loops.track("x", message=f"Reading {name}"):
            pass
    assert loops.last == Report(100, 2, 2, "Reading b")


def test_a_long_nested_loop_still_reports_that_the_body_lives(loops: Loops) -> None:
    for _ in loops.track("a"):
        before = len(loops.written)
        list(loops.track(range(10)))
        assert len(loops.written) == before + 11


def test_one_loop_after_another_counts_anew(loops: Loops) -> None:
    list(loops.track("abc"))
    list(loops.track("ab"))
    assert loops.counted[-3:] == [(0, 2), (1, 2), (2, 2)]
    assert loops.written[-3].percent == 0


def test_a_loop_that_is_left_early_keeps_its_number_and_counts_no_more(loops: Loops) -> None:
    tracked = loops.track("abc")
    for letter in tracked:
        if letter == "b":
            break
    assert loops.last.current == 1
    list(loops.track("xy"))
    assert loops.last == Report(100, 2, 2)


async def test_an_async_loop_that_is_left_early_counts_no_more(loops: Loops) -> None:
    tracked = loops.track(letters("abc"), total=3)
    async for _ in tracked:
        break
    list(loops.track("xy"))
    assert loops.last == Report(100, 2, 2)


def test_an_exception_of_the_iterable_leaves_the_loop(loops: Loops) -> None:
    def fails() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(loops.track(fails()))
    assert loops.last.current == 1
    list(loops.track("xy"))
    assert loops.last.total == 2


def test_a_generator_is_closed_with_its_loop(loops: Loops) -> None:
    closed = []

    def opens() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    for _ in loops.track(opens()):
        break
    assert closed == [True]


def test_a_cancellation_is_raised_in_the_loop(loops: Loops) -> None:
    done = []
    with pytest.raises(JobCancelled):  # noqa: PT012 - which item it is raised after is the point
        for letter in loops.track("abc"):
            done.append(letter)
            loops.cancelled = True
    assert done == ["a"]
