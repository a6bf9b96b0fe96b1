"""Percentages and amounts of work from outside."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobstate import InvalidValueError
from jobstate.amounts import check_amount, check_progress, percent_of


@pytest.mark.parametrize(
    ("given", "stored"), [(0, 0), (100, 100), (33.9, 33), (99.999, 99), (-0.0, 0), (5e-324, 0)]
)
def test_progress_is_a_percentage_rounded_down(given: float, stored: int) -> None:
    assert check_progress(given) == stored


@pytest.mark.parametrize("value", [-1, 101, 100.01, -0.01])
def test_progress_outside_its_range_is_refused(value: float) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(f"Progress {value} is out of range")):
        check_progress(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "is nan: it must be a finite number"),
        (float("inf"), "is inf: it must be a finite number"),
        (10**400, "is too large: it must fit a float"),
        ("50", "is a str: it must be a number"),
        (True, "is a bool: it must be a number"),
        (None, "is a NoneType: it must be a number"),
    ],
)
def test_progress_and_amounts_are_numbers(value: float, words: str) -> None:
    with pytest.raises(InvalidValueError, match=f"The progress {words}"):
        check_progress(value)
    if value is not None:
        with pytest.raises(InvalidValueError, match=f"The total amount {words}"):
            check_amount(value, "total amount")


def test_an_amount_may_be_missing_but_not_negative() -> None:
    assert check_amount(None, "total amount") is None
    assert check_amount(0, "total amount") == 0
    assert check_amount(1e300, "total amount") == 1e300
    with pytest.raises(InvalidValueError, match="The total amount -1 is negative"):
        check_amount(-1, "total amount")


@pytest.mark.parametrize(
    ("current", "total", "percent"),
    [
        (0, 10, 0),
        (29, 100, 29),
        (1, 3, 33),
        (10, 10, 100),
        (11, 10, 100),
        (1e308, 1e308, 100),
        (None, 10, None),
        (5, None, None),
        (5, 0, None),
    ],
)
def test_the_percentage_is_worked_out_where_it_can_be(
    current: float | None, total: float | None, percent: int | None
) -> None:
    assert percent_of(current, total) == percent


@given(st.floats(0, 1e300), st.floats(0, 1e300))
def test_a_percentage_that_is_worked_out_is_one(current: float, total: float) -> None:
    percent = percent_of(current, total)
    assert percent is None or 0 <= percent <= 100
