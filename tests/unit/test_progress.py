"""Progress is coalesced, and the last value is never lost."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from jobstate import InvalidValueError, progress
from jobstate.progress import PAUSE, Progress, Report


class Desk:
    """A progress whose writes and clock the test holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.written: list[Report] = []
        self.failure: Exception | None = None
        self.progress = Progress(self._write, interval=0.5)
        monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: self.now))

    def report(
        self,
        percent: float | None = None,
        current: float | None = None,
        total: float | None = None,
        message: object = None,
    ) -> None:
        """Report what is given, as a body would."""
        self.progress.report(percent, current, total, message)  # type: ignore[arg-type]

    def _write(self, report: Report) -> None:
        if self.failure:
            raise self.failure
        self.written.append(report)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_the_first_report_is_written_at_once(desk: Desk) -> None:
    desk.report(10)
    assert desk.written == [Report(10)]
    assert desk.progress.unwritten is None


def test_within_the_interval_nothing_is_written_and_the_last_value_is_kept(desk: Desk) -> None:
    for percent in range(100):
        desk.report(percent)
        desk.now += 0.004
    assert desk.written == [Report(0)]
    assert desk.progress.unwritten == Report(99)


def test_after_the_interval_the_latest_report_is_written(desk: Desk) -> None:
    desk.report(1)
    desk.report(2)
    desk.now += 0.5
    desk.report(3)
    assert desk.written == [Report(1), Report(3)]


def test_a_flush_writes_what_was_not_written_and_that_once(desk: Desk) -> None:
    desk.report(1)
    desk.report(2)
    desk.progress.flush()
    desk.progress.flush()
    assert desk.written == [Report(1), Report(2)]


def test_nothing_reported_is_nothing_to_write(desk: Desk) -> None:
    desk.progress.flush()
    assert desk.written == []
    assert desk.progress.unwritten is None


def test_what_a_report_leaves_out_stays_as_it_was(desk: Desk) -> None:
    desk.report(current=1, total=4, message="Reading")
    desk.report(current=2)
    desk.report(message="Writing")
    assert desk.progress.unwritten == Report(50, 2, 4, "Writing")


def test_the_percentage_is_worked_out_from_the_amounts(desk: Desk) -> None:
    desk.report(current=29, total=100)
    assert desk.written == [Report(29, 29, 100)]


def test_a_given_percentage_wins_over_amounts_until_they_are_given_again(desk: Desk) -> None:
    desk.report(70, current=1, total=10)
    desk.report(message="Still there")
    assert desk.progress.unwritten == Report(70, 1, 10, "Still there")
    desk.report(current=8)
    assert desk.progress.unwritten == Report(80, 8, 10, "Still there")


@pytest.mark.parametrize(
    "bad",
    [{"percent": 101}, {"percent": float("nan")}, {"current": -1}, {"total": "many"}],
)
def test_a_wrong_report_changes_nothing(desk: Desk, bad: dict[str, float]) -> None:
    desk.report(10, message="Reading")
    with pytest.raises(InvalidValueError):
        desk.report(**{"message": "Writing", "current": 5, **bad})
    assert desk.written == [Report(10, message="Reading")]
    assert desk.progress.unwritten is None


def test_a_message_may_be_anything_and_is_mended(desk: Desk) -> None:
    desk.report(message=ValueError("a\0b"))
    assert desk.written == [Report(message="a\ufffdb")]


def test_a_failed_write_leaves_the_call_and_is_tried_again_after_a_pause(desk: Desk) -> None:
    """It may have taken as long as the database was waited for."""
    desk.failure = OSError("down")
    with pytest.raises(OSError, match="down"):
        desk.report(10)
    assert desk.progress.unwritten == Report(10)
    desk.report(11)
    assert desk.written == []
    desk.failure = None
    desk.now += PAUSE - 0.1
    desk.report(12)
    assert desk.written == []
    desk.now += 0.1
    desk.report(13)
    assert desk.written == [Report(13)]


def test_a_report_made_while_another_is_written_does_not_wait_and_is_not_lost(desk: Desk) -> None:
    def write(report: Report) -> None:
        desk.written.append(report)
        if len(desk.written) == 1:
            desk.now += 1
            desk.report(20)

    slow = Progress(write, interval=0.5)
    desk.progress = slow
    desk.report(10)
    assert desk.written == [Report(10)]
    assert slow.unwritten == Report(20)
    slow.flush()
    assert desk.written == [Report(10), Report(20)]


def test_reports_of_several_threads_do_not_swallow_each_other(desk: Desk) -> None:
    """The message's text is made while another thread reports."""

    class Meddling:
        def __str__(self) -> str:
            with ThreadPoolExecutor(1) as other:
                other.submit(desk.report, current=5).result(timeout=10)
            return "Reading"

    desk.report(total=10)
    desk.report(message=Meddling())
    assert desk.progress.unwritten == Report(50, 5, 10, "Reading")


def test_many_threads_may_report_at_once() -> None:
    written: list[Report] = []
    shared = Progress(written.append, interval=0.001)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: shared.report(None, n, 10_000, None), range(2_000)))
    shared.flush()
    assert shared.unwritten is None
    assert len(written) > 1
    assert all(report.total == 10_000 for report in written)


def test_ten_thousand_reports_within_the_interval_are_one_write(desk: Desk) -> None:
    for n in range(10_000):
        desk.report(current=n, total=10_000)
    assert len(desk.written) == 1
    assert desk.progress.unwritten == Report(99, 9_999, 10_000)
