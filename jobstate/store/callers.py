"""The caller's own SQLAlchemy connection: writing in its transaction, acting after its commit."""

from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from jobstate.errors import ConfigurationError


def driver_connection(connection: object) -> psycopg.Connection[Any]:
    """Find the driver's connection below a caller's SQLAlchemy Session or Connection.

    Raises:
        ConfigurationError: It is neither, or does not use psycopg 3.
    """
    plain = connection.connection() if isinstance(connection, Session) else connection
    found = plain.connection.driver_connection if isinstance(plain, Connection) else None
    if not isinstance(found, psycopg.Connection):
        raise ConfigurationError(
            f"connection= is a {type(connection).__name__}: jobs are enqueued in the transaction "
            "of a SQLAlchemy Session or Connection on psycopg 3. Pass one, or leave it out."
        )
    return found


def after_commit(connection: object, action: Callable[[], object]) -> None:
    """Call `action` once, after the outermost commit of a Session.

    A Connection has no such moment: its caller publishes.
    """
    if not isinstance(connection, Session):
        return

    def committed(session: Session) -> None:
        # SQLAlchemy calls this for a released savepoint too, and nothing is visible yet.
        if not session.in_nested_transaction():
            event.remove(connection, "after_commit", committed)
            action()

    event.listen(connection, "after_commit", committed)
