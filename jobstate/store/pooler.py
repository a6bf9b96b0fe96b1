"""Finds out whether a pooler stands before the database that changes a client's connection."""

from contextlib import ExitStack, closing
from dataclasses import replace

from psycopg import Connection

from jobstate.settings import Settings
from jobstate.store.engines import open_engine
from jobstate.store.failures import translated
from jobstate.store.queries import load_queries

_CLIENTS = 4


def shares_connections(settings: Settings) -> bool:
    """Tell whether one process of the server has answered several clients that are connected.

    That is a pooler in transaction mode. On a busy one it may go unnoticed: other clients may get
    in between.

    Raises:
        StoreUnavailable: The database cannot be reached.
    """
    engine = open_engine(replace(settings, pool_size=_CLIENTS))
    statement = load_queries(settings.schema)["server_process"].encode()
    seen: set[int] = set()
    with translated(), ExitStack() as clients:
        clients.callback(engine.dispose)
        for _ in range(_CLIENTS):
            client = clients.enter_context(closing(engine.raw_connection()))
            connection = client.driver_connection
            assert isinstance(connection, Connection)  # noqa: S101 - the engine's driver
            row = connection.execute(statement, prepare=False).fetchone()
            seen.update(row or ())
    return len(seen) < _CLIENTS
