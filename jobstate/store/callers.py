"""The caller's own SQLAlchemy connection: writing in its transaction, acting after its commit."""

from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction, scoped_session
from sqlalchemy.pool import ConnectionPoolEntry

from jobstate.errors import ConfigurationError

_PENDING = "jobstate.after_commit"


def driver_connection(connection: object) -> psycopg.Connection[Any]:
    """Find the driver's connection below a caller's SQLAlchemy Session or Connection.

    A transaction is begun there if there is none, so that the caller's commit commits.

    Raises:
        ConfigurationError: It is neither, or does not use psycopg 3.
    """
    session = _session(connection)
    plain = connection if session is None else session.connection()
    found = plain.connection.driver_connection if isinstance(plain, Connection) else None
    if not isinstance(plain, Connection) or not isinstance(found, psycopg.Connection):
        raise ConfigurationError(
            f"connection= is a {type(connection).__name__}: jobs are enqueued in the transaction "
            "of a SQLAlchemy Session or Connection on psycopg 3. Pass one, or leave it out."
        )
    if not plain.in_transaction():
        plain.begin()
    return found


def after_commit(connection: object, action: Callable[[], object]) -> None:
    """Call `action` once, after the outermost commit of a Session; never when it is rolled back.

    A Connection has no such moment. There it is called when the transaction is over for certain,
    rolled back or not: when the next one begins, or when the connection goes back to its pool.
    """
    session = _session(connection)
    if session is None:
        assert isinstance(connection, Connection)  # noqa: S101 - see driver_connection
        connection.info.setdefault(_PENDING, []).append(action)
        for target, name, listener in (
            (connection, "begin", _begun),
            (connection.engine.pool, "checkin", _checked_in),
        ):
            if not event.contains(target, name, listener):
                event.listen(target, name, listener)
        return
    session.info.setdefault(_PENDING, []).append(action)
    # One pair of listeners for the life of the session: SQLAlchemy cannot remove one that runs.
    if not event.contains(session, "after_commit", _committed):
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_transaction_end", _ended)


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


def _session(connection: object) -> Session | None:
    """Find the Session that a caller works with: its own, or the one of this thread or request."""
    if isinstance(connection, scoped_session):
        connection = connection()
    return connection if isinstance(connection, Session) else None
