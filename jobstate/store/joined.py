"""A transaction of somebody else's that something of a job was written in."""

from contextlib import suppress
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from jobstate.store.queries import load_queries

DriverConnection = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]


class JoinedTransaction:
    """What has become of a transaction that its owner commits or rolls back.

    Asked below the driver, and so for connections that are awaited too, whose event loop may be
    gone. It blocks shortly. Nobody else may use the connection meanwhile.

    Args:
        connection: The connection that it is on.
        name: What the statement `current_transaction` answers in it.
    """

    def __init__(self, connection: DriverConnection, name: str) -> None:
        self.connection = connection
        self.name = name

    @property
    def is_on(self) -> bool:
        """Whether any transaction is open there, this one or a later one; asks nobody."""
        status = self.connection.info.transaction_status
        return status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)

    @property
    def is_open(self) -> bool:
        """Whether it was neither committed nor rolled back."""
        if self.connection.info.transaction_status is not TransactionStatus.INTRANS:
            # Of one that has failed nobody can be asked which it is.
            return self.is_on
        question = load_queries("")["current_transaction"].encode()
        with suppress(psycopg.Error):
            answer = self.connection.pgconn.exec_(question)
            return answer.get_value(0, 0) == self.name.encode()
        return False

    def roll_back(self) -> None:
        """End it, so that nothing of it can ever be committed."""
        pgconn = self.connection.pgconn
        with suppress(psycopg.Error):
            if self.connection.info.transaction_status is not TransactionStatus.ACTIVE:
                pgconn.exec_(b"rollback")
        if self.is_on:
            pgconn.finish()
