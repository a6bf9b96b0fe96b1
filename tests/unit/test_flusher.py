"""One thread of a process calls what is due, and is there only while it is needed."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from jobstate.celery import flusher as module
from jobstate.celery.flusher import Flusher
from tests.factories import eventually


@pytest.fixture
def flusher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flusher]:
    monkeypatch.setattr(module, "LINGER", 0.05)
    flusher = Flusher()
    yield flusher
    eventually(lambda: flusher._thread is None)


def in_order(flusher: Flusher, *calls: tuple[float, str]) -> list[str]:
    """Have notes taken after these seconds; return them once all are there."""
    notes: list[str] = []
    note: Callable[[str], Callable[[], None]] = lambda text: lambda: notes.append(text)  # noqa: E731
    for seconds, text in calls:
        flusher.wake(time.monotonic() + seconds, note(text))
    eventually(lambda: len(notes) == len(calls))
    return notes


def test_a_call_is_made_when_it_is_due_and_not_when_it_came(
    flusher: Flusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    notes: list[str] = []
    for at, text in ((1000.1, "later"), (1000.0, "now"), (995.0, "overdue")):
        flusher.wake(at, lambda text=text: notes.append(text))  # type: ignore[misc]
    eventually(lambda: notes == ["now", "overdue"])
    clock.now += 1
    eventually(lambda: notes == ["now", "overdue", "later"])


def test_nothing_is_called_before_its_time(flusher: Flusher) -> None:
    due = time.monotonic() + 0.1
    called: list[float] = []
    flusher.wake(due, lambda: called.append(time.monotonic()))
    eventually(lambda: called)
    assert called[0] >= due


def test_the_thread_ends_with_nothing_to_do_and_another_one_begins(flusher: Flusher) -> None:
    in_order(flusher, (0.0, "first"))
    first = flusher._thread
    eventually(lambda: flusher._thread is None)
    in_order(flusher, (0.0, "second"))
    assert first is None or not first.is_alive()


def test_no_thread_begins_before_there_is_something_to_do() -> None:
    before = set(threading.enumerate())
    Flusher()
    assert set(threading.enumerate()) <= before


def test_a_call_that_fails_costs_a_line_in_the_log(
    flusher: Flusher, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ValueError("No")

    flusher.wake(0.0, fails)
    assert in_order(flusher, (0.0, "next")) == ["next"]
    assert "could not write" in caplog.text


def test_calls_of_many_threads_are_all_made(flusher: Flusher) -> None:
    made: list[int] = []

    def wake_often(first: int) -> None:
        for number in range(first, first + 100):
            flusher.wake(0.0, lambda number=number: made.append(number))  # type: ignore[misc]

    threads = [threading.Thread(target=wake_often, args=(n * 100,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(made) == 800)
    assert sorted(made) == list(range(800))


def test_a_forked_process_has_a_thread_of_its_own(flusher: Flusher) -> None:
    """And does not do what the parent was about to."""
    written, told = os.pipe()
    flusher.wake(time.monotonic() + 0.2, lambda: os.write(told, b"parent"))
    child = os.fork()
    if child == 0:
        flusher.begin_anew()
        done = threading.Event()
        flusher.wake(0.0, done.set)
        os._exit(0 if done.wait(60) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert os.read(written, 100) == b"parent"
    os.close(written)
    os.close(told)
