"""SQLAlchemy's Session and Connection: when their transactions are over."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry

_PENDING = "jobstate.after_commit"


def after_session(session: Session, action: Callable[[], object]) -> None:
    """Call `action` once, after the outermost commit; never when it is rolled back."""
    session.info.setdefault(_PENDING, []).append(action)
    # One pair of listeners for the life of the session: SQLAlchemy cannot remove one that runs.
    if not event.contains(session, "after_commit", _committed):
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_transaction_end", _ended)


def after_connection(connection: Connection, action: Callable[[], object]) -> None:
    """Call `action` once, when the transaction is over for certain, rolled back or not.

    That is when the next one begins, or when the connection goes back to its pool.
    """
    connection.info.setdefault(_PENDING, []).append(action)
    for target, name, listener in (
        (connection, "begin", _begun),
        (connection.engine.pool, "checkin", _checked_in),
    ):
        if not event.contains(target, name, listener):
            event.listen(target, name, listener)


def _committed(session: Session) -> None:
    # SQLAlchemy calls this for a released savepoint too, and nothing is visible yet.
    if not session.in_nested_transaction():
        _call_all(session.info)


def _ended(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_PENDING, None)


def _begun(connection: Connection) -> None:
    _call_all(connection.info)


def _checked_in(_: object, record: ConnectionPoolEntry) -> None:
    _call_all(record.info)


def _call_all(info: dict[Any, Any]) -> None:
    for action in info.pop(_PENDING, []):
        action()
