"""What has become of a transaction that somebody else ends."""

import psycopg
import pytest

from jobstate.store import JoinedTransaction


@pytest.fixture
def joined(jobs_url: str) -> JoinedTransaction:
    """A transaction in which something was written."""
    connection = psycopg.connect(jobs_url.replace("+psycopg", ""))
    row = connection.execute("select cast(pg_current_xact_id() as text)").fetchone()
    assert row is not None
    return JoinedTransaction(connection, row[0])


def states(joined: JoinedTransaction) -> tuple[bool, bool]:
    """Return whether the transaction is open, and whether any is."""
    return joined.is_open, joined.is_on


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_it_is_over_when_its_owner_has_ended_it(joined: JoinedTransaction, end: str) -> None:
    assert states(joined) == (True, True)
    getattr(joined.connection, end)()
    assert states(joined) == (False, False)


@pytest.mark.parametrize("writes", [True, False])
def test_a_later_transaction_is_another_one(joined: JoinedTransaction, *, writes: bool) -> None:
    joined.connection.commit()
    joined.connection.execute("select pg_current_xact_id()" if writes else "select 1")
    assert states(joined) == (False, True)


def test_one_that_has_failed_is_open_until_it_is_rolled_back(joined: JoinedTransaction) -> None:
    with pytest.raises(psycopg.Error):
        joined.connection.execute("select broken")
    assert states(joined) == (True, True)
    joined.roll_back()
    assert states(joined) == (False, False)


def test_one_whose_server_is_gone_is_over(joined: JoinedTransaction, jobs_url: str) -> None:
    pid = joined.connection.info.backend_pid
    with psycopg.connect(jobs_url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", [pid])
    assert joined.is_open is False
    joined.roll_back()
    assert states(joined) == (False, False)


def test_one_on_which_a_statement_runs_is_cut_off(joined: JoinedTransaction) -> None:
    joined.connection.pgconn.send_query(b"select pg_sleep(60)")
    assert states(joined) == (True, True)
    joined.roll_back()
    assert states(joined) == (False, False)
