"""A connection's cursors are kept from statement to statement, and nothing else is."""

import psycopg
import pytest

from jobstate.store.cursors import Cursors


@pytest.fixture
def cursors(connection: psycopg.Connection) -> Cursors:
    """The cursors of a connection."""
    return Cursors(connection)


def test_each_run_of_a_statement_binds_and_reads_its_own_values(cursors: Cursors) -> None:
    """Though the types of one parameter differ: the driver remembers those of the last run."""
    statement = "select cast(%(value)s as text)"
    values = ("one", 2, None, True, 2.5, "three")
    answers = [cursors.execute(statement, {"value": value}, prepare=True) for value in values]
    assert answers == [[("one",)], [("2",)], [(None,)], [("true",)], [("2.5",)], [("three",)]]


def test_a_statement_that_failed_runs_again(cursors: Cursors) -> None:
    statement = "select 1 / %(value)s::integer"
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            cursors.execute(statement, {"value": 0}, prepare=True)
        assert cursors.execute(statement, {"value": 1}, prepare=True) == [(1,)]


def test_a_long_answer_is_not_held_on_to(cursors: Cursors) -> None:
    """Only the cursor of a short one is still there for the next run."""
    statement = "select generate_series(1, %(value)s::integer)"
    for rows, kept in ((1, 1), (1000, 0), (1, 1)):
        assert len(cursors.execute(statement, {"value": rows}, prepare=True)) == rows
        assert len(cursors._kept) == kept
