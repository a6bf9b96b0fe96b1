"""Reports are coalesced into few writes, by whichever thread, and the last value is never lost."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from jobstate.celery.flusher import flusher
from jobstate.progress import PAUSE, Progress, Report
from tests.unit.conftest import Desk


def test_the_first_report_is_written_at_once(desk: Desk) -> None:
    desk.report(10)
    assert desk.written == [Report(10)]
    assert desk.progress.close() is None


def test_the_first_write_waits_for_a_body_that_ends_soon(desk: Desk) -> None:
    desk.begin(first=0.1)
    for percent in range(100):
        desk.report(percent)
    assert desk.progress.close() == Report(99)
    desk.pass_by(1.0)
    assert desk.written == []


def test_a_body_that_goes_on_is_heard_of_after_a_moment(desk: Desk) -> None:
    desk.begin(first=0.1)
    desk.report(10)
    desk.report(20)
    desk.pass_by(0.1)
    assert desk.written == [Report(20)]
    assert desk.progress.close() is None


def test_within_the_interval_nothing_is_written_and_the_last_value_is_kept(desk: Desk) -> None:
    for percent in range(100):
        desk.report(percent)
        desk.now += 0.004
    assert desk.written == [Report(0)]
    assert desk.progress.close() == Report(99)


def test_a_report_after_the_interval_is_written_by_the_body(desk: Desk) -> None:
    """Which hears of the answer in the same call."""
    desk.report(1)
    desk.now += 0.5
    desk.report(3)
    assert desk.written == [Report(1), Report(3)]
    assert desk.alarms == []


def test_what_no_later_report_brings_is_written_when_the_interval_is_over(desk: Desk) -> None:
    desk.report(1)
    desk.report(2)
    desk.report(3)
    desk.pass_by(0.4)
    assert desk.written == [Report(1)]
    desk.pass_by(0.1)
    assert desk.written == [Report(1), Report(3)]
    desk.pass_by(60)
    assert desk.written == [Report(1), Report(3)]
    assert desk.progress.close() is None


def test_a_busy_body_leaves_the_writing_to_another_thread(desk: Desk) -> None:
    for percent in range(100):
        desk.report(percent)
        assert len(desk.alarms) <= 1
        desk.pass_by(0.125)
    assert [report.percent for report in desk.written] == [0, *range(3, 100, 4)]


def test_a_flush_writes_what_was_not_written_and_that_once(desk: Desk) -> None:
    desk.report(1)
    desk.report(2)
    desk.progress.flush()
    desk.progress.flush()
    assert desk.written == [Report(1), Report(2)]
    desk.pass_by(60)
    assert desk.written == [Report(1), Report(2)]


def test_what_was_refused_for_a_locked_row_is_written_after_an_interval(desk: Desk) -> None:
    desk.report(1)
    desk.progress.say_again()
    desk.progress.hand_in()
    desk.pass_by(0.5)
    assert desk.written == [Report(1), Report(1)]


def test_a_progress_that_was_stopped_may_go_on(desk: Desk) -> None:
    desk.progress.stop()
    desk.report(10)
    assert desk.written == []
    desk.progress.go_on()
    desk.report(20)
    assert desk.written == [Report(20)]


def test_nothing_is_written_after_the_end(desk: Desk) -> None:
    desk.report(1)
    desk.report(2)
    assert desk.progress.close() == Report(2)
    desk.pass_by(60)
    desk.report(3)
    desk.progress.flush()
    desk.pass_by(60)
    assert desk.written == [Report(1)]
    assert desk.progress.close() == Report(3), "a landing that is tried again has the latest"


def test_once_stopped_nothing_is_pending_so_that_each_call_can_be_answered(desk: Desk) -> None:
    desk.report(1)
    desk.report(2)
    desk.progress.stop()
    for percent in (3, 4):
        desk.report(percent)
        assert not desk.progress.pending


def test_the_end_waits_for_a_write_of_another_thread() -> None:
    written: list[str] = []
    begun, answered = Event(), Event()

    def write(_: Report) -> bool:
        begun.set()
        answered.wait(60)
        written.append("progress")
        return True

    slow = Progress(write, 0.5, lambda *_: None)
    slow.remember(1)
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(slow.hand_in)
        assert begun.wait(60)
        ending = pool.submit(lambda: (slow.close(), written.append("landing")))
        answered.set()
        writing.result(60)
        ending.result(60)
    assert written == ["progress", "landing"]


def test_a_write_that_a_signal_ended_does_not_keep_the_job_from_landing() -> None:
    def write(_: Report) -> bool:
        raise TimeoutError("the soft limit")

    interrupted = Progress(write, 0.5, lambda *_: None)
    interrupted.remember(1)
    with pytest.raises(TimeoutError):
        interrupted.hand_in()
    interrupted._writing.acquire()  # as if it had come between the lock and the block
    assert interrupted.close() == Report(1)


def test_a_failed_write_is_tried_again_after_a_pause(desk: Desk) -> None:
    """It may have taken as long as the database was waited for."""
    desk.works = False
    desk.report(10)
    desk.works = True
    desk.pass_by(PAUSE - 0.1)
    desk.report(11)
    assert desk.written == []
    desk.pass_by(0.1)
    assert desk.written == [Report(11)]


def test_what_could_not_be_written_is_left_to_the_landing(desk: Desk) -> None:
    desk.works = False
    desk.report(10)
    assert desk.progress.close() == Report(10)


def test_a_report_made_while_another_is_written_does_not_wait_and_is_not_lost(desk: Desk) -> None:
    def write(report: Report) -> bool:
        desk.written.append(report)
        if len(desk.written) == 1:
            desk.now += 1
            desk.report(20)
        return True

    desk.progress = Progress(write, 0.5, lambda at, call: desk.alarms.append((at, call)))
    desk.report(10)
    assert desk.written == [Report(10)]
    desk.pass_by(PAUSE)
    assert desk.written == [Report(10), Report(20)]


def test_a_report_made_while_another_thread_writes_is_written_afterwards(desk: Desk) -> None:
    begun, answered = Event(), Event()

    def write(report: Report) -> bool:
        desk.written.append(report)
        begun.set()
        return answered.wait(60)

    desk.progress = Progress(write, 0.5, lambda at, call: desk.alarms.append((at, call)))
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(desk.report, 10)
        assert begun.wait(60)
        desk.now += 1
        desk.report(20)
        desk.pass_by(PAUSE)
        answered.set()
        writing.result(60)
    desk.pass_by(0.5)
    assert desk.written == [Report(10), Report(20)]


def test_a_report_made_during_a_write_is_written_an_interval_later(desk: Desk) -> None:
    """Not after the pause that follows a write that failed."""

    def write(report: Report) -> bool:
        desk.written.append(report)
        desk.report(len(desk.written))
        return True

    desk.progress = Progress(write, 0.5, lambda at, call: desk.alarms.append((at, call)))
    desk.report(0)
    for _ in range(3):
        desk.pass_by(0.5)
    assert desk.written == [Report(0), Report(1), Report(2), Report(3)]


def test_reports_of_several_threads_do_not_swallow_each_other(desk: Desk) -> None:
    """The message's text is made while another thread reports."""

    class Meddling:
        def __str__(self) -> str:
            with ThreadPoolExecutor(1) as other:
                other.submit(desk.report, current=5).result(timeout=60)
            return "Reading"

    desk.report(total=10)
    desk.report(message=Meddling())
    assert desk.progress.close() == Report(50, 5, 10, "Reading")


def test_many_threads_may_report_at_once() -> None:
    written: list[Report] = []
    shared = Progress(lambda report: not written.append(report), 0.001, flusher.wake)

    def report(number: int) -> None:
        shared.remember(None, number, 10_000, None)
        if not shared.pending:
            shared.hand_in()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(report, range(2_000)))
    last = shared.close()
    assert len(written) > 1
    assert all(report.total == 10_000 for report in [*written, last] if report)


def test_a_million_reports_within_the_interval_are_one_write(desk: Desk) -> None:
    for n in range(1_000_000):
        desk.report(current=n, total=1_000_000)
    assert len(desk.written) == 1
    assert desk.progress.close() == Report(99, 999_999, 1_000_000)
