"""What a body reports of its progress is kept as it was said, and worked out where it was not."""

import pytest

from jobstate import InvalidValueError
from jobstate.progress import UNKNOWN, Report
from tests.unit.conftest import Desk


def test_progress_may_go_back(desk: Desk) -> None:
    """A body that begins a part anew says so: the last value is the true one."""
    for percent in (50, 20):
        desk.report(percent)
        desk.now += 0.5
    assert [report.percent for report in desk.written] == [50, 20]


def test_the_same_value_reported_again_is_written_again(desk: Desk) -> None:
    """It says that the body is alive."""
    desk.report(message="Still waiting")
    desk.now += 1
    desk.report(message="Still waiting")
    assert desk.written == 2 * [Report(message="Still waiting")]


def test_nothing_reported_is_nothing_to_write(desk: Desk) -> None:
    desk.progress.flush()
    assert desk.written == []
    assert desk.progress.close() is None


def test_what_a_report_leaves_out_stays_as_it_was(desk: Desk) -> None:
    desk.report(current=1, total=4, message="Reading")
    desk.report(current=2)
    desk.report(message="Writing")
    assert desk.progress.close() == Report(50, 2, 4, "Writing")


def test_the_percentage_is_worked_out_from_the_amounts(desk: Desk) -> None:
    desk.report(current=29, total=100)
    assert desk.written == [Report(29, 29, 100)]


def test_a_given_percentage_wins_over_amounts_until_they_are_given_again(desk: Desk) -> None:
    desk.report(70, current=1, total=10)
    desk.report(message="Still there")
    desk.progress.flush()
    desk.report(current=8)
    desk.progress.flush()
    assert desk.written[1:] == [Report(70, 1, 10, "Still there"), Report(80, 8, 10, "Still there")]


@pytest.mark.parametrize(
    "bad",
    [{"percent": 101}, {"percent": float("nan")}, {"current": -1}, {"total": "many"}],
)
def test_a_wrong_report_changes_nothing(desk: Desk, bad: dict[str, float]) -> None:
    desk.report(10, message="Reading")
    with pytest.raises(InvalidValueError):
        desk.report(**{"message": "Writing", "current": 5, **bad})
    assert desk.written == [Report(10, message="Reading")]
    assert desk.progress.close() is None


def test_a_message_may_be_anything_and_is_mended(desk: Desk) -> None:
    desk.report(message=ValueError("a\0b"))
    assert desk.written == [Report(message="a\ufffdb")]


def test_a_total_may_be_known_no_more(desk: Desk) -> None:
    desk.report(current=5, total=10)
    loop = desk.progress.begin_loop(None, None)
    desk.report(current=6)
    assert loop
    last = desk.progress.close()
    assert last is not None
    assert (last.percent, last.current, last.total is UNKNOWN) == (0, 6, True)
