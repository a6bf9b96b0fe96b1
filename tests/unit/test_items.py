"""The item ledger collects outcomes and writes them in batches."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from jobstate import ItemStatus, JobCancelled, JobFailed, LeaseLost
from jobstate.items import BATCH, PAUSE, ItemCounts, ItemKeys, ItemLedger, Outcome
from tests.unit.conftest import Book, Stop

SUCCEEDED = Outcome(ItemStatus.SUCCEEDED)


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


def test_a_forked_process_leaves_to_its_parent_what_that_has_not_written(book: Book) -> None:
    """It would undo a later outcome of the same item."""
    book.item("a", ValueError("not yet"))
    book.ledger.begin_anew()
    book.item("b")
    book.ledger.flush()
    assert [list(batch) for batch in book.batches] == [["b"]]
