"""The texts of arguments are those that Celery itself would write."""

from typing import Any

from celery.utils.saferepr import saferepr
from hypothesis import given
from hypothesis import strategies as st

from jobstate.celery.reprs import reprs_of

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=60), st.lists(st.none())
)
NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


@given(st.lists(VALUES, max_size=10), st.dictionaries(NAMES, VALUES, max_size=10))
def test_the_texts_are_those_of_celery(args: list[Any], kwargs: dict[str, Any]) -> None:
    found = [reprs_of(args, kwargs), reprs_of(tuple(args), kwargs)]
    for reprs, given_args in zip(found, (args, tuple(args)), strict=True):
        assert reprs.get("argsrepr", saferepr(given_args)) == saferepr(given_args)
        assert reprs.get("kwargsrepr", saferepr(kwargs)) == saferepr(kwargs)


def test_plain_arguments_have_texts_and_others_are_left_to_celery() -> None:
    assert reprs_of((1, "a"), {"b": None}) == {"argsrepr": "(1, 'a')", "kwargsrepr": "{'b': None}"}
    assert reprs_of((), {}) == {"argsrepr": "()", "kwargsrepr": "{}"}
    assert reprs_of(([1],), {"b": "it's"}) == {}
    assert reprs_of(list(range(9)), {"b": 10**18}) == {}
