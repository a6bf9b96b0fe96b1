"""What a body logs is kept up to a limit, and written by another thread in batches."""

from collections.abc import Callable

import pytest

from jobstate.logs import BATCH, MAX_LINE, MAX_LINES, MAX_SIZE, LogBook


class Shelf:
    """A log book whose writes and other thread the test holds."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.alarms: list[Callable[[], None]] = []
        self.failure: Exception | None = None
        self.book = LogBook(self._write, 0.5, lambda _, call: self.alarms.append(call))

    def log(self, message: str) -> None:
        """Log something, as a body would."""
        self.book.add("INFO", "shop", message)

    def _write(self, batch: list[object]) -> None:
        if self.failure:
            raise self.failure
        self.batches.append([line.message for line in batch])  # type: ignore[attr-defined]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_logging_never_writes_itself(shelf: Shelf) -> None:
    for number in range(MAX_LINES):
        shelf.log(str(number))
    assert shelf.batches == []
    (call,) = shelf.alarms
    call()
    assert [len(batch) for batch in shelf.batches] == [BATCH, MAX_LINES - BATCH]
    assert shelf.batches[0][:2] == ["0", "1"]


def test_what_is_logged_later_is_written_later(shelf: Shelf) -> None:
    shelf.log("a")
    shelf.alarms.pop()()
    shelf.log("b")
    shelf.alarms.pop()()
    assert shelf.batches == [["a"], ["b"]]


def test_the_end_writes_what_was_not_written(shelf: Shelf) -> None:
    shelf.log("a")
    shelf.book.close()
    shelf.book.close()
    assert shelf.batches == [["a"]]


def test_a_forked_process_leaves_to_its_parent_what_that_has_not_written(shelf: Shelf) -> None:
    for number in range(MAX_LINES + 1):
        shelf.log(str(number))
    shelf.book.begin_anew()
    shelf.book.close()
    assert shelf.batches == []


def test_a_forked_process_writes_what_it_logs_itself(shelf: Shelf) -> None:
    shelf.log("a")
    shelf.book.begin_anew()
    shelf.log("b")
    shelf.alarms.pop()()
    assert shelf.batches == [["b"]]


def test_too_many_records_are_counted_and_not_kept(shelf: Shelf) -> None:
    for _ in range(MAX_LINES + 7):
        shelf.log("x")
    shelf.book.close()
    lines = [line for batch in shelf.batches for line in batch]
    assert len(lines) == MAX_LINES + 1
    assert lines[-1].startswith("7 more records were not kept")


def test_a_long_record_is_cut_and_mended(shelf: Shelf) -> None:
    shelf.log("a\0" + MAX_LINE * "x")
    shelf.book.close()
    ((line,),) = shelf.batches
    assert line == "a\ufffd" + (MAX_LINE - 2) * "x"


def test_there_is_a_limit_of_size_for_all_records(shelf: Shelf) -> None:
    for _ in range(MAX_LINES):
        shelf.log(MAX_LINE * "x")
    shelf.book.close()
    kept = sum(len(line) for batch in shelf.batches for line in batch)
    assert MAX_SIZE <= kept <= MAX_SIZE + 2 * MAX_LINE


def test_a_failed_write_keeps_the_lines_and_is_tried_again(shelf: Shelf) -> None:
    shelf.log("a")
    shelf.failure = OSError("down")
    with pytest.raises(OSError, match="down"):
        shelf.alarms.pop()()
    shelf.failure = None
    shelf.log("b")
    (call,) = shelf.alarms
    call()
    assert shelf.batches == [["a", "b"]]
