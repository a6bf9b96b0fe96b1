"""The item ledger collects outcomes and writes them in batches."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, StrEnum
from types import SimpleNamespace
from uuid import uuid4

import pytest

from jobstate import InvalidValueError, ItemStatus, JobCancelled, JobFailed, LeaseLost, items
from jobstate.items import BATCH, MAX_KEY, PAUSE, ItemCounts, ItemKeys, ItemLedger, Outcome

SUCCEEDED = Outcome(ItemStatus.SUCCEEDED)


class Stop(Exception):  # noqa: N818 - an exception that ends a body and is no failure
    """Passes through items, as Celery's Retry does."""


class Book:
    """A ledger whose writes and clock the test holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.batches: list[dict[str, Outcome]] = []
        self.failure: BaseException | None = None
        monkeypatch.setattr(items, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.alarms: list[tuple[float, Callable[[], None]]] = []
        self.ledger = ItemLedger(self._write, 0.5, (Stop,), self._wake)

    def item(
        self,
        key: object,
        error: BaseException | None = None,
        label: object = None,
    ) -> None:
        """Run the block of an item, to its end or into an error."""
        with self.ledger.item(key, label):  # type: ignore[arg-type]
            if error:
                raise error

    def _wake(self, at: float, call: Callable[[], None]) -> None:
        self.alarms.append((at, call))

    def _write(self, batch: dict[str, Outcome]) -> None:
        if self.failure:
            raise self.failure
        self.batches.append(dict(batch))


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    return Book(monkeypatch)


def test_a_block_that_ends_is_an_item_that_succeeded(book: Book) -> None:
    book.item("a", label="The first")
    book.ledger.flush()
    assert book.batches == [{"a": Outcome(ItemStatus.SUCCEEDED, "The first")}]


def test_an_exception_is_the_items_failure_and_is_swallowed(book: Book) -> None:
    book.item("a", ValueError("No such row"), label="The first")
    book.item("b", KeyError())
    book.ledger.flush()
    assert book.batches == [
        {
            "a": Outcome(ItemStatus.FAILED, "The first", "No such row"),
            "b": Outcome(ItemStatus.FAILED, None, "KeyError"),
        }
    ]


def test_a_skipped_item_has_its_reason(book: Book) -> None:
    book.ledger.skip("a", "Seen before")
    book.ledger.skip("b", ValueError("of any type"))  # type: ignore[arg-type]
    book.ledger.flush()
    assert book.batches == [
        {
            "a": Outcome(ItemStatus.SKIPPED, None, "Seen before"),
            "b": Outcome(ItemStatus.SKIPPED, None, "of any type"),
        }
    ]


@pytest.mark.parametrize(
    "error",
    [
        JobCancelled(uuid4()),
        LeaseLost(uuid4(), 1),
        JobFailed("No credit"),
        Stop(),
        KeyboardInterrupt(),
        SystemExit(1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_ends_the_job_is_no_failure_of_an_item(book: Book, error: BaseException) -> None:
    with pytest.raises(type(error)):
        book.item("a", error)
    book.ledger.flush()
    assert book.batches == []
    assert book.ledger.counts == ItemCounts()


def test_nothing_is_written_before_the_interval_has_passed(book: Book) -> None:
    for n in range(BATCH - 1):
        book.item(n)
    assert book.batches == []
    book.now += 0.5
    book.item("last")
    assert [len(batch) for batch in book.batches] == [BATCH]


def test_a_full_batch_is_written_at_once(book: Book) -> None:
    for n in range(2 * BATCH + 1):
        book.item(n)
    assert [len(batch) for batch in book.batches] == [BATCH, BATCH]
    book.ledger.flush()
    assert [len(batch) for batch in book.batches] == [BATCH, BATCH, 1]


def test_a_flush_writes_nothing_twice(book: Book) -> None:
    book.item("a")
    book.ledger.flush()
    book.ledger.flush()
    assert len(book.batches) == 1


@pytest.mark.parametrize("failure", [OSError("down"), KeyboardInterrupt()])
def test_a_failed_write_keeps_the_batch(book: Book, failure: BaseException) -> None:
    book.item("a")
    book.failure = failure
    with pytest.raises(type(failure)):
        book.ledger.flush()
    book.failure = None
    book.item("b")
    book.ledger.flush()
    assert [set(batch) for batch in book.batches] == [{"a", "b"}]


def test_after_a_failed_write_the_newer_outcome_of_a_key_wins(book: Book) -> None:
    book.item("a", ValueError("No"))
    book.failure = OSError("down")
    with pytest.raises(OSError, match="down"):
        book.ledger.flush()
    book.failure = None
    book.item("a")
    book.ledger.flush()
    assert book.batches == [{"a": SUCCEEDED}]


def test_counts_are_true_before_anything_is_written(book: Book) -> None:
    book.item("a")
    book.item("b", ValueError("No"))
    book.ledger.skip("c", "Seen before")
    counts = book.ledger.counts
    assert counts == ItemCounts(succeeded=1, failed=1, skipped=1)
    assert counts.total == 3


def test_the_last_outcome_of_a_key_is_the_one_that_counts(book: Book) -> None:
    book.item("a", ValueError("No"))
    book.ledger.flush()
    book.item("a")
    book.item("a")
    assert book.ledger.counts == ItemCounts(succeeded=1)
    book.ledger.flush()
    assert book.batches[-1] == {"a": SUCCEEDED}


class Colour(StrEnum):
    """Text with a name."""

    RED = "red"


class Shade(str, Enum):  # noqa: UP042 - the kind whose str() is not its value
    """Text whose str() is its name."""

    DARK = "dark"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ("ü" * MAX_KEY, "ü" * MAX_KEY),
        ("", ""),
        (Colour.RED, "red"),
        (Shade.DARK, "dark"),
    ],
)
def test_a_key_is_kept_as_plain_text(book: Book, key: object, name: str) -> None:
    book.item(key)
    book.ledger.flush()
    assert book.batches == [{name: SUCCEEDED}]
    assert {type(key) for key in book.batches[0]} == {str}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ((1, 2), "An item's key is a tuple"),
        (uuid4(), "An item's key is a UUID"),
        (b"a", "An item's key is a bytes"),
        ("a\0", "There is a NUL character in the item's key"),
        ("\ud800", "There is a lone surrogate in the item's key"),
        ("x" * (MAX_KEY + 1), f"An item's key has {MAX_KEY + 1} characters"),
        (float("nan"), "The item's key is nan"),
        pytest.param(10**5000, "An item's key has too many digits", id="digits"),
    ],
)
def test_a_wrong_key_is_refused_before_the_block_runs(book: Book, key: object, words: str) -> None:
    ran = []
    with pytest.raises(InvalidValueError, match=words), book.ledger.item(key, None):  # type: ignore[arg-type]
        ran.append(key)
    with pytest.raises(InvalidValueError, match=words):
        book.ledger.skip(key, "Seen before")  # type: ignore[arg-type]
    assert ran == []
    assert book.ledger.counts == ItemCounts()


def test_labels_and_messages_are_mended(book: Book) -> None:
    book.item("a", ValueError("b\0d"), label="l\0ng")
    book.ledger.skip("b", "r\0ason")
    book.item("c", label=7)
    book.ledger.flush()
    assert book.batches == [
        {
            "a": Outcome(ItemStatus.FAILED, "l\ufffdng", "b\ufffdd"),
            "b": Outcome(ItemStatus.SKIPPED, None, "r\ufffdason"),
            "c": Outcome(ItemStatus.SUCCEEDED, "7"),
        }
    ]


def test_many_threads_may_record_at_once() -> None:
    batches: list[dict[str, Outcome]] = []
    ledger = ItemLedger(batches.append, interval=0.0001, passing=())
    record: Callable[[int], None] = lambda n: ledger.record({str(n % 1000): SUCCEEDED})  # noqa: E731
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(record, range(2_000)))
    ledger.flush()
    assert ledger.counts == ItemCounts(succeeded=1000)
    assert set().union(*batches) == {str(n) for n in range(1000)}


def test_many_items_are_recorded_at_once_in_batches(book: Book) -> None:
    book.ledger.record_all(range(2 * BATCH), {"bad": ValueError("No")}, {"old": "Seen before"})
    assert [len(batch) for batch in book.batches] == [BATCH, BATCH, 2]
    assert book.batches[-1] == {
        "old": Outcome(ItemStatus.SKIPPED, message="Seen before"),
        "bad": Outcome(ItemStatus.FAILED, message="No"),
    }
    assert book.ledger.counts == ItemCounts(succeeded=2 * BATCH, failed=1, skipped=1)


def test_of_several_outcomes_given_at_once_a_failure_wins(book: Book) -> None:
    book.ledger.record_all(["a", "b", 1, "1"], ["a"], ["b"])
    assert book.ledger.counts == ItemCounts(succeeded=1, failed=1, skipped=1)


def test_a_wrong_key_among_many_records_none(book: Book) -> None:
    with pytest.raises(InvalidValueError):
        book.ledger.record_all(["a", ("b",)], (), ())  # type: ignore[list-item]
    assert book.ledger.counts == ItemCounts()


def test_outcomes_that_no_later_one_brings_are_written_when_the_interval_is_over(
    book: Book,
) -> None:
    book.item("a")
    book.item("b")
    ((at, call),) = book.alarms
    assert at == book.now + 0.5
    call()
    assert [set(batch) for batch in book.batches] == [{"a", "b"}]
    call()
    assert len(book.batches) == 1


def test_while_writes_fail_not_every_item_waits_for_one(book: Book) -> None:
    book.failure = OSError("down")
    for n in range(BATCH - 1):
        book.item(n)
    with pytest.raises(OSError, match="down"):
        book.item("full")
    book.item("more")
    book.now += PAUSE - 0.1
    book.item("still more")
    book.failure = None
    book.now += 0.1
    book.item("last")
    assert sum(map(len, book.batches)) == BATCH + 3


def test_what_an_earlier_attempt_has_done_counts_and_is_not_to_be_done(book: Book) -> None:
    book.ledger.carry_over(["a", "7"])
    assert book.ledger.counts == ItemCounts(succeeded=2)
    for key, expected in (("a", False), (7, False), ("b", True)):
        with book.ledger.item(key, None) as todo:  # type: ignore[arg-type]
            assert todo is expected
    book.ledger.skip("a", "done")
    book.ledger.record_all(["a"], (), ())
    book.ledger.flush()
    assert book.batches == [{"b": SUCCEEDED}]
    assert book.ledger.counts == ItemCounts(succeeded=3)


def test_a_job_that_is_to_do_some_items_records_no_others(book: Book) -> None:
    book.ledger.only = ItemKeys(["a", "7"])
    assert "a" in book.ledger.only
    assert 7 in book.ledger.only
    assert 8 not in book.ledger.only
    for key, expected in (("a", True), (7, True), ("b", False)):
        with book.ledger.item(key, None) as todo:  # type: ignore[arg-type]
            assert todo is expected
    assert book.ledger.counts == ItemCounts(succeeded=2)


def test_work_that_is_done_all_the_same_and_fails_is_recorded(book: Book) -> None:
    book.ledger.carry_over(["a"])
    book.item("a", ValueError("No"))
    assert book.ledger.counts == ItemCounts(failed=1)


def test_the_text_of_a_failure_may_be_broken(book: Book) -> None:
    class Broken(Exception):  # noqa: N818 - its name is its text here
        def __str__(self) -> str:
            raise ValueError

    book.item("a", Broken())
    book.ledger.flush()
    assert book.batches[0]["a"].message == "Broken"
