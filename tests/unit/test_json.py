"""What may be stored as JSON, and what is said about the rest."""

import json
import re
import sys
from collections import UserDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobstate import InvalidValueError, JobStatus
from jobstate.values import MAX_DEPTH, to_json

PLENTY = 10**9

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text
values = st.recursive(
    scalars.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
)

Point = namedtuple("Point", "x y")  # noqa: PYI024 - the plainest kind, which users return too


@dataclass
class Order:
    """A thing of the user's own."""

    id: int


class Plain(Enum):
    """A name that is no text."""

    RED = 1


class Number(IntEnum):
    """A name that is a number."""

    ONE = 1


def nested(depth: int, inside: object = 1) -> Any:
    for _ in range(depth):
        inside = [inside]
    return inside


def refusal(value: object, limit: int = PLENTY) -> str:
    with pytest.raises(InvalidValueError) as refused:
        to_json(value, "result", limit)
    return str(refused.value)


@given(values)
def test_json_is_the_same_when_it_is_read_back(value: object) -> None:
    assert json.loads(to_json(value, "result", PLENTY)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 5, 17, 12, tzinfo=UTC), '"2026-05-17T12:00:00+00:00"'),
        (date(2026, 5, 17), '"2026-05-17"'),
        (time(12, 30), '"12:30:00"'),
        (UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
        (Decimal("1.10"), '"1.10"'),
        (Point(1, 2), "[1, 2]"),
        (JobStatus.FAILED, '"failed"'),
        (Number.ONE, "1"),
        ({1: None, None: True, 1.5: "ü"}, '{"1": null, "null": true, "1.5": "ü"}'),
        ("\\u0000 is written out", '"\\\\u0000 is written out"'),
        (10**400, str(10**400)),
    ],
)
def test_plain_values_of_python_become_json(value: object, expected: str) -> None:
    assert to_json(value, "result", PLENTY) == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({1, 2}, "set"),
        (b"bytes", "bytes"),
        (object(), "object"),
        (Order(1), "Order"),
        (Plain.RED, "Plain"),
        (1j, "complex"),
        (timedelta(1), "timedelta"),
        (MappingProxyType({"a": 1}), "mappingproxy"),
        (UserDict(a=1), "UserDict"),
        ((n for n in [1]), "generator"),
        (Order, "type"),
    ],
)
def test_what_is_not_json_is_refused_with_its_type_and_place(value: object, kind: str) -> None:
    assert f"The result is a {kind}: it is not JSON." in refusal(value)
    within = {"rows": [{"ok": 1}, {"order": (None, value)}]}
    assert f"The result at rows.1.order.1 is a {kind}: it is not JSON." in refusal(within)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    assert f"The result at mean is {value}: it must be a finite" in refusal({"mean": value})
    assert f"The key of the result is {value}: it must be a finite" in refusal({value: 1})


@pytest.mark.parametrize("key", [(1, 2), UUID(int=5), date(2026, 5, 17), b"a"])
def test_a_key_that_is_not_text_is_refused_with_its_type(key: object) -> None:
    words = f"The result at rows has a key of type {type(key).__name__}: JSON keys are text."
    assert words in refusal({"rows": {key: 1}})


class Broken(datetime):
    """A date that fails to say which."""

    def isoformat(self, *_: object) -> str:  # type: ignore[override]
        """Fail."""
        raise ValueError("the error of a value")


def test_an_error_of_a_value_itself_is_left_as_it_is() -> None:
    with pytest.raises(ValueError, match="the error of a value"):
        to_json([Broken(2026, 5, 17)], "result", PLENTY)


def test_no_key_hides_what_is_behind_it() -> None:
    words = {True: "True", None: "None", 5: "5", 1.5: "1.5", "a": "a"}
    for key, word in words.items():
        assert f"The result at {word} is a set" in refusal({key: set()})


@pytest.mark.parametrize(
    ("bad", "what"), [("a\0", "NUL character"), ("ab\ud800", "lone surrogate")]
)
def test_text_that_postgres_cannot_store_is_refused_wherever_it_is(bad: str, what: str) -> None:
    assert f"There is a {what} in the result, at position {len(bad) - 1}" in refusal(bad)
    assert f"There is a {what} in the result at a.1" in refusal({"a": ["ok", bad]})
    assert f"There is a {what} in the key of the result at a" in refusal({"a": {bad: 1}})


def test_json_is_nested_only_so_deep_that_everybody_can_read_it() -> None:
    json.loads(to_json(nested(MAX_DEPTH), "result", PLENTY))
    assert "is nested too deeply: JSON is stored up to 100 levels" in refusal(nested(101))
    assert "is nested too deeply" in refusal(nested(sys.getrecursionlimit() * 2))
    assert "is nested too deeply" in refusal({"a": ({"b": nested(MAX_DEPTH - 2)},)})


def test_what_refers_to_itself_is_refused_with_its_place() -> None:
    parent: dict[str, Any] = {"name": "root"}
    parent["children"] = [{"parent": parent, "name": name} for name in "abcdefgh"]
    assert "The result at children.0.parent refers to itself" in refusal(parent)


def test_what_occurs_twice_does_not_refer_to_itself() -> None:
    shared = ["x"]
    assert to_json({"a": shared, "b": shared}, "result", PLENTY) == '{"a": ["x"], "b": ["x"]}'


def test_a_number_that_python_cannot_write_is_refused() -> None:
    assert "The result at n has more than 4300 digits" in refusal({"n": 10**4300})
    assert "The key of the result has more than 4300 digits" in refusal({10**4300: 1})


def test_the_limit_counts_bytes_and_is_itself_allowed() -> None:
    assert to_json("üü", "result", 6) == '"üü"'
    words = "Too large: 6 bytes of JSON in the result, and at most 5 are stored."
    assert refusal("üü", limit=5).startswith(words)


def test_ten_megabytes_are_refused_with_their_size() -> None:
    size = re.search(r"([\d,]+) bytes", refusal("x" * 10_000_000, limit=1024 * 1024))
    assert size is not None
    assert size[1] == "10,000,002"
