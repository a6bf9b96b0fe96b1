"""What names an item, and what is said of it, is text that the database can keep."""

from enum import Enum, StrEnum
from uuid import uuid4

import pytest

from jobstate import InvalidValueError, ItemStatus
from jobstate.items import MAX_KEY, ItemCounts, Outcome
from tests.unit.conftest import Book

SUCCEEDED = Outcome(ItemStatus.SUCCEEDED)


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


def test_a_wrong_key_among_many_records_none(book: Book) -> None:
    with pytest.raises(InvalidValueError):
        book.ledger.record_all(["a", ("b",)], (), ())  # type: ignore[list-item]
    assert book.ledger.counts == ItemCounts()


def test_the_text_of_a_failure_may_be_broken(book: Book) -> None:
    class Broken(Exception):  # noqa: N818 - its name is its text here
        def __str__(self) -> str:
            raise ValueError

    book.item("a", Broken())
    book.ledger.flush()
    assert book.batches[0]["a"].message == "Broken"
